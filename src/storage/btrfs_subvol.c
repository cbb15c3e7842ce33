#include "storage/btrfs_subvol.h"

#include <btrfsutil.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/alloc.h"
#include "base/beneath.h"
#include "base/str.h"
#include "storage/btrfs_flags.h"

bool subvol_on_btrfs(int fd)
{
	struct statfs s;

	return fstatfs(fd, &s) == 0 && s.f_type == BTRFS_SUPER_MAGIC;
}

bool subvol_is(int fd)
{
	struct stat st;

	return subvol_on_btrfs(fd) && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode) &&
	       st.st_ino == BTRFS_FIRST_FREE_OBJECTID;
}

bool subvol_same_filesystem(int fd, int other)
{
	struct btrfs_ioctl_fs_info_args a = {0}, b = {0};

	return ioctl(fd, BTRFS_IOC_FS_INFO, &a) == 0 && ioctl(other, BTRFS_IOC_FS_INFO, &b) == 0 &&
	       memcmp(a.fsid, b.fsid, sizeof(a.fsid)) == 0;
}

/* Asks the kernel for what it has in memory: on disk there may be less. */
int subvol_info(int fd, struct subvol_info *ret, struct err *err)
{
	struct btrfs_ioctl_get_subvol_info_args i = {0};

	if (ioctl(fd, BTRFS_IOC_GET_SUBVOL_INFO, &i) < 0)
		return err_errno(err, "read what btrfs knows of a subvolume");
	*ret = (struct subvol_info){
		.id = i.treeid,
		.created = {(time_t)i.otime.sec, i.otime.nsec},
		.created_transid = i.otransid,
		.changed_transid = i.ctransid,
	};
	memcpy(ret->uuid, i.uuid, SUBVOL_UUID);
	memcpy(ret->parent, i.parent_uuid, SUBVOL_UUID);
	memcpy(ret->received, i.received_uuid, SUBVOL_UUID);
	return 0;
}

int subvol_create(int dirfd, const char *name, struct err *err)
{
	_cleanup_close_ int fd = -1;

	if (btrfs_util_create_subvolume_fd(dirfd, name, 0, NULL, NULL) != BTRFS_UTIL_OK)
		return err_errno(err, "create subvolume %s", name);
	fd = beneath_open(dirfd, name, O_RDONLY | O_DIRECTORY, 0, err);
	if (fd < 0)
		return fd;
	/* It began with the umask of whoever called us. */
	return fchmod(fd, 0755) < 0 ? err_errno(err, "set the mode of %s", name) : 0;
}

int subvol_snapshot(int fd, int dirfd, const char *name, bool read_only, struct err *err)
{
	int flags = read_only ? BTRFS_UTIL_CREATE_SNAPSHOT_READ_ONLY : 0;

	if (btrfs_util_create_snapshot_fd2(fd, dirfd, name, flags, NULL, NULL) != BTRFS_UTIL_OK)
		return err_errno(err, "create snapshot %s", name);
	return 0;
}

int subvol_set_received(int fd, const uint8_t uuid[SUBVOL_UUID], uint64_t transid, struct err *err)
{
	struct btrfs_ioctl_received_subvol_args args = {.stransid = transid};

	memcpy(args.uuid, uuid, SUBVOL_UUID);
	if (ioctl(fd, BTRFS_IOC_SET_RECEIVED_SUBVOL, &args) < 0)
		return err_errno(err, "mark a received subvolume");
	return 0;
}

/* The kernel deletes no folder that is immutable, and changes no flags in what is read-only. */
static bool lift(int dirfd, const char *name)
{
	_cleanup_close_ int fd = beneath_open_raw(dirfd, name, O_RDONLY | O_DIRECTORY, 0, 0);

	return fd >= 0 && btrfs_util_set_subvolume_read_only_fd(fd, false) == BTRFS_UTIL_OK &&
	       btrfs_flags_lift(fd);
}

int subvol_delete(int dirfd, const char *name, struct err *err)
{
	if (btrfs_util_delete_subvolume_fd(dirfd, name, 0) == BTRFS_UTIL_OK || errno == ENOENT)
		return 0;
	if (errno == EPERM && lift(dirfd, name) &&
		btrfs_util_delete_subvolume_fd(dirfd, name, 0) == BTRFS_UTIL_OK)
		return 0;
	if (errno == EPERM)
		return err_set(err, ERR_BUSY,
			"subvolume %s cannot be deleted: it is being sent, holds a swap file, or "
			"is the filesystem's default subvolume",
			name);
	return err_errno(err, "delete subvolume %s", name);
}

static int delete_at(int fd, const char *path, struct err *err)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *folder = xstrndup(path, slash ? (size_t)(slash - path) : 0);
	_cleanup_close_ int parent = beneath_open(fd, folder, O_RDONLY | O_DIRECTORY, 0, err);

	return parent < 0 ? parent : subvol_delete(parent, slash ? slash + 1 : path, err);
}

/* Where fd is in the subvolume that contains it: "" or "a/b/". */
static int place_in_subvol(int fd, char **ret, struct err *err)
{
	struct btrfs_ioctl_ino_lookup_args args = {0};
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(err, "look at a folder");
	if (st.st_ino == BTRFS_FIRST_FREE_OBJECTID) {
		*ret = xstrdup("");
		return 0;
	}
	args.objectid = st.st_ino;
	if (ioctl(fd, BTRFS_IOC_INO_LOOKUP, &args) < 0)
		return err_errno(err, "find a folder's place in its subvolume");
	args.name[sizeof(args.name) - 1] = '\0';
	*ret = xstrdup(args.name);
	return 0;
}

/* Calls each(fd, path below fd) for the subvolumes below fd, deepest first, until one is not 0. */
static int for_each_below(
	int fd, int (*each)(int fd, const char *path, struct err *err), struct err *err)
{
	struct btrfs_util_subvolume_iterator *iter;
	_cleanup_free_ char *place = NULL;
	enum btrfs_util_error e;
	uint64_t top;
	char *path;
	int r = place_in_subvol(fd, &place, err);

	if (r < 0)
		return r;
	/* Its own way to find the top wants fd to be one. */
	if (btrfs_util_subvolume_id_fd(fd, &top) != BTRFS_UTIL_OK)
		return err_errno(err, "list subvolumes");
	e = btrfs_util_create_subvolume_iterator_fd(
		fd, top, BTRFS_UTIL_SUBVOLUME_ITERATOR_POST_ORDER, &iter);
	if (e != BTRFS_UTIL_OK)
		return err_errno(err, "list subvolumes");
	while (r == 0) {
		e = btrfs_util_subvolume_iterator_next(iter, &path, NULL);
		if (e == BTRFS_UTIL_ERROR_STOP_ITERATION)
			break;
		if (e != BTRFS_UTIL_OK) {
			r = err_errno(err, "list subvolumes");
			break;
		}
		if (str_starts(path, place))
			r = each(fd, path + strlen(place), err);
		free(path);
	}
	btrfs_util_destroy_subvolume_iterator(iter);
	return r;
}

int subvol_delete_below(int fd, struct err *err)
{
	return for_each_below(fd, delete_at, err);
}

static int refuse(int fd, const char *path, struct err *err)
{
	(void)fd;
	return err_set(err, ERR_UNSUPPORTED,
		"there is a btrfs subvolume inside, at %s, which would be left out: delete it, or "
		"make a plain folder of it",
		path);
}

int subvol_check_none_below(int fd, struct err *err)
{
	return for_each_below(fd, refuse, err);
}
