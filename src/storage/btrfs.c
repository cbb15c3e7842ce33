/*
 * btrfs: a volume is a subvolume, its snapshots are read-only subvolumes.
 */
#include "storage/btrfs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/alloc.h"
#include "base/beneath.h"
#include "base/fault.h"
#include "storage/btrfs_origin.h"
#include "storage/btrfs_quota.h"
#include "storage/btrfs_subvol.h"
#include "storage/driver.h"
#include "storage/files.h"
#include "storage/place.h"
#include "storage/trash.h"
#include "storage/usage.h"

static int btrfs_probe(const char *path, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_errno(err, "%s", path);
	return subvol_on_btrfs(fd) ? 2 : 0;
}

/* A subvolume, and its snapshots can be beside it: not one that is mounted from elsewhere. */
static int btrfs_holds(const char *path, const char *pool_path, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int pool = open(pool_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || pool < 0)
		return err_errno(err, "%s", path);
	return subvol_is(fd) && subvol_same_filesystem(fd, pool);
}

static int btrfs_create(struct volume *v, struct err *err)
{
	_cleanup_close_ int parent = -1;
	const char *name;

	parent = place_open_parent(v, true, &name, err);
	return parent < 0 ? parent : subvol_create(parent, name, err);
}

static int open_volume(const struct volume *v, struct err *err)
{
	_cleanup_close_ int fd = open(v->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return err_errno(err, "open it");
	if (!subvol_is(fd))
		return err_set(err, ERR_UNSUPPORTED,
			"it is a plain folder, not a subvolume, and has no snapshots");
	return TAKE_FD(fd);
}

static int btrfs_limit(struct volume *v, uint64_t *ret, struct err *err)
{
	_cleanup_close_ int fd = open_volume(v, err);

	return fd < 0 ? fd : quota_limit(fd, ret, err);
}

static int btrfs_set_limit(struct volume *v, uint64_t bytes, struct err *err)
{
	_cleanup_close_ int fd = open_volume(v, err);

	return fd < 0 ? fd : quota_set_limit(fd, bytes, err);
}

/* Neither a snapshot nor a stream holds the subvolumes inside. */
static int btrfs_streams(struct volume *v, struct err *err)
{
	_cleanup_close_ int fd = open_volume(v, err);
	int r = fd < 0 ? fd : subvol_check_none_below(fd, err);

	if (r != -ERR_UNSUPPORTED)
		return r < 0 ? r : 1;
	err_clear(err);
	return 0;
}

static int btrfs_snapshot(struct volume *v, const char *snap, struct err *err)
{
	_cleanup_close_ int fd = open_volume(v, err);
	_cleanup_close_ int snaps = -1;
	int r;

	if (fd < 0)
		return fd;
	r = subvol_check_none_below(fd, err);
	if (r < 0)
		return r;
	snaps = place_open_snaps(v, true, err);
	return snaps < 0 ? snaps : subvol_snapshot(fd, snaps, snap, true, err);
}

/* Is what lies at fd a snapshot of that one, and unchanged? */
static int is_fresh(int fd, const struct subvol_info *of, struct err *err)
{
	struct subvol_info info;
	int r = subvol_info(fd, &info, err);

	if (r < 0)
		return r;
	return memcmp(info.parent, of->uuid, SUBVOL_UUID) == 0 &&
	       info.changed_transid <= info.created_transid;
}

/* What receiving needed is no longer needed. */
static int forget_receives(struct volume *v, struct err *err)
{
	_cleanup_close_ int snaps = place_open_snaps(v, false, err);
	int r = snaps < 0 ? snaps : btrfs_receive_clean(snaps, NULL, err);

	if (r >= 0 && unlinkat(snaps, BTRFS_BEGINNING, 0) < 0 && errno != ENOENT)
		r = err_errno(err, "remove " BTRFS_BEGINNING);
	return r;
}

/* What is there and not the snapshot was made when the place was reserved, or by an earlier try. */
static int make_live(struct volume *v, int snap, const struct subvol_info *info, struct err *err)
{
	_cleanup_close_ int parent = -1;
	_cleanup_close_ int now = -1;
	const char *name;
	int r;

	parent = place_open_parent(v, true, &name, err);
	if (parent < 0)
		return parent;
	now = beneath_open_raw(parent, name, O_RDONLY | O_DIRECTORY, 0, 0);
	if (now >= 0 && subvol_is(now)) {
		r = is_fresh(now, info, err);
		if (r != 0)
			return r < 0 ? r : 0;
	}
	r = trash_put(v->pool_path, parent, name, err);
	if (r >= 0)
		r = fault_point("storage.finish.make", err);
	return r < 0 ? r : subvol_snapshot(snap, parent, name, false, err);
}

static int btrfs_finish(struct volume *v, const char *snap, struct err *err)
{
	_cleanup_close_ int snap_fd = -1;
	struct subvol_info info;
	int r;

	r = files_snapshot_root(v, snap, &snap_fd, err);
	if (r >= 0)
		r = subvol_info(snap_fd, &info, err);
	if (r >= 0)
		r = make_live(v, snap_fd, &info, err);
	return r < 0 ? r : forget_receives(v, err);
}

const struct storage_driver btrfs_driver = {
	.name = "btrfs",
	.caps = STORAGE_SNAPSHOT | STORAGE_INCREMENTAL,
	.probe = btrfs_probe,
	.holds = btrfs_holds,
	.create = btrfs_create,
	.destroy = files_destroy,
	.rename = files_rename,
	.size = usage_size,
	.limit = btrfs_limit,
	.set_limit = btrfs_set_limit,
	.snapshot = btrfs_snapshot,
	.snapshot_destroy = files_snapshot_destroy,
	.snapshots = place_list_snaps,
	.snapshot_root = files_snapshot_root,
	.send = btrfs_send,
	.receive = btrfs_receive,
	.streams = btrfs_streams,
	.origin = btrfs_origin,
	.fill = btrfs_fill,
	.filled = btrfs_filled,
	.finish = btrfs_finish,
};
