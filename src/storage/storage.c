#include "storage/storage.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/str.h"
#include "storage/blockfs.h"
#include "storage/blockrec.h"
#include "storage/driver.h"
#include "storage/place.h"
#include "storage/trash.h"

/* The first three know their volumes by a record beside them and are nobody's choice but the
 * operator's; the last one takes what nobody else does. */
static const struct storage_driver *const drivers[] = {
	&image_driver, &device_driver, &lvm_driver, &zfs_driver, &btrfs_driver, &dir_driver};

const struct storage_driver *driver_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++)
		if (strcmp(drivers[i]->name, name) == 0)
			return drivers[i];
	return NULL;
}

int driver_for(const char *path, const struct storage_driver **ret, struct err *err)
{
	int best = 0;

	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++) {
		int score = blockfs_backend(drivers[i]) ? 0 : drivers[i]->probe(path, err);

		if (score < 0)
			return score;
		if (score > best) {
			best = score;
			*ret = drivers[i];
		}
	}
	return best ? 0 : err_set(err, ERR_UNSUPPORTED, "no storage driver for %s", path);
}

static struct volume *volume_new(const struct storage_driver *driver, const char *pool_path,
	const char *owner, const char *name, char *path)
{
	struct volume *v = xnew(struct volume);

	*v = (struct volume){driver, xstrdup(pool_path), xstrdup(owner), xstrdup(name), path, {0}};
	return v;
}

/* One on a filesystem of its own says so beside it, whatever kind of pool it lies in. */
static struct volume *volume_placed(
	const struct pool *p, const char *owner, const char *name, char *path)
{
	struct volume *v = volume_new(driver_find(p->driver), p->path, owner, name, path);
	_cleanup_blockfs_ struct blockfs b = {0};
	struct err ignored = ERR_INIT;

	assert(v->driver); /* pool_probe made p */
	if (blockrec_read(path, &b, &ignored) >= 0)
		v->driver = b.driver;
	return v;
}

/* "/pool" of "/pool/ct/rootfs". */
static char *folder_above(const char *path)
{
	char *above = xstrdup(path);

	for (int i = 0; i < 2; i++) {
		char *slash = strrchr(above, '/');

		slash[slash == above] = '\0';
	}
	return above;
}

/* Of a volume that is half removed the record may be all that is left: then it is there, too. */
static char *real_path(const char *path)
{
	_cleanup_free_ char *folder = NULL, *real = NULL;
	char *slash;

	real = realpath(path, NULL);
	if (real || errno != ENOENT)
		return TAKE_PTR(real);
	if (blockrec_exists(path)) {
		folder = xstrdup(path);
		slash = strrchr(folder, '/');
		*slash = '\0';
		real = realpath(folder, NULL);
		if (real)
			return xasprintf("%s/%s", real, slash + 1);
	}
	errno = ENOENT;
	return NULL;
}

static int find_holder(
	const char *path, const char *pool_path, const struct storage_driver **ret, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++) {
		int r = drivers[i]->holds(path, pool_path, err);

		if (r < 0)
			return r;
		if (r > 0) {
			*ret = drivers[i];
			return 0;
		}
	}
	return err_set(err, ERR_INVALID, "%s is not a folder", path);
}

