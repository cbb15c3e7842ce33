/*
 * ZFS: a volume is a dataset with what is nested in it, its snapshots are recursive ones. All by
 * the zfs tool, except looking into a snapshot, which is mounted without a place.
 *
 * What arrives is never mounted by itself (canmount=noauto), and only for reading once it is looked
 * at, so that the next increment fits; when it is published it gets the place, and the
 * limits, that it had. A nested dataset stays canmount=noauto: whoever mounts it at boot would
 * follow the symbolic links that the container makes on the way to it. It is mounted here, where
 * those are refused.
 */
#include "storage/zfs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/beneath.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/num.h"
#include "storage/driver.h"
#include "storage/place.h"
#include "storage/zfs_dataset.h"
#include "storage/zfs_props.h"

static int zfs_probe(const char *path, struct err *err)
{
	_cleanup_free_ char *dataset = NULL;
	int r = zfs_mounted_at(path, &dataset, err);

	return r > 0 ? 3 : r;
}

static int zfs_holds(const char *path, const char *pool_path, struct err *err)
{
	_cleanup_free_ char *dataset = NULL;

	(void)pool_path;
	return zfs_mounted_at(path, &dataset, err);
}

static int dataset_exists(struct volume *v, char **ret, struct err *err)
{
	_cleanup_free_ char *dataset = NULL;
	int r = zfs_dataset_of(v, &dataset, err);

	if (r >= 0)
		r = zfs_exists(dataset, err);
	if (r > 0)
		*ret = TAKE_PTR(dataset);
	return r;
}

static int zfs_there(struct volume *v, struct err *err)
{
	_cleanup_free_ char *dataset = NULL;

	return dataset_exists(v, &dataset, err);
}

static int must_exist(struct volume *v, char **ret, struct err *err)
{
	int r = dataset_exists(v, ret, err);

	return r == 0 ? err_set(err, ERR_NOT_FOUND, "it has no dataset") : MIN(r, 0);
}

/* With what is nested in it: names from the dataset on, itself first, "". */
static int must_exist_all(struct volume *v, char **ret, char ***ret_names, struct err *err)
{
	int r = must_exist(v, ret, err);

	return r < 0 ? r : zfs_nested(*ret, ret_names, err);
}

/* --- mounting */

/* Its place is where the volume is, whatever the datasets above it say. */
static int set_mountpoint(const char *dataset, const char *path, struct err *err)
{
	_cleanup_free_ char *now = NULL;
	int r = zfs_get(dataset, "mountpoint", &now, err);

	return r < 0 || str_eq(now, path) ? r : zfs_set(dataset, "mountpoint", path, err);
}

static int mount_dataset(const char *dataset, bool read_only, struct err *err)
{
	const char *writable[] = {"zfs", "mount", dataset, NULL};
	const char *look_only[] = {"zfs", "mount", "-o", "ro,noatime", dataset, NULL};

	return zfs_run(read_only ? look_only : writable, err);
}

static int zfs_mount(struct volume *v, struct err *err)
{
	_cleanup_free_ char *dataset = NULL, *there = NULL, *arriving = NULL;
	_cleanup_close_ int parent = -1;
	const char *name;
	int r = zfs_mounted_at(v->path, &there, err);

	if (r != 0)
		return MIN(r, 0);
	r = must_exist(v, &dataset, err);
	if (r >= 0)
		r = zfs_get(dataset, ZFS_ARRIVING, &arriving, err);
	if (r >= 0)
		r = set_mountpoint(dataset, v->path, err);
	if (r < 0)
		return r;
	parent = place_open_parent(v, true, &name, err);
	if (parent < 0)
		return parent;
	return mount_dataset(dataset, str_eq(arriving, "yes"), err);
}

/* A nested one, onto the very folder that was looked at: where a symbolic link is on the way, or is
 * put there meanwhile, it is not followed. */
