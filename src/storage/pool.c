#include "storage/pool.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/alloc.h"
#include "storage/driver.h"

#define NAME_LEN_MAX 32

static bool letter_ok(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool pool_name_ok(const char *name)
{
	if (!letter_ok(name[0]))
		return false;
	for (size_t i = 1; name[i]; i++)
		if (i >= NAME_LEN_MAX || (!letter_ok(name[i]) && name[i] != '_' && name[i] != '-'))
			return false;
	return true;
}

static int check_path(const char *path, struct err *err)
{
	struct stat st;

	if (path[0] != '/')
		return err_set(err, ERR_INVALID, "%s: the path of a pool begins with a /", path);
	if (lstat(path, &st) < 0)
		return errno == ENOENT ? err_set(err, ERR_NOT_FOUND,
						 "%s: there is no such folder; make it first", path)
				       : err_errno(err, "%s", path);
	if (S_ISLNK(st.st_mode))
		return err_set(err, ERR_INVALID,
			"%s is a symbolic link; name the folder that it leads to", path);
	if (!S_ISDIR(st.st_mode))
		return err_set(err, ERR_INVALID, "%s is not a folder", path);
	return 0;
}

/* The driver that is named, or else the one that fits best. */
static int choose_driver(
	const char *path, const char *name, const struct storage_driver **ret, struct err *err)
{
	const struct storage_driver *named;
	int r;

	if (!name)
		return driver_for(path, ret, err);
	named = driver_find(name);
	if (!named)
		return err_set(err, ERR_INVALID, "there is no storage driver \"%s\"", name);
	r = named->probe(path, err);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(err, ERR_INVALID,
			"%s is not on a filesystem of the driver \"%s\"; leave the driver out to "
			"have the right one found",
			path, name);
	*ret = named;
	return 0;
}

int pool_probe(
	const char *name, const char *path, const char *driver, struct pool **ret, struct err *err)
{
	const struct storage_driver *found;
	struct pool *p;
	int r;

	if (!pool_name_ok(name))
		return err_set(err, ERR_INVALID,
			"\"%s\" cannot name a pool: use a-z, 0-9, - and _, at most %d of them",
			name, NAME_LEN_MAX);
	r = check_path(path, err);
	if (r >= 0)
		r = choose_driver(path, driver, &found, err);
	if (r < 0)
		return err_prefix(err, "pool %s", name);
	p = xnew(struct pool);
	*p = (struct pool){xstrdup(name), xstrdup(path), xstrdup(found->name)};
	*ret = p;
	return 0;
}

int pool_space(const struct pool *p, struct pool_space *ret, struct err *err)
{
	const struct storage_driver *driver = driver_find(p->driver);
	struct statvfs s;

	if (driver && driver->space)
		return driver->space(p, ret, err);
	if (statvfs(p->path, &s) < 0)
		return err_errno(err, "pool %s at %s", p->name, p->path);
	*ret = (struct pool_space){
		.bytes_free = (uint64_t)s.f_bavail * s.f_frsize,
		.bytes_total = (uint64_t)s.f_blocks * s.f_frsize,
		.inodes_free = s.f_files ? s.f_favail : UINT64_MAX,
	};
	return 0;
}

void pool_free(struct pool *p)
{
	if (!p)
		return;
	free(p->name);
	free(p->path);
	free(p->driver);
	free(p);
}

void pool_freep(struct pool **p)
{
	pool_free(*p);
}