int volume_open(
	const char *path, const char *ct, const char *name, struct volume **ret, struct err *err)
{
	const struct storage_driver *driver = NULL;
	_cleanup_free_ char *real = NULL;
	_cleanup_free_ char *pool_path = NULL;
	_cleanup_volume_ struct volume *v = NULL;
	int r;

	if (path[0] != '/')
		return err_set(err, ERR_INVALID, "%s is not an absolute path", path);
	real = real_path(path);
	if (!real)
		return errno == ENOENT
			       ? err_set(err, ERR_NOT_FOUND, "%s of %s is missing: there is no %s",
					 name, ct, path)
			       : err_errno(err, "open %s of %s at %s", name, ct, path);
	pool_path = folder_above(real);
	r = find_holder(real, pool_path, &driver, err);
	if (r < 0)
		return r;
	v = volume_new(driver, pool_path, ct, name, TAKE_PTR(real));
	r = place_check(v, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(v);
	return 0;
}

static const struct storage_driver *driver_of(const struct pool *p)
{
	const struct storage_driver *driver = driver_find(p->driver);

	assert(driver); /* pool_probe made p */
	return driver;
}

struct volume *volume_in_pool(const struct pool *p, const char *ct, const char *name)
{
	return volume_placed(p, ct, name, xasprintf("%s/%s/%s", p->path, ct, name));
}

struct volume *volume_staged(const struct pool *p, const char *token, const char *name)
{
	return volume_placed(
		p, token, name, xasprintf("%s/.wherry/staged/%s/%s", p->path, token, name));
}

void volume_free(struct volume *v)
{
	if (!v)
		return;
	free(v->pool_path);
	free(v->owner);
	free(v->name);
	free(v->path);
	free(v->wish.device);
	free(v);
}

void volume_freep(struct volume **v)
{
	volume_free(*v);
}

/* The checked front: every call looks at the names, says what it does at debug level, and names the
 * driver and the path in errors. */

static int begin(const struct volume *v, const char *what, const char *snap, struct err *err)
{
	int r = place_check(v, err);

	if (r >= 0 && snap)
		r = place_check_snapshot(snap, err);
	log_debug(
		"%s %s: %s%s%s", v->driver->name, v->path, what, snap ? " " : "", snap ? snap : "");
	return r;
}

static int end(const struct volume *v, int r, struct err *err)
{
	return r < 0 ? err_prefix(err, "%s volume %s", v->driver->name, v->path) : r;
}

static int missing(const struct volume *v, const char *what, struct err *err)
{
	return err_set(err, ERR_UNSUPPORTED, "the driver \"%s\" has no %s", v->driver->name, what);
}

int volume_create(struct volume *v, struct err *err)
{
	int r = begin(v, "create", NULL, err);

	return end(v, r < 0 ? r : v->driver->create(v, err), err);
}

int volume_destroy(struct volume *v, struct err *err)
{
	int r = begin(v, "destroy", NULL, err);

	return end(v, r < 0 ? r : v->driver->destroy(v, err), err);
}

static int is_there(struct volume *v, struct err *err)
{
	struct stat st;

	if (v->driver->exists)
		return v->driver->exists(v, err);
	return lstat(v->path, &st) == 0;
}

/* Only one of the two has come into being: the other one is of the same kind. */
static void agree(struct volume *a, struct volume *b)
{
	if (blockfs_is(a))
		b->driver = a->driver;
	else if (blockfs_is(b))
		a->driver = b->driver;
}

int volume_exists(struct volume *v, struct err *err)
{
	struct stat st;

	return lstat(v->path, &st) == 0 ? 1 : is_there(v, err);
}

static int publish(struct volume *staged, struct volume *final, struct err *err)
{
	_cleanup_close_ int parent = -1;
	const char *name;
	int here, there, r;

	agree(staged, final);
	here = is_there(staged, err);
	there = here < 0 ? here : is_there(final, err);
	if (there < 0)
		return there;
	if (!here && !there)
		return err_set(err, ERR_NOT_FOUND, "it is neither there nor at %s", final->path);
	if (here && there)
		return err_set(err, ERR_EXISTS, "there is a %s already", final->path);
	parent = place_open_parent(final, true, &name, err);
	if (parent < 0)
		return parent;
	r = place_move_snaps(staged, final, err);
	if (r >= 0)
		r = fault_point("storage.publish.half", err);
	if (r >= 0 && here)
		r = staged->driver->rename(staged, final->path, err);
	if (r >= 0 && final->driver->settle)
		r = final->driver->settle(final, err);
	if (r < 0)
		return r;
	place_prune(staged);
	return syncfs(parent) < 0 ? err_errno(err, "sync %s", final->pool_path) : 0;
}

int volume_publish(struct volume *staged, struct volume *final, struct err *err)
{
	int r = begin(staged, "publish", NULL, err);

	if (r >= 0)
		r = begin(final, "publish here", NULL, err);
	if (r >= 0 && strcmp(staged->pool_path, final->pool_path) != 0)
		r = err_set(err, ERR_INVALID, "%s is not in the same pool", final->path);
	return end(staged, r < 0 ? r : publish(staged, final, err), err);
}

int volume_size(struct volume *v, struct volume_size *ret, struct err *err)
{
	int r = begin(v, "size", NULL, err);

	return end(v, r < 0 ? r : v->driver->size(v, ret, err), err);
}

char *volume_mounter(const struct volume *v)
{
	return blockfs_is(v) ? blockrec_path(v->path) : NULL;
}

void volume_use_device(struct volume *v, const char *device, bool force_format)
{
	v->driver = &device_driver;
	free(v->wish.device);
	v->wish.device = xstrdup(device);
	v->wish.force_format = force_format;
}

bool volume_can(const struct volume *v, unsigned cap)
{
	return (v->driver->caps & cap) == cap;
}

int volume_limit(struct volume *v, uint64_t *ret, struct err *err)
{
	int r = begin(v, "limit", NULL, err);

	*ret = 0;
	if (r >= 0 && v->driver->limit)
		r = v->driver->limit(v, ret, err);
	return end(v, r, err);
}

int volume_set_limit(struct volume *v, uint64_t bytes, struct err *err)
{
	int r = begin(v, "set limit", NULL, err);

	if (r >= 0 && !blockfs_is(v))
		r = v->driver->set_limit ? v->driver->set_limit(v, bytes, err)
					 : missing(v, "limits of a container", err);
	return end(v, r, err);
}

int volume_root(struct volume *v, int *ret_fd, struct err *err)
{
	int r = begin(v, "open", NULL, err);
	int fd;

	if (r >= 0 && v->driver->mount)
		r = v->driver->mount(v, err);
	if (r < 0 || v->driver->root)
		return end(v, r < 0 ? r : v->driver->root(v, ret_fd, err), err);
	fd = open(v->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return end(v, err_errno(err, "open it"), err);
	*ret_fd = fd;
	return 0;
}

/* A staged volume of which only snapshots have come has no root yet. */
int volume_sync(struct volume *v, struct err *err)
{
	_cleanup_close_ int fd = -1;

	if (v->driver->root) {
		int r = v->driver->root(v, &fd, err);

		if (r < 0)
			return end(v, r, err);
	} else {
		fd = open(v->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	}
	if (fd < 0 && errno == ENOENT)
		fd = open(v->pool_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || syncfs(fd) < 0)
		return end(v, err_errno(err, "write it to disk"), err);
	return 0;
}

int volume_snapshot(struct volume *v, const char *snap, struct err *err)
{
	int r = begin(v, "snapshot", snap, err);

	if (r >= 0)
		r = v->driver->snapshot ? v->driver->snapshot(v, snap, err)
					: missing(v, "snapshots", err);
	return end(v, r, err);
}

int volume_snapshot_destroy(struct volume *v, const char *snap, struct err *err)
{
	int r = begin(v, "destroy snapshot", snap, err);

	return end(v, r < 0 ? r : v->driver->snapshot_destroy(v, snap, err), err);
}

int volume_snapshots(struct volume *v, struct snapshot_vec *ret, struct err *err)
{
	struct snapshot_vec found = {0};
	int r = begin(v, "list snapshots", NULL, err);

	if (r >= 0)
		r = v->driver->snapshots(v, &found, err);
	if (r < 0) {
		snapshot_vec_done(&found);
		return end(v, r, err);
	}
	*ret = found;
	return 0;
}

/* What a send has noted as gone must not be there again after a power cut. The folders go even if
 * there is no snapshot in them: an earlier try, or the disk, may have come so far. */
static int settle_snapshots(struct volume *v, struct err *err)
{
	if (!volume_can(v, STORAGE_SNAPSHOT))
		return 0;
	place_prune_snaps(v);
	return volume_sync(v, err);
}

int volume_snapshots_forget(struct volume *v, const char *prefix, struct err *err)
{
	struct snapshot_vec found = {0};
	int r = volume_snapshots(v, &found, err);

	for (size_t i = 0; r >= 0 && i < found.n; i++)
		if (str_starts(found.v[i].name, prefix))
			r = volume_snapshot_destroy(v, found.v[i].name, err);
	snapshot_vec_done(&found);
	if (r == -ERR_NOT_FOUND) { /* it has been moved on, or deleted */
		err_clear(err);
		return 0;
	}
	return r < 0 ? r : settle_snapshots(v, err);
}

int volume_snapshot_root(struct volume *v, const char *snap, int *ret_fd, struct err *err)
{
	int r = begin(v, "open snapshot", snap, err);

	return end(v, r < 0 ? r : v->driver->snapshot_root(v, snap, ret_fd, err), err);
}

int volume_snapshot_folder(struct volume *v, int *ret_fd, struct err *err)
{
	int r = begin(v, "open the folder of snapshots", NULL, err);

	if (r >= 0)
		r = place_open_snaps(v, true, err);
	if (r < 0)
		return end(v, r, err);
	*ret_fd = r;
	return 0;
}

int volume_whole(struct volume *v, struct err *err)
{
	return v->driver->whole ? end(v, v->driver->whole(v, err), err) : 0;
}

int volume_offer(struct volume *v, const char *snap, const char *from, char **ret, struct err *err)
{
	int r = begin(v, "offer", snap, err);

	*ret = NULL;
	if (r >= 0 && from)
		r = place_check_snapshot(from, err);
	if (r >= 0 && v->driver->offer)
		r = v->driver->offer(v, snap, from, ret, err);
	return end(v, r, err);
}

int volume_send(struct volume *v, const char *snap, const char *from,
	const struct storage_resume *resume, struct stream *out, struct progress *p,
	struct err *err)
{
	int r = begin(v, "send", snap, err);

	if (r >= 0 && from)
		r = place_check_snapshot(from, err);
	if (r >= 0)
		r = v->driver->send ? v->driver->send(v, snap, from, resume, out, p, err)
				    : missing(v, "stream of its own", err);
	return end(v, r, err);
}

int volume_receive(struct volume *v, const char *snap, const char *from,
	struct storage_resume *resume,
	int (*checkpoint)(void *ctx, const struct storage_resume *r, struct err *err), void *ctx,
	struct stream *in, struct progress *p, struct err *err)
{
	int r = begin(v, "receive", snap, err);

	if (r >= 0 && from)
		r = place_check_snapshot(from, err);
	if (r >= 0)
		r = v->driver->receive
			    ? v->driver->receive(v, snap, from, resume, checkpoint, ctx, in, p, err)
			    : missing(v, "stream of its own", err);
	return end(v, r, err);
}

int volume_streams(
	struct volume *v, const struct volume_size *size, bool *ret_live, struct err *err)
{
	int r = begin(v, "look at", NULL, err);

	*ret_live = false;
	if (r < 0 || !volume_can(v, STORAGE_INCREMENTAL))
		return end(v, r, err);
	if (!v->driver->streams)
		return 1;
	if (size->long_path)
		return 0;
	r = v->driver->streams(v, err);
	*ret_live = r == 0;
	return end(v, r, err);
}

int volume_origin(struct volume *v, const char *snap, char ret[STORAGE_ORIGIN_MAX], struct err *err)
{
	int r = begin(v, "look at snapshot", snap, err);

	if (r >= 0 && v->driver->origin)
		r = v->driver->origin(v, snap, ret, err);
	return end(v, r, err);
}

int volume_fill(struct volume *v, const char *snap, const char *origin, bool make, int *ret_fd,
	struct err *err)
{
	int r = begin(v, "receive", snap, err);

	if (r >= 0)
		r = v->driver->fill ? v->driver->fill(v, snap, origin, make, ret_fd, err)
				    : missing(v, "copies by the tree engine", err);
	return end(v, r, err);
}

int volume_filled(struct volume *v, const char *snap, const char *origin, struct err *err)
{
	int r = begin(v, "receive", snap, err);

	if (r >= 0)
		r = v->driver->filled ? v->driver->filled(v, snap, origin, err)
				      : missing(v, "copies by the tree engine", err);
	return end(v, r, err);
}

int volume_finish(struct volume *v, const char *snap, struct err *err)
{
	int r = begin(v, "finish", snap, err);

	if (r >= 0)
		r = v->driver->finish ? v->driver->finish(v, snap, err)
				      : missing(v, "stream of its own", err);
	return end(v, r, err);
}

int storage_sweep(const struct pool *p, struct err *err)
{
	const struct storage_driver *driver = driver_of(p);
	int r = trash_sweep(p->path, err);

	if (r >= 0 && driver->sweep)
		r = driver->sweep(p, err);
	return r < 0 ? err_prefix(err, "sweep pool %s", p->name) : 0;
}