static int mount_nested(
	const struct volume *v, const char *dataset, const char *name, struct err *err)
{
	_cleanup_close_ int root = open(v->path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_free_ char *path = xasprintf("%s/%s", v->path, name);
	_cleanup_free_ char *full = zfs_join(dataset, name);
	_cleanup_free_ char *options = xasprintf("mntpoint=%s", path);
	_cleanup_free_ char *there = NULL;
	_cleanup_close_ int fd = -1;
	char proc[64];
	int r = zfs_mounted_where(full, &there, err);

	if (r < 0 || there)
		return r;
	fd = root < 0 ? -1 : beneath_open_raw(root, name, O_PATH | O_DIRECTORY, 0, BENEATH_XDEV);
	if (fd < 0)
		return err_errno(err, "%s: the place of the dataset %s", path, full);
	r = set_mountpoint(full, path, err);
	if (r < 0)
		return r;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	return mount(full, proc, "zfs", 0, options) < 0
		       ? err_errno(err, "mount %s at %s", full, path)
		       : 0;
}

/* "DATASET<tab>on" in the pool on base: is it nested in a volume of the pool that is mounted? */
static int mount_again(const struct pool *p, const char *base, char *line, struct err *err)
{
	size_t n = strlen(base);
	char *tab = strchr(line, '\t'), *ct, *name, *rest;
	_cleanup_volume_ struct volume *v = NULL;
	_cleanup_free_ char *dataset = NULL, *mounted = NULL;
	int r;

	if (!tab || !str_eq(tab + 1, "on") || strncmp(line, base, n) != 0 || line[n] != '/')
		return 0;
	*tab = '\0';
	ct = line + n + 1;
	name = strchr(ct, '/');
	rest = name ? strchr(name + 1, '/') : NULL;
	if (!rest || str_starts(ct, ".wherry/"))
		return 0;
	*name++ = *rest++ = '\0';
	v = volume_in_pool(p, ct, name);
	r = zfs_mounted_at(v->path, &mounted, err);
	if (r <= 0)
		return r;
	dataset = xasprintf("%s/%s/%s", base, ct, name);
	return str_eq(dataset, mounted) ? mount_nested(v, dataset, rest, err) : 0;
}

/* After a boot: the nested datasets of volumes that are mounted. */
static int zfs_sweep(const struct pool *p, struct err *err)
{
	_cleanup_free_ char *base = NULL, *out = NULL;
	const char *argv[] = {"zfs", "get", "-H", "-r", "-t", "filesystem", "-s", "local", "-o",
		"name,value", ZFS_CANMOUNT, NULL, NULL};
	_cleanup_strv_ char **lines = NULL;
	int r = zfs_mounted_at(p->path, &base, err);

	if (r <= 0)
		return r;
	argv[11] = base;
	r = zfs_capture(argv, &out, err);
	if (r < 0)
		return r;
	lines = str_split(out, "\n", false);
	for (size_t i = 0; lines[i]; i++) {
		struct err e = ERR_INIT;

		if (mount_again(p, base, lines[i], &e) < 0)
			log_warning("pool %s: %s", p->name, e.text);
	}
	return 0;
}

/* --- the life of a volume */

static int zfs_create(struct volume *v, struct err *err)
{
	bool staged = strstr(v->path, "/.wherry/staged/");
	const char *mount = staged ? "canmount=noauto" : "canmount=on";
	_cleanup_free_ char *dataset = NULL;
	_cleanup_close_ int parent = -1;
	const char *name;
	int r = zfs_dataset_of(v, &dataset, err);

	if (r >= 0)
		r = zfs_exists(dataset, err);
	if (r > 0)
		return err_set(err, ERR_EXISTS, "there is a dataset %s already", dataset);
	if (r >= 0)
		r = parent = place_open_parent(v, true, &name, err);
	if (r < 0)
		return r;
	if (unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_errno(err, "there are files at %s already", v->path);
	r = zfs_make_above(v, dataset, err);
	if (r >= 0) {
		const char *argv[] = {"zfs", "create", "-o", mount, dataset, NULL};

		r = zfs_run(argv, err);
	}
	if (r >= 0 && staged)
		r = zfs_set(dataset, ZFS_CANMOUNT, "on", err);
	return r < 0 ? r : zfs_mount(v, err);
}

/* Our own holds only: what somebody else holds is somebody else's. */
static int release_holds(const char *dataset, struct err *err)
{
	const char *argv[] = {"zfs", "list", "-H", "-p", "-r", "-t", "snapshot", "-o",
		"name,userrefs", dataset, NULL};
	_cleanup_strv_ char **lines = NULL;
	_cleanup_free_ char *out = NULL;
	int r = zfs_capture(argv, &out, err);

	if (r < 0)
		return r;
	lines = str_split(out, "\n", false);
	for (size_t i = 0; lines[i]; i++) {
		const char *release[] = {"zfs", "release", ZFS_HOLD, lines[i], NULL};
		char *tab = strchr(lines[i], '\t');
		struct err ignored = ERR_INIT;

		if (!tab || str_eq(tab + 1, "0"))
			continue;
		*tab = '\0';
		(void)!zfs_run(release, &ignored);
	}
	return 0;
}

static int busy(int r, struct err *err)
{
	if (r < 0 && (strstr(err->text, "busy") || strstr(err->text, "in use"))) {
		err->code = ERR_BUSY;
		return -ERR_BUSY;
	}
	return r;
}

static void remove_folder(const struct volume *v)
{
	(void)rmdir(v->path);
	place_prune(v);
}

static int zfs_destroy(struct volume *v, struct err *err)
{
	_cleanup_free_ char *dataset = NULL;
	const char *argv[] = {"zfs", "destroy", "-r", NULL, NULL};
	int r = dataset_exists(v, &dataset, err);

	if (r <= 0) {
		if (r == 0)
			remove_folder(v);
		return r;
	}
	if (!strchr(dataset, '/'))
		return err_set(err, ERR_INVALID, "%s is a whole pool", dataset);
	r = busy(zfs_unmount_all(dataset, err), err);
	if (r >= 0)
		r = release_holds(dataset, err);
	if (r < 0)
		return r;
	argv[3] = dataset;
	r = busy(zfs_run(argv, err), err);
	if (r < 0)
		return r;
	zfs_prune_above(dataset);
	remove_folder(v);
	return 0;
}

static int zfs_rename(struct volume *v, const char *new_path, struct err *err)
{
	_cleanup_free_ char *old = NULL, *new = NULL;
	const char *argv[] = {"zfs", "rename", NULL, NULL, NULL};
	int r = must_exist(v, &old, err);

	if (r >= 0)
		r = zfs_dataset_at(v, new_path, &new, err);
	if (r >= 0)
		r = zfs_make_above(v, new, err);
	if (r >= 0)
		r = busy(zfs_unmount_all(old, err), err);
	if (r < 0)
		return r;
	argv[2] = old;
	argv[3] = new;
	r = zfs_run(argv, err);
	if (r < 0)
		return r;
	zfs_prune_above(old);
	(void)rmdir(v->path);
	return 0;
}

static int settle_one(const char *dataset, bool nested, struct err *err)
{
	_cleanup_free_ char *arriving = NULL, *mount = NULL;
	int r = zfs_get(dataset, ZFS_ARRIVING, &arriving, err);

	if (r >= 0)
		r = zfs_get(dataset, ZFS_CANMOUNT, &mount, err);
	if (r >= 0)
		r = zfs_props_settle(dataset, err);
	if (r >= 0 && !nested && str_eq(mount, "on"))
		r = zfs_set(dataset, "canmount", "on", err);
	if (r >= 0 && str_eq(arriving, "yes"))
		r = zfs_unset(dataset, ZFS_ARRIVING, err);
	if (r >= 0 && !nested && !str_eq(mount, "-"))
		r = zfs_unset(dataset, ZFS_CANMOUNT, err);
	return r;
}

/* canmount=on mounts a dataset that has been inherited a place: for reading and writing from then
 * on. */
static int zfs_settle(struct volume *v, struct err *err)
{
	_cleanup_free_ char *dataset = NULL;
	_cleanup_strv_ char **names = NULL;
	int r = must_exist_all(v, &dataset, &names, err);

	for (size_t i = 0; r >= 0 && names[i]; i++) {
		_cleanup_free_ char *full = zfs_join(dataset, names[i]);

		r = settle_one(full, i > 0, err);
	}
	if (r >= 0)
		r = zfs_mount(v, err);
	for (size_t i = 1; r >= 0 && names[i]; i++) {
		_cleanup_free_ char *full = zfs_join(dataset, names[i]);
		_cleanup_free_ char *mount = NULL;

		r = zfs_get(full, ZFS_CANMOUNT, &mount, err);
		if (r >= 0 && str_eq(mount, "on"))
			r = mount_nested(v, dataset, names[i], err);
	}
	return r;
}

static int add_size(const char *line, struct volume_size *ret, struct err *err)
{
	uint64_t bytes;
	int r = num_u64(line, INT64_MAX, &bytes, err);

	if (r >= 0)
		ret->bytes += bytes;
	return r;
}

static int zfs_size(struct volume *v, struct volume_size *ret, struct err *err)
{
	_cleanup_free_ char *dataset = NULL, *out = NULL;
	const char *argv[] = {"zfs", "list", "-H", "-p", "-r", "-t", "filesystem", "-o",
		"referenced", NULL, NULL};
	_cleanup_strv_ char **lines = NULL;
	int r = must_exist(v, &dataset, err);

	if (r < 0)
		return r;
	argv[9] = dataset;
	r = zfs_capture(argv, &out, err);
	if (r < 0)
		return r;
	*ret = (struct volume_size){0};
	lines = str_split(out, "\n", false);
	for (size_t i = 0; r >= 0 && lines[i]; i++)
		r = add_size(lines[i], ret, err);
	return r;
}

/* Its own files' limit; that of it with its snapshots and what is nested in it if there is no such.
 */
static int zfs_limit(struct volume *v, uint64_t *ret, struct err *err)
{
	_cleanup_free_ char *dataset = NULL;
	int r = must_exist(v, &dataset, err);

	if (r >= 0)
		r = zfs_get_u64(dataset, "refquota", ret, err);
	if (r >= 0 && !*ret)
		r = zfs_get_u64(dataset, "quota", ret, err);
	return r;
}

static int zfs_set_limit(struct volume *v, uint64_t bytes, struct err *err)
{
	_cleanup_free_ char *dataset = NULL;
	_cleanup_free_ char *value = xasprintf("%llu", (unsigned long long)bytes);
	int r = must_exist(v, &dataset, err);

	return r < 0 ? r : zfs_set(dataset, "refquota", value, err);
}

/* --- snapshots */

static int zfs_snapshot_destroy(struct volume *v, const char *snap, struct err *err)
{
	_cleanup_free_ char *dataset = NULL, *name = NULL;
	struct err ignored = ERR_INIT;
	int r = dataset_exists(v, &dataset, err);

	if (r <= 0)
		return r;
	name = zfs_at(dataset, snap);
	const char *release[] = {"zfs", "release", "-r", ZFS_HOLD, name, NULL};
	const char *destroy[] = {"zfs", "destroy", "-r", name, NULL};

	if (str_starts(snap, "wherry-"))
		(void)!zfs_run(release, &ignored);
	r = zfs_run(destroy, err);
	if (r < 0 && strstr(err->text, "could not find any snapshots")) {
		err_clear(err);
		return 0;
	}
	return busy(r, err);
}

/* Ours are held, so that no program that tidies up takes the base of the next increment. */
static int zfs_snapshot(struct volume *v, const char *snap, struct err *err)
{
	_cleanup_free_ char *dataset = NULL, *name = NULL;
	int r = must_exist(v, &dataset, err);

	if (r < 0)
		return r;
	name = zfs_at(dataset, snap);
	const char *take[] = {"zfs", "snapshot", "-r", name, NULL};
	const char *hold[] = {"zfs", "hold", "-r", ZFS_HOLD, name, NULL};

	r = zfs_run(take, err);
	if (r < 0 && zfs_exists(name, &(struct err)ERR_INIT) > 0)
		return err_set(err, ERR_EXISTS, "there is a snapshot %s already", snap);
	if (r >= 0 && str_starts(snap, "wherry-")) {
		struct err ignored = ERR_INIT;

		r = zfs_run(hold, err);
		if (r < 0)
			(void)!zfs_snapshot_destroy(v, snap, &ignored);
	}
	return r;
}

static int zfs_snapshots(struct volume *v, struct snapshot_vec *ret, struct err *err)
{
	_cleanup_free_ char *dataset = NULL;
	int r = zfs_dataset_of(v, &dataset, err);

	return r < 0 ? r : zfs_snapshots_of(dataset, ret, err);
}

/* Mounted nowhere: it goes with the last descriptor. */
static int mount_unseen(const char *source, struct err *err)
{
	_cleanup_close_ int fs = (int)syscall(SYS_fsopen, "zfs", FSOPEN_CLOEXEC);
	_cleanup_close_ int mnt = -1;
	int root;

	if (fs < 0 || syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "source", source, 0) < 0 ||
		syscall(SYS_fsconfig, fs, FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0 ||
		syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return err_errno(err, "open %s", source);
	mnt = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC,
		MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOATIME);
	if (mnt < 0)
		return err_errno(err, "mount %s", source);
	root = openat(mnt, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return root < 0 ? err_errno(err, "open the root of %s", source) : root;
}

static int zfs_snapshot_root(struct volume *v, const char *snap, int *ret_fd, struct err *err)
{
	_cleanup_free_ char *dataset = NULL, *name = NULL;
	int r = must_exist(v, &dataset, err);

	if (r < 0)
		return r;
	name = zfs_at(dataset, snap);
	r = zfs_exists(name, err);
	if (r == 0)
		return err_set(err, ERR_NOT_FOUND, "it has no snapshot %s", snap);
	if (r > 0)
		r = mount_unseen(name, err);
	if (r < 0)
		return r;
	*ret_fd = r;
	return 0;
}

/* What arrived was only looked at since, so this does nothing, but after a tool was there. */
static int zfs_finish(struct volume *v, const char *snap, struct err *err)
{
	_cleanup_free_ char *dataset = NULL;
	_cleanup_strv_ char **names = NULL;
	int r = must_exist_all(v, &dataset, &names, err);

	for (size_t i = 0; r >= 0 && names[i]; i++) {
		_cleanup_free_ char *full = zfs_join(dataset, names[i]);
		_cleanup_free_ char *name = zfs_at(full, snap);
		const char *argv[] = {"zfs", "rollback", name, NULL};

		r = fault_point("storage.finish.make", err);
		if (r >= 0)
			r = zfs_exists(name, err);
		if (r == 0 && i == 0)
			return err_set(err, ERR_NOT_FOUND, "it has no snapshot %s", snap);
		if (r > 0)
			r = zfs_run(argv, err);
	}
	return MIN(r, 0);
}

static int zfs_whole(struct volume *v, struct err *err)
{
	_cleanup_free_ char *dataset = NULL;
	_cleanup_strv_ char **names = NULL;
	int r = must_exist_all(v, &dataset, &names, err);

	if (r >= 0 && names[1])
		r = err_set(err, ERR_UNSUPPORTED,
			"%s has datasets nested in it (%s), which only a pool of ZFS on the other "
			"side can take: send it to one, or move their files into it",
			dataset, names[1]);
	return r;
}

const struct storage_driver zfs_driver = {
	.name = "zfs",
	.caps = STORAGE_SNAPSHOT | STORAGE_INCREMENTAL,
	.probe = zfs_probe,
	.holds = zfs_holds,
	.exists = zfs_there,
	.create = zfs_create,
	.destroy = zfs_destroy,
	.rename = zfs_rename,
	.settle = zfs_settle,
	.mount = zfs_mount,
	.size = zfs_size,
	.limit = zfs_limit,
	.set_limit = zfs_set_limit,
	.snapshot = zfs_snapshot,
	.snapshot_destroy = zfs_snapshot_destroy,
	.snapshots = zfs_snapshots,
	.snapshot_root = zfs_snapshot_root,
	.whole = zfs_whole,
	.send = zfs_send,
	.offer = zfs_offer,
	.receive = zfs_receive,
	.finish = zfs_finish,
	.sweep = zfs_sweep,
};
