#include "storage/blockfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/beneath.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/str.h"
#include "storage/backends.h"
#include "storage/blockdev.h"
#include "storage/blockfs_place.h"
#include "storage/blockrec.h"
#include "storage/driver.h"
#include "storage/files.h"
#include "storage/mkfs.h"
#include "storage/mount.h"
#include "storage/place.h"
#include "storage/settings.h"

void blockfs_done(struct blockfs *b)
{
	free(b->source);
	*b = (struct blockfs){0};
}

const struct blockfs_backend *blockfs_backend(const struct storage_driver *driver)
{
	if (driver == &image_driver)
		return &image_backend;
	if (driver == &device_driver)
		return &device_backend;
	return driver == &lvm_driver ? &lvm_backend : NULL;
}

bool blockfs_is(const struct volume *v)
{
	return blockfs_backend(v->driver) != NULL;
}

static const struct blockfs_backend *backend_of(const struct blockfs *b)
{
	return blockfs_backend(b->driver);
}

int blockfs_info(const struct volume *v, struct blockfs *ret, struct err *err)
{
	return blockrec_read(v->path, ret, err);
}

int blockfs_holds(const char *path, const char *driver, struct err *err)
{
	_cleanup_blockfs_ struct blockfs b = {0};
	int r = blockrec_exists(path) ? blockrec_read(path, &b, err) : -ERR_NOT_FOUND;

	if (r == -ERR_NOT_FOUND) {
		err_clear(err);
		return 0;
	}
	return r < 0 ? r : str_eq(b.driver->name, driver);
}

int blockfs_exists(struct volume *v, struct err *err)
{
	(void)err;
	return blockrec_exists(v->path);
}

/* --- mounting */

/* What the record says while the lock is held is so until it is let go. */
static int lock_and_read(struct volume *v, struct blockfs *b, int *ret_parent,
	const char **ret_name, struct err *err)
{
	int r = *ret_parent = blockfs_place_lock(v, false, ret_name, err);

	return r < 0 ? r : blockfs_info(v, b, err);
}

static int check_ready(const struct blockfs *b, struct err *err)
{
	switch (b->state) {
	case BLOCKFS_READY: return 0;
	case BLOCKFS_MAKING:
		return err_set(
			err, ERR_STATE, "its filesystem is not finished: making it broke off");
	case BLOCKFS_RELEASED: break;
	}
	return err_set(err, ERR_STATE,
		"its filesystem %s was handed over to another node: it is not mounted here",
		b->uuid);
}

int blockfs_root(struct volume *v, int *ret_fd, struct err *err)
{
	_cleanup_blockfs_ struct blockfs b = {0};
	_cleanup_close_ int parent = -1;
	const char *name;
	int r = blockrec_exists(v->path) ? lock_and_read(v, &b, &parent, &name, err)
					 : blockfs_info(v, &b, err);

	if (r >= 0)
		r = check_ready(&b, err);
	if (r >= 0)
		r = blockfs_place_mount(v, &b, parent, name, err);
	if (r >= 0)
		r = mount_open(v->path, b.uuid, err);
	if (r < 0)
		return r;
	*ret_fd = r;
	return 0;
}

int blockfs_mounted(const struct volume *v, struct err *err)
{
	_cleanup_blockfs_ struct blockfs b = {0};
	_cleanup_close_ int fd = -1;
	int r = blockfs_info(v, &b, err);

	if (r >= 0)
		r = mount_is(v->path, err);
	if (r <= 0)
		return r;
	fd = mount_open(v->path, b.uuid, err);
	return fd < 0 ? fd : 1;
}

int blockfs_unmount(struct volume *v, struct err *err)
{
	_cleanup_blockfs_ struct blockfs b = {0};
	_cleanup_close_ int parent = -1;
	const char *name;
	int r = lock_and_read(v, &b, &parent, &name, err);

	return r < 0 ? r : blockfs_place_clear(v, &b, err);
}

int blockfs_device(const struct volume *v, char **ret, struct err *err)
{
	_cleanup_blockfs_ struct blockfs b = {0};
	_cleanup_close_ int keep = -1;
	int r = blockfs_info(v, &b, err);

	return r < 0 ? r : backend_of(&b)->attach(&b, ret, &keep, err);
}

