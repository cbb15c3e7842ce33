#include "storage/blockdev.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"
#include "storage/mount.h"
#include "storage/signature.h"

#define LOOP_TRIES 64

int blockdev_open(const char *path, int flags, struct err *err)
{
	_cleanup_close_ int fd = open(path, flags | O_NONBLOCK | O_CLOEXEC);
	_cleanup_free_ char *who = NULL;
	struct stat st;

	if (fd < 0 && errno == EBUSY) {
		if (stat(path, &st) == 0)
			who = mount_who(st.st_rdev);
		return err_set(err, ERR_BUSY, "%s is in use: %s", path,
			who ? who : "by an array, a volume group or another program");
	}
	if (fd < 0)
		return errno == ENOENT ? err_set(err, ERR_NOT_FOUND, "there is no device %s", path)
				       : err_errno(err, "open %s", path);
	if (fstat(fd, &st) < 0)
		return err_errno(err, "look at %s", path);
	if (!S_ISBLK(st.st_mode))
		return err_set(err, ERR_INVALID, "%s is not a block device", path);
	return TAKE_FD(fd);
}

int blockdev_size(int fd, uint64_t *ret, struct err *err)
{
	return ioctl(fd, BLKGETSIZE64, ret) < 0 ? err_errno(err, "find out the device's size") : 0;
}

int blockdev_path(dev_t dev, char **ret, struct err *err)
{
	_cleanup_free_ char *uevent = xasprintf(
		"/sys/dev/block/%u:%u/uevent", major(dev), minor(dev));
	_cleanup_free_ char *text = NULL, *path = NULL;
	_cleanup_strv_ char **lines = NULL;
	struct stat st;
	size_t n;
	int r = file_read(uevent, 4096, &text, &n, err);

	if (r < 0)
		return r;
	lines = str_split(text, "\n", false);
	for (size_t i = 0; lines[i] && !path; i++)
		if (str_starts(lines[i], "DEVNAME="))
			path = xasprintf("/dev/%s", lines[i] + strlen("DEVNAME="));
	if (!path || stat(path, &st) < 0 || !S_ISBLK(st.st_mode) || st.st_rdev != dev)
		return err_set(err, ERR_NOT_FOUND, "there is no name for the device %u:%u",
			major(dev), minor(dev));
	*ret = TAKE_PTR(path);
	return 0;
}

/* Does it have that filesystem? What can't be opened or read has not. */
static bool has_uuid(const char *path, const char *uuid, dev_t *ret_dev)
{
	struct err ignored = ERR_INIT;
	_cleanup_close_ int fd = blockdev_open(path, O_RDONLY, &ignored);
	struct signature sig;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || signature_read(fd, &sig, &ignored) <= 0 ||
		!str_eq(sig.uuid, uuid))
		return false;
	*ret_dev = st.st_rdev;
	return true;
}

/* A path to a disk beneath a multipath or an array that is complete: what lies on top is it. */
static bool has_holders(const char *name)
{
	_cleanup_free_ char *path = xasprintf("/sys/class/block/%s/holders", name);
	_cleanup_closedir_ DIR *dir = opendir(path);
	const struct dirent *e;

	while (dir && (e = readdir(dir)))
		if (e->d_name[0] != '.')
			return true;
	return false;
}

static int find_anywhere(const char *uuid, char **ret, struct err *err)
{
	_cleanup_closedir_ DIR *dir = opendir("/sys/class/block");
	_cleanup_free_ char *found = NULL;
	const struct dirent *e;
	dev_t dev;

	while (dir && (e = readdir(dir))) {
		_cleanup_free_ char *path = xasprintf("/dev/%s", e->d_name);

		if (e->d_name[0] == '.' || has_holders(e->d_name) || !has_uuid(path, uuid, &dev))
			continue;
		if (found)
			return err_set(err, ERR_STATE,
				"%s and %s have the same filesystem %s: one is a copy of the "
				"other, give it another UUID or take it away",
				found, path, uuid);
		found = TAKE_PTR(path);
	}
	if (!found)
		return err_set(err, ERR_NOT_FOUND, "no device here has the filesystem %s", uuid);
	*ret = TAKE_PTR(found);
	return 0;
}

int blockdev_find(const char *uuid, const char *hint, char **ret, struct err *err)
{
	dev_t dev;

	if (!hint || !hint[0] || !has_uuid(hint, uuid, &dev))
		return find_anywhere(uuid, ret, err);
	*ret = xstrdup(hint);
	return 0;
}

