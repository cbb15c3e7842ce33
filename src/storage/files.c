#include "storage/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/beneath.h"
#include "storage/place.h"
#include "storage/trash.h"

int files_destroy_snapshots(struct volume *v, struct err *err)
{
	_cleanup_free_ char *sub = xasprintf("snap/%s", v->owner);
	_cleanup_close_ int fd = place_open(v->pool_path, sub, false, err);

	if (fd == -ERR_NOT_FOUND) {
		err_clear(err);
		return 0;
	}
	return fd < 0 ? fd : trash_put(v->pool_path, fd, v->name, err);
}

/* Whoever notes that it is gone must not see it again after a power cut. */
static int settle(const struct volume *v, struct err *err)
{
	_cleanup_close_ int fd = open(v->pool_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || syncfs(fd) < 0)
		return err_errno(err, "write %s to disk", v->pool_path);
	return 0;
}

/* Its files first: snapshots without a volume are found by whoever destroys it once more. */
int files_destroy(struct volume *v, struct err *err)
{
	_cleanup_close_ int parent = -1;
	const char *name;
	int r;

	parent = place_open_parent(v, false, &name, err);
	if (parent < 0 && parent != -ERR_NOT_FOUND)
		return parent;
	err_clear(err);
	r = parent < 0 ? 0 : trash_put(v->pool_path, parent, name, err);
	if (r >= 0)
		r = files_destroy_snapshots(v, err);
	if (r < 0)
		return r;
	place_prune(v);
	return settle(v, err);
}

int files_rename(struct volume *v, const char *new_path, struct err *err)
{
	if (renameat2(AT_FDCWD, v->path, AT_FDCWD, new_path, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno == EBUSY)
		return err_set(err, ERR_BUSY, "it is a mount point: unmount it first");
	if (errno == EXDEV)
		return err_set(err, ERR_INVALID, "%s is on another filesystem", new_path);
	return err_errno(err, "move it to %s", new_path);
}

int files_snapshot_destroy(struct volume *v, const char *snap, struct err *err)
{
	_cleanup_close_ int fd = place_open_snaps(v, false, err);
	int r;

	if (fd == -ERR_NOT_FOUND) {
		err_clear(err);
		return 0;
	}
	r = fd < 0 ? fd : trash_put(v->pool_path, fd, snap, err);
	if (r >= 0)
		place_prune_snaps(v);
	return r;
}

int files_snapshot_root(struct volume *v, const char *snap, int *ret_fd, struct err *err)
{
	_cleanup_close_ int fd = place_open_snaps(v, false, err);
	int root;

	if (fd < 0)
		return fd == -ERR_NOT_FOUND
			       ? err_set(err, ERR_NOT_FOUND, "it has no snapshot %s", snap)
			       : fd;
	root = beneath_open_raw(fd, snap, O_RDONLY | O_DIRECTORY, 0, 0);
	if (root < 0 && errno == ENOENT)
		return err_set(err, ERR_NOT_FOUND, "it has no snapshot %s", snap);
	if (root < 0)
		return err_errno(err, "open snapshot %s", snap);
	*ret_fd = root;
	return 0;
}