int blockfs_size(struct volume *v, struct volume_size *ret, struct err *err)
{
	_cleanup_close_ int fd = -1;
	struct statvfs s;
	int r = blockfs_root(v, &fd, err);

	if (r >= 0 && fstatvfs(fd, &s) < 0)
		r = err_errno(err, "find out its size");
	if (r < 0)
		return r;
	*ret = (struct volume_size){
		.bytes = (uint64_t)(s.f_blocks - s.f_bfree) * s.f_frsize,
		.inodes = s.f_files - s.f_ffree,
	};
	return 0;
}

int blockfs_limit(struct volume *v, uint64_t *ret, struct err *err)
{
	_cleanup_blockfs_ struct blockfs b = {0};
	int r = blockfs_info(v, &b, err);

	if (r >= 0)
		*ret = b.size;
	return r;
}

/* --- making */

static const char *type_for(const struct volume_wish *w, const struct pool_settings *s)
{
	if (w->fs[0] || s->fs[0])
		return w->fs[0] ? w->fs : s->fs;
	return w->like[0] ? w->like : "ext4";
}

static int choose(struct volume *v, struct blockfs *b, struct err *err)
{
	_cleanup_settings_ struct pool_settings s = {0};
	int r = pool_settings_read(v->pool_path, &s, err);

	if (r < 0)
		return r;
	b->driver = v->driver;
	b->state = BLOCKFS_MAKING;
	b->origin = BLOCKFS_FORMAT;
	snprintf(b->fs, sizeof(b->fs), "%s", type_for(&v->wish, &s));
	if (!blockfs_type_ok(b->fs))
		return err_set(err, ERR_INVALID,
			"\"%s\" is no filesystem that can be made here: ext4 or xfs", b->fs);
	if (!v->wish.size)
		v->wish.size = s.size;
	b->size = mkfs_size(b->fs, &v->wish);
	r = signature_uuid_make(b->uuid, err);
	return r < 0 ? r : backend_of(b)->choose(v, b, err);
}

static int begin_making(struct volume *v, struct blockfs *b, struct err *err)
{
	_cleanup_close_ int lock = place_open(v->pool_path, ".", true, err);
	struct stat st;
	int r;

	if (lstat(v->path, &st) == 0)
		return err_set(err, ERR_EXISTS, "there is something already");
	/* One at a time: what is chosen is taken before the next one looks. */
	if (lock >= 0 && flock(lock, LOCK_EX) < 0)
		return err_errno(err, "lock the pool");
	r = lock < 0 ? lock : choose(v, b, err);
	return r < 0 ? r : blockrec_write(v->path, b, err);
}

/* 1: that filesystem is on it already; the last try came so far. */
static int has_filesystem(const char *path, const struct blockfs *b, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct signature sig;
	int r = fd < 0 ? err_errno(err, "open %s", path) : signature_read(fd, &sig, err);

	return r <= 0 ? r : str_eq(sig.uuid, b->uuid);
}

static int format(struct volume *v, const struct blockfs *b, struct err *err)
{
	_cleanup_settings_ struct pool_settings s = {0};
	_cleanup_free_ char *path = NULL;
	int r = pool_settings_read(v->pool_path, &s, err);

	if (r >= 0)
		r = backend_of(b)->bare(b, &path, err);
	if (r >= 0)
		r = has_filesystem(path, b, err);
	return r != 0 ? r : mkfs_make(path, b, &v->wish, s.mmp, err);
}