char *blockdev_stable(const char *path)
{
	_cleanup_closedir_ DIR *dir = opendir("/dev/disk/by-id");
	_cleanup_free_ char *best = NULL;
	const struct dirent *e;
	struct stat want, st;

	if (stat(path, &want) < 0)
		return xstrdup(path);
	while (dir && (e = readdir(dir)))
		if (e->d_name[0] != '.' && fstatat(dirfd(dir), e->d_name, &st, 0) == 0 &&
			S_ISBLK(st.st_mode) && st.st_rdev == want.st_rdev &&
			(!best || strcmp(e->d_name, strrchr(best, '/') + 1) < 0)) {
			free(best);
			best = xasprintf("/dev/disk/by-id/%s", e->d_name);
		}
	return best ? TAKE_PTR(best) : xstrdup(path);
}

/* --- loop devices */

/* Is that loop device over this very file? */
static bool is_over(int loop, const struct stat *file)
{
	struct loop_info64 info;

	return ioctl(loop, LOOP_GET_STATUS64, &info) == 0 && info.lo_inode == file->st_ino &&
	       info.lo_device == file->st_dev;
}

/* 1: there is one. */
static int find_loop(const struct stat *file, char **ret_path, int *ret_fd)
{
	_cleanup_closedir_ DIR *dir = opendir("/sys/block");
	const struct dirent *e;

	while (dir && (e = readdir(dir))) {
		_cleanup_free_ char *backing = xasprintf(
			"/sys/block/%s/loop/backing_file", e->d_name);
		_cleanup_free_ char *path = xasprintf("/dev/%s", e->d_name);
		_cleanup_close_ int fd = -1;

		if (!str_starts(e->d_name, "loop") || !file_exists(backing))
			continue;
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0 || !is_over(fd, file))
			continue;
		*ret_path = TAKE_PTR(path);
		*ret_fd = TAKE_FD(fd);
		return 1;
	}
	return 0;
}

/* Without the host's cache of the image where that works: the filesystem on it has one of its own.
 */
static int configure(int loop, int file, const char *name)
{
	struct loop_config c = {.fd = (uint32_t)file};

	c.info.lo_flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO;
	snprintf((char *)c.info.lo_file_name, sizeof(c.info.lo_file_name), "%s", name);
	if (ioctl(loop, LOOP_CONFIGURE, &c) == 0)
		return 0;
	if (errno != EINVAL)
		return -1;
	c.info.lo_flags = LO_FLAGS_AUTOCLEAR;
	return ioctl(loop, LOOP_CONFIGURE, &c);
}

/* 1: somebody else was faster with the number that was free. */
static int try_free_loop(
	int control, int file, const char *name, char **ret_path, int *ret_fd, struct err *err)
{
	int n = ioctl(control, LOOP_CTL_GET_FREE);
	_cleanup_free_ char *path = xasprintf("/dev/loop%d", n);
	_cleanup_close_ int loop = n < 0 ? -1 : open(path, O_RDWR | O_CLOEXEC);

	if (loop < 0)
		return err_errno(err, "get a loop device");
	if (configure(loop, file, name) < 0)
		return errno == EBUSY ? 1 : err_errno(err, "set up %s over %s", path, name);
	*ret_path = TAKE_PTR(path);
	*ret_fd = TAKE_FD(loop);
	return 0;
}

int blockdev_loop(const char *file, char **ret_path, int *ret_fd, struct err *err)
{
	_cleanup_close_ int fd = open(file, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	_cleanup_close_ int control = -1;
	struct stat st;
	int r = 1;

	if (fd < 0)
		return errno == ENOENT ? err_set(err, ERR_NOT_FOUND, "there is no image %s", file)
				       : err_errno(err, "open the image %s", file);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(err, ERR_INVALID, "%s is not an image", file);
	if (find_loop(&st, ret_path, ret_fd))
		return 0;
	control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	if (control < 0)
		return err_errno(err, "open /dev/loop-control: is the module loop there?");
	for (int i = 0; r > 0 && i < LOOP_TRIES; i++)
		r = try_free_loop(control, fd, file, ret_path, ret_fd, err);
	return r > 0 ? err_set(err, ERR_BUSY, "no loop device stays free") : r;
}

int blockdev_loop_idle(const char *file, struct err *err)
{
	_cleanup_close_ int loop = -1;
	_cleanup_close_ int alone = -1;
	_cleanup_free_ char *path = NULL;
	struct stat st;

	if (stat(file, &st) < 0)
		return errno == ENOENT ? 0 : err_errno(err, "look at %s", file);
	if (!find_loop(&st, &path, &loop))
		return 0;
	alone = blockdev_open(path, O_RDONLY | O_EXCL, err);
	return alone < 0 ? err_prefix(err, "%s", file) : 0;
}
