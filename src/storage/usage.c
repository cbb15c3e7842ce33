#include "storage/usage.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/beneath.h"
#include "base/cancel.h"

/* What lies deeper is not counted: nobody but somebody who wants to confuse us has such a tree, and
 * all this is for an estimate. It bounds our descriptors. */
#define DEPTH	  256
#define PATH_LONG 4095 /* more than this no stream of a driver can say */
/* A file with n names adds 1/n at each of them, in these units. */
#define UNIT ((uint64_t)1 << 20)

struct usage {
	dev_t dev;
	uint64_t bytes, inodes, part_inodes;
	bool long_path;
	size_t depth;
	DIR *dirs[DEPTH];
	size_t len[DEPTH]; /* of the path to each of them, with a slash */
};

static int enter(struct usage *u, int dirfd, const char *name)
{
	_cleanup_close_ int fd = beneath_open_raw(
		dirfd, name, O_RDONLY | O_DIRECTORY | O_NOATIME, 0, 0);
	struct stat st;

	u->long_path = u->long_path || u->depth == DEPTH;
	/* It went away, or became something else, while we looked. */
	if (fd < 0 || u->depth == DEPTH || fstat(fd, &st) < 0 || st.st_dev != u->dev)
		return 0;
	u->dirs[u->depth] = fdopendir(fd);
	if (!u->dirs[u->depth])
		return -1;
	u->len[u->depth] = u->depth ? u->len[u->depth - 1] + strlen(name) + 1 : 0;
	u->depth++;
	TAKE_FD(fd);
	return 0;
}

static void count(struct usage *u, const struct stat *st)
{
	uint64_t names = S_ISDIR(st->st_mode) || !st->st_nlink ? 1 : st->st_nlink;

	u->bytes += (uint64_t)st->st_blocks * 512 / names;
	if (names == 1)
		u->inodes++;
	else
		u->part_inodes += (UNIT + names - 1) / names;
}

static int step(struct usage *u)
{
	DIR *dir = u->dirs[u->depth - 1];
	struct dirent *e;
	struct stat st;

	errno = 0;
	e = readdir(dir);
	if (!e) {
		if (errno)
			return -1;
		closedir(dir);
		u->depth--;
		return 0;
	}
	if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
		return 0;
	if (fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -1;
	if (st.st_dev != u->dev)
		return 0;
	u->long_path = u->long_path || u->len[u->depth - 1] + strlen(e->d_name) > PATH_LONG;
	count(u, &st);
	return S_ISDIR(st.st_mode) ? enter(u, dirfd(dir), e->d_name) : 0;
}

static int walk(struct usage *u, struct err *err)
{
	while (u->depth) {
		int r = cancel_check(err);

		if (r < 0)
			return r;
		if (step(u) < 0)
			return err_errno(err, "find out its size");
	}
	return 0;
}

int usage_size(struct volume *v, struct volume_size *ret, struct err *err)
{
	_cleanup_close_ int root = open(v->path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct usage *u;
	struct stat st;
	int r;

	if (root < 0 || fstat(root, &st) < 0)
		return err_errno(err, "open it");
	u = xnew(struct usage);
	u->dev = st.st_dev;
	count(u, &st);
	r = enter(u, root, ".") < 0 ? err_errno(err, "open it") : walk(u, err);
	while (u->depth)
		closedir(u->dirs[--u->depth]);
	if (r >= 0)
		*ret = (struct volume_size){
			u->bytes, u->inodes + u->part_inodes / UNIT, u->long_path};
	free(u);
	return r;
}
