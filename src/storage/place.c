#include "storage/place.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/beneath.h"
#include "base/str.h"
#include "storage/btrfs_subvol.h"

#define OWN ".wherry"

static bool name_ok(const char *name)
{
	return name[0] != '.' && !strchr(name, '/') && beneath_path_ok(name);
}

int place_check(const struct volume *v, struct err *err)
{
	if (!name_ok(v->owner))
		return err_set(err, ERR_INVALID, "\"%s\" cannot own a volume", v->owner);
	if (!name_ok(v->name))
		return err_set(err, ERR_INVALID, "\"%s\" cannot name a volume", v->name);
	if (v->path[0] != '/' || v->pool_path[0] != '/')
		return err_set(err, ERR_INVALID, "%s is not an absolute path", v->path);
	return 0;
}

int place_check_snapshot(const char *snap, struct err *err)
{
	bool ok = name_ok(snap) && strlen(snap) < sizeof(((struct volume_snapshot *)NULL)->name);

	for (const char *p = snap; ok && *p; p++)
		ok = (unsigned char)*p >= 0x20 && *p != 0x7f;
	return ok ? 0 : err_set(err, ERR_INVALID, "\"%s\" cannot name a snapshot", snap);
}

/* Only root may reach what lies in there: other people's files with their setuid bits and devices.
 */
static int check_own(int fd, const char *pool_path, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(err, "%s/" OWN, pool_path);
	if (st.st_uid != geteuid() || (st.st_mode & 077))
		return err_set(err, ERR_DENIED,
			"%s/" OWN " is open to others: make it root's, with mode 0700", pool_path);
	return 0;
}

