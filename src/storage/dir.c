/*
 * Plain folders on any filesystem: no snapshots and no streams of their own; the tree engine copies
 * them, and its copies lie where snapshots of other drivers do.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/beneath.h"
#include "storage/driver.h"
#include "storage/files.h"
#include "storage/place.h"
#include "storage/usage.h"

static int dir_probe(const char *path, struct err *err)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return err_errno(err, "%s", path);
	return S_ISDIR(st.st_mode);
}

static int dir_holds(const char *path, const char *pool_path, struct err *err)
{
	(void)pool_path;
	return dir_probe(path, err);
}

static int dir_create(struct volume *v, struct err *err)
{
	_cleanup_close_ int parent = -1;
	const char *name;

	parent = place_open_parent(v, true, &name, err);
	if (parent < 0)
		return parent;
	if (mkdirat(parent, name, 0755) < 0)
		return err_errno(err, "create the folder");
	return fchmodat(parent, name, 0755, 0) < 0 ? err_errno(err, "set the folder's mode") : 0;
}

const struct storage_driver dir_driver = {
	.name = "dir",
	.probe = dir_probe,
	.holds = dir_holds,
	.create = dir_create,
	.destroy = files_destroy,
	.rename = files_rename,
	.size = usage_size,
	.snapshot_destroy = files_snapshot_destroy,
	.snapshots = place_list_snaps,
	.snapshot_root = files_snapshot_root,
};