static bool is_only(int fd, const char *name)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *e;

	while (dir && (e = readdir(dir)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..") && strcmp(e->d_name, name))
			return false;
	return dir != NULL;
}

bool blockfs_is_empty(int fd)
{
	return is_only(fd, "lost+found");
}

/* As empty as a new folder: what the tools left would be taken for the container's. */
static int furnish(const struct volume *v, const struct blockfs *b, struct err *err)
{
	_cleanup_close_ int fd = mount_open(v->path, b->uuid, err);

	if (fd < 0)
		return fd;
	if (!blockfs_is_empty(fd))
		return err_set(err, ERR_EXISTS, "there are files on %s already", b->source);
	if (unlinkat(fd, "lost+found", AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_errno(err, "remove lost+found");
	if (fchown(fd, 0, 0) < 0 || fchmod(fd, 0755) < 0)
		return err_errno(err, "set the mode of its root");
	return syncfs(fd) < 0 ? err_errno(err, "write it to disk") : 0;
}

/* A kernel without quotas mounts no ext4 that has project ids: then ours has none either. */
static int first_mount(
	struct volume *v, const struct blockfs *b, int parent, const char *name, struct err *err)
{
	_cleanup_free_ char *path = NULL;
	struct err e = ERR_INIT;
	int r = blockfs_place_mount(v, b, parent, name, err);

	if (r >= 0 || b->origin != BLOCKFS_FORMAT || !str_eq(b->fs, "ext4") ||
		backend_of(b)->bare(b, &path, &e) < 0 || mkfs_without_projects(path, &e) < 0)
		return r;
	err_clear(err);
	return blockfs_place_mount(v, b, parent, name, err);
}

static int make(struct volume *v, struct blockfs *b, int parent, const char *name, struct err *err)
{
	int r = fault_point("storage.blockfs.recorded", err);

	if (r >= 0)
		r = backend_of(b)->make(v, b, err);
	if (r >= 0 && b->origin == BLOCKFS_FORMAT)
		r = format(v, b, err);
	if (r >= 0)
		r = fault_point("storage.blockfs.made", err);
	if (r >= 0)
		r = first_mount(v, b, parent, name, err);
	if (r >= 0)
		r = furnish(v, b, err);
	if (r < 0)
		return r;
	b->state = BLOCKFS_READY;
	return blockrec_write(v->path, b, err);
}

/* Of one that was released the device may be in use by now: who has it is no business of ours. */
static int take_off_ours(const struct volume *v, const struct blockfs *b, struct err *err)
{
	int r = b->state == BLOCKFS_RELEASED ? mount_is(v->path, err) : 1;

	return r > 0 ? blockfs_place_clear(v, b, err) : r;
}

/* The record goes last: what could not be undone is found by it. */
static int unmake(struct volume *v, const struct blockfs *b, struct err *err)
{
	int r = take_off_ours(v, b, err);

	if (r >= 0 && b->origin == BLOCKFS_FORMAT && b->state != BLOCKFS_RELEASED)
		r = backend_of(b)->remove(b, err);
	if (r >= 0)
		r = blockfs_place_remove(v, err);
	if (r >= 0)
		r = fault_point("storage.blockfs.removed", err);
	return r < 0 ? r : blockrec_remove(v->path, err);
}

int blockfs_create(struct volume *v, struct err *err)
{
	_cleanup_blockfs_ struct blockfs b = {0};
	_cleanup_close_ int parent = -1;
	struct err undo = ERR_INIT;
	const char *name;
	int r = parent = blockfs_place_lock(v, true, &name, err);

	if (r >= 0)
		r = blockrec_exists(v->path) ? blockfs_info(v, &b, err) : begin_making(v, &b, err);
	if (r >= 0 && b.state != BLOCKFS_MAKING)
		return err_set(err, ERR_EXISTS, "there is one already");
	if (r < 0) {
		place_prune(v);
		return r;
	}
	v->driver = b.driver;
	r = make(v, &b, parent, name, err);
	if (r < 0 && unmake(v, &b, &undo) < 0)
		log_warning("%s: %s", v->path, undo.text);
	if (r < 0)
		place_prune(v);
	return r;
}

/* --- the end */

/* What is in a filesystem that was empty when it was given. */
static int empty(struct volume *v, struct err *err)
{
	_cleanup_closedir_ DIR *dir = NULL;
	const struct dirent *e;
	int fd = -1, r = blockfs_root(v, &fd, err);

	if (r == -ERR_NOT_FOUND) { /* whoever has taken the device away has its files */
		log_warning("%s: %s", v->path, err->text);
		err_clear(err);
		return 0;
	}
	if (r < 0)
		return r;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return err_errno(err, "list its files");
	}
	while (r >= 0 && (e = readdir(dir)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			r = beneath_remove_tree(dirfd(dir), e->d_name, err);
	return r;
}

static int sync_pool(const struct volume *v, struct err *err)
{
	_cleanup_close_ int fd = open(v->pool_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || syncfs(fd) < 0 ? err_errno(err, "write %s to disk", v->pool_path) : 0;
}

static int end_volume(struct volume *v, bool keep, struct err *err)
{
	_cleanup_blockfs_ struct blockfs b = {0};
	_cleanup_close_ int parent = -1;
	const char *name;
	int r = blockfs_info(v, &b, err);

	if (r == -ERR_NOT_FOUND) {
		err_clear(err);
		return blockrec_exists(v->path) ? r : blockfs_place_remove(v, err);
	}
	if (r >= 0 && !keep && b.origin == BLOCKFS_FILL && b.state == BLOCKFS_READY)
		r = empty(v, err);
	if (r >= 0)
		r = parent = blockfs_place_lock(v, false, &name, err);
	if (r < 0)
		return r;
	if (keep)
		b.origin = BLOCKFS_GIVEN;
	/* Copies of its files, which the tree engine has made in the pool. */
	r = files_destroy_snapshots(v, err);
	if (r >= 0)
		r = unmake(v, &b, err);
	if (r >= 0)
		place_prune(v);
	return r < 0 ? r : sync_pool(v, err);
}

int blockfs_destroy(struct volume *v, struct err *err)
{
	return end_volume(v, false, err);
}

int blockfs_forget(struct volume *v, struct err *err)
{
	return end_volume(v, true, err);
}

/* --- to its place */

/* The record is what makes it a volume: with it, it has moved. */
int blockfs_rename(struct volume *v, const char *new_path, struct err *err)
{
	_cleanup_blockfs_ struct blockfs b = {0};
	_cleanup_free_ char *from = blockrec_path(v->path), *to = blockrec_path(new_path);
	int r = blockfs_info(v, &b, err);

	if (r >= 0)
		r = blockfs_place_clear(v, &b, err);
	if (r >= 0)
		r = blockfs_place_remove(v, err);
	if (r < 0)
		return r;
	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) < 0)
		return err_errno(err, "move it to %s", new_path);
	return 0;
}

int blockfs_settle(struct volume *v, struct err *err)
{
	_cleanup_blockfs_ struct blockfs b = {0};
	_cleanup_close_ int fd = -1;
	int r = blockfs_info(v, &b, err);

	if (r >= 0 && backend_of(&b)->follow)
		r = backend_of(&b)->follow(&b, v->path, err);
	if (r >= 0)
		r = blockrec_write(v->path, &b, err);
	return r < 0 ? r : blockfs_root(v, &fd, err);
}

/* --- hand-over of a device */

static int set_state(struct volume *v, struct blockfs *b, enum blockfs_state state, struct err *err)
{
	b->state = state;
	return blockrec_write(v->path, b, err);
}

int blockfs_release(struct volume *v, struct err *err)
{
	_cleanup_blockfs_ struct blockfs b = {0};
	_cleanup_close_ int parent = -1;
	const char *name;
	int r = lock_and_read(v, &b, &parent, &name, err);

	if (r >= 0 && b.state == BLOCKFS_MAKING)
		r = check_ready(&b, err);
	/* First: a start that comes just now finds it released, or is what keeps it busy. */
	if (r >= 0)
		r = set_state(v, &b, BLOCKFS_RELEASED, err);
	if (r >= 0)
		r = blockfs_place_clear(v, &b, err);
	return r;
}

int blockfs_take_back(struct volume *v, struct err *err)
{
	_cleanup_blockfs_ struct blockfs b = {0};
	_cleanup_close_ int parent = -1;
	const char *name;
	int r = lock_and_read(v, &b, &parent, &name, err);

	if (r >= 0 && b.state == BLOCKFS_RELEASED)
		r = set_state(v, &b, BLOCKFS_READY, err);
	return r;
}

int blockfs_adopt(struct volume *v, const struct blockfs *b, struct err *err)
{
	struct blockfs own = {BLOCKFS_READY, BLOCKFS_GIVEN, &device_driver, .size = b->size};
	_cleanup_free_ char *device = NULL, *stable = NULL;
	_cleanup_close_ int parent = -1;
	const char *name;
	struct stat st;
	int r = blockdev_find(b->uuid, b->source, &device, err);

	if (r >= 0)
		r = parent = blockfs_place_lock(v, true, &name, err);
	if (r < 0)
		return r;
	if (blockrec_exists(v->path) || lstat(v->path, &st) == 0)
		return err_set(err, ERR_EXISTS, "there is something already");
	snprintf(own.fs, sizeof(own.fs), "%s", b->fs);
	snprintf(own.uuid, sizeof(own.uuid), "%s", b->uuid);
	own.source = stable = blockdev_stable(device);
	v->driver = &device_driver;
	r = blockrec_write(v->path, &own, err);
	return r < 0 ? r : blockfs_place_make(parent, name, err);
}