static int open_own(const char *pool_path, bool make, struct err *err)
{
	_cleanup_close_ int pool = open(pool_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int fd = -1;
	int r;

	if (pool < 0)
		return err_errno(err, "open the pool at %s", pool_path);
	if (make && mkdirat(pool, OWN, 0700) < 0 && errno != EEXIST)
		return err_errno(err, "create %s/" OWN, pool_path);
	fd = beneath_open(pool, OWN, O_RDONLY | O_DIRECTORY, 0, err);
	if (fd < 0)
		return fd;
	r = check_own(fd, pool_path, err);
	return r < 0 ? r : TAKE_FD(fd);
}

int place_open(const char *pool_path, const char *sub, bool make, struct err *err)
{
	_cleanup_close_ int own = open_own(pool_path, make, err);
	int r;

	if (own < 0)
		return own;
	if (make) {
		r = beneath_mkdirs(own, sub, 0700, err);
		if (r < 0)
			return r;
	}
	return beneath_open(own, sub, O_RDONLY | O_DIRECTORY, 0, err);
}

int place_open_snaps(const struct volume *v, bool make, struct err *err)
{
	_cleanup_free_ char *sub = xasprintf("snap/%s/%s", v->owner, v->name);

	return place_open(v->pool_path, sub, make, err);
}

char *place_snaps(const struct volume *v)
{
	return xasprintf("%s/" OWN "/snap/%s/%s", v->pool_path, v->owner, v->name);
}

char *place_snapshot(const struct volume *v, const char *snap)
{
	return xasprintf("%s/" OWN "/snap/%s/%s/%s", v->pool_path, v->owner, v->name, snap);
}

/* The path of the volume below its pool, or NULL where it lies elsewhere. */
static const char *below_pool(const struct volume *v)
{
	size_t n = strlen(v->pool_path);

	while (n && v->pool_path[n - 1] == '/')
		n--;
	if (strncmp(v->path, v->pool_path, n) != 0 || v->path[n] != '/')
		return NULL;
	return v->path + n + 1;
}

static int make_parents(const struct volume *v, struct err *err)
{
	const char *below = below_pool(v);
	const char *slash = below ? strrchr(below, '/') : NULL;
	bool own = below && str_starts(below, OWN "/");
	_cleanup_free_ char *folder = slash ? xstrndup(below, (size_t)(slash - below)) : NULL;
	_cleanup_close_ int pool = -1;

	if (!folder)
		return 0;
	if (own) {
		pool = place_open(v->pool_path, folder + strlen(OWN "/"), true, err);
		return pool < 0 ? pool : 0;
	}
	pool = open(v->pool_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (pool < 0)
		return err_errno(err, "open the pool at %s", v->pool_path);
	return beneath_mkdirs(pool, folder, 0755, err);
}

int place_open_parent(const struct volume *v, bool make, const char **ret_name, struct err *err)
{
	const char *slash = strrchr(v->path, '/');
	_cleanup_free_ char *folder = NULL;
	int fd, r;

	if (make) {
		r = make_parents(v, err);
		if (r < 0)
			return r;
	}
	folder = slash == v->path ? xstrdup("/") : xstrndup(v->path, (size_t)(slash - v->path));
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, "open %s", folder);
	*ret_name = slash + 1;
	return fd;
}

void place_prune_snaps(const struct volume *v)
{
	_cleanup_free_ char *of_volume = place_snaps(v);
	_cleanup_free_ char *of_owner = xasprintf("%s/" OWN "/snap/%s", v->pool_path, v->owner);

	(void)rmdir(of_volume);
	(void)rmdir(of_owner);
}

void place_prune(const struct volume *v)
{
	const char *slash = strrchr(v->path, '/');
	_cleanup_free_ char *folder = xstrndup(v->path, (size_t)(slash - v->path));

	place_prune_snaps(v);
	/* The container's folder, not the pool itself or something above it. */
	if (below_pool(v) && strchr(below_pool(v), '/'))
		(void)rmdir(folder);
}

static int rename_snaps(
	int own, const struct volume *from, const struct volume *to, struct err *err)
{
	_cleanup_free_ char *old = xasprintf("snap/%s/%s", from->owner, from->name);
	_cleanup_free_ char *new = xasprintf("snap/%s/%s", to->owner, to->name);
	_cleanup_free_ char *above = xasprintf("snap/%s", to->owner);
	struct stat st;
	int r;

	if (fstatat(own, old, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_errno(err, "%s/" OWN "/%s", from->pool_path, old);
	r = beneath_mkdirs(own, above, 0700, err);
	if (r < 0)
		return r;
	/* An empty one is what a volume without snapshots leaves behind; rename replaces it. */
	if (renameat(own, old, own, new) == 0)
		return 0;
	if (errno == ENOTEMPTY || errno == EEXIST)
		return err_set(err, ERR_EXISTS,
			"%s/" OWN "/%s has snapshots of another volume of that name", to->pool_path,
			new);
	return err_errno(err, "move snapshots to %s/" OWN "/%s", to->pool_path, new);
}

int place_move_snaps(const struct volume *from, const struct volume *to, struct err *err)
{
	_cleanup_close_ int own = open_own(from->pool_path, true, err);

	return own < 0 ? own : rename_snaps(own, from, to, err);
}

/* A second is too coarse to order them by. */
struct aged {
	struct timespec created;
	struct volume_snapshot snapshot;
};
VEC(aged_vec, struct aged);

static int by_age(const void *a, const void *b)
{
	const struct aged *x = a, *y = b;

	if (x->created.tv_sec != y->created.tv_sec)
		return x->created.tv_sec < y->created.tv_sec ? -1 : 1;
	if (x->created.tv_nsec != y->created.tv_nsec)
		return x->created.tv_nsec < y->created.tv_nsec ? -1 : 1;
	return strcmp(x->snapshot.name, y->snapshot.name);
}

static struct timespec created(int dir, const char *name)
{
	_cleanup_close_ int fd = beneath_open_raw(dir, name, O_RDONLY | O_DIRECTORY, 0, 0);
	struct subvol_info info;
	struct statx x = {0};

	if (fd >= 0 && subvol_is(fd) && subvol_info(fd, &info, &(struct err)ERR_INIT) >= 0)
		return info.created;
	(void)statx(dir, name, AT_SYMLINK_NOFOLLOW, STATX_BTIME | STATX_CTIME, &x);
	if (x.stx_mask & STATX_BTIME)
		return (struct timespec){x.stx_btime.tv_sec, x.stx_btime.tv_nsec};
	return (struct timespec){x.stx_ctime.tv_sec, x.stx_ctime.tv_nsec};
}

static void collect(DIR *dir, struct aged_vec *ret)
{
	struct dirent *e;

	while ((e = readdir(dir))) {
		struct aged *a;

		if (place_check_snapshot(e->d_name, &(struct err)ERR_INIT) < 0)
			continue;
		a = aged_vec_push(ret);
		*a = (struct aged){.created = created(dirfd(dir), e->d_name)};
		a->snapshot.created = (uint64_t)a->created.tv_sec;
		a->snapshot.own = str_starts(e->d_name, "wherry-");
		strcpy(a->snapshot.name, e->d_name);
	}
}

int place_list_snaps(struct volume *v, struct snapshot_vec *ret, struct err *err)
{
	_cleanup_closedir_ DIR *dir = NULL;
	struct aged_vec all = {0};
	int fd = place_open_snaps(v, false, err);

	if (fd == -ERR_NOT_FOUND) {
		err_clear(err);
		return 0;
	}
	if (fd < 0)
		return fd;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return err_errno(err, "list snapshots of %s", v->path);
	}
	collect(dir, &all);
	if (all.n)
		qsort(all.v, all.n, sizeof(*all.v), by_age);
	for (size_t i = 0; i < all.n; i++)
		*snapshot_vec_push(ret) = all.v[i].snapshot;
	aged_vec_done(&all);
	return 0;
}
