#include "storage/trash.h"

#include <errno.h>
#include <fcntl.h>
#include <libmount/libmount.h>
#include <limits.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/beneath.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/str.h"
#include "storage/btrfs_subvol.h"
#include "storage/place.h"

/* Takes the table of mounts and the path to look below; looks at the path itself too. */
static int check_table(struct libmnt_table *table, const char *path, struct err *err)
{
	struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_FORWARD);
	struct libmnt_fs *fs;
	size_t n = strlen(path);
	int r = 0;

	while (r == 0 && mnt_table_next_fs(table, iter, &fs) == 0) {
		const char *target = mnt_fs_get_target(fs);

		if (target && str_starts(target, path) && (target[n] == '\0' || target[n] == '/'))
			r = err_set(err, ERR_BUSY,
				"%s is a mount point: unmount it first, nothing was removed",
				target);
	}
	mnt_free_iter(iter);
	return r;
}

/* Good manners before anything is touched; safety rests on the kernel's refusals on the way. */
static int check_no_mounts(int fd, struct err *err)
{
	struct libmnt_table *table;
	char proc[64], path[PATH_MAX];
	ssize_t n;
	int r;

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	n = readlink(proc, path, sizeof(path) - 1);
	table = mnt_new_table_from_file("/proc/self/mountinfo");
	if (n < 0 || !table) {
		mnt_unref_table(table);
		return err_errno(err, "look for mounts below a volume");
	}
	path[n] = '\0';
	r = check_table(table, path, err);
	mnt_unref_table(table);
	return r;
}

/* A folder of which subvolumes may be part, or a subvolume, wherever it lies. */
static int remove_all(int dirfd, const char *name, struct err *err)
{
	_cleanup_close_ int fd = beneath_open_raw(dirfd, name, O_RDONLY | O_DIRECTORY, 0, 0);
	bool subvol = false;
	int r = 0;

	if (fd >= 0 && subvol_on_btrfs(fd)) {
		subvol = subvol_is(fd);
		r = subvol_delete_below(fd, err);
	}
	if (r < 0)
		return r;
	return subvol ? subvol_delete(dirfd, name, err) : beneath_remove_tree(dirfd, name, err);
}

/* Into the trash; 1: it cannot be moved and has to be removed where it is. */
static int move(int dirfd, const char *name, int trash, const char *id, struct err *err)
{
	if (renameat(dirfd, name, trash, id) == 0)
		return 0;
	/* A read-only subvolume, a folder whose filesystem is mounted above it, an immutable one.
	 */
	if (errno == EROFS || errno == EXDEV || errno == EPERM)
		return 1;
	if (errno == EBUSY)
		return err_set(err, ERR_BUSY, "%s is a mount point: unmount it first", name);
	return err_errno(err, "move %s to the trash", name);
}

int trash_put(const char *pool_path, int dirfd, const char *name, struct err *err)
{
	_cleanup_close_ int fd = beneath_open_raw(dirfd, name, O_PATH, 0, 0);
	_cleanup_close_ int trash = -1;
	unsigned long long random;
	char id[32];
	int r;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return errno == EXDEV ? err_set(err, ERR_BUSY,
						"%s is a mount point: unmount it first", name)
				      : err_errno(err, "open %s", name);
	r = check_no_mounts(fd, err);
	if (r < 0)
		return r;
	trash = place_open(pool_path, "trash", true, err);
	if (trash < 0)
		return trash;
	if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return err_errno(err, "get a random number");
	snprintf(id, sizeof(id), "%016llx", random);
	r = move(dirfd, name, trash, id, err);
	if (r < 0 || fault_point("storage.trash.moved", err) < 0)
		return -(int)err->code;
	return r == 0 ? remove_all(trash, id, err) : remove_all(dirfd, name, err);
}

int trash_sweep(const char *pool_path, struct err *err)
{
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *e;
	int fd, r = 0;

	fd = place_open(pool_path, "trash", false, err);
	if (fd == -ERR_NOT_FOUND) {
		err_clear(err);
		return 0;
	}
	if (fd < 0)
		return fd;
	dir = fdopendir(fd);
	if (!dir) {
		err_errno(err, "list the trash of %s", pool_path);
		close(fd);
		return -(int)err->code;
	}
	while ((e = readdir(dir))) {
		struct err one = ERR_INIT;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (remove_all(fd, e->d_name, &one) >= 0)
			continue;
		log_debug("sweep %s: %s", pool_path, one.text);
		if (r == 0)
			r = err_copy(err, &one);
	}
	return r;
}
