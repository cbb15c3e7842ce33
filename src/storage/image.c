/*
 * image: a file in the pool, PATH.img, sparse, holds the filesystem, mounted through a loop device
 * that goes with the mount.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"
#include "storage/backends.h"
#include "storage/blockdev.h"
#include "storage/driver.h"
#include "storage/place.h"

static int image_choose(struct volume *v, struct blockfs *b, struct err *err)
{
	b->source = xasprintf("%s.img", v->path);
	if (file_exists(b->source))
		return err_set(err, ERR_EXISTS, "there is an image %s already", b->source);
	return 0;
}

/* On btrfs each write into the middle would be a piece of its own somewhere else. */
static void avoid_copies(int fd)
{
	int flags;

	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
		return;
	flags |= FS_NOCOW_FL;
	(void)ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

static int image_make(struct volume *v, struct blockfs *b, struct err *err)
{
	_cleanup_close_ int fd = open(b->source, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	(void)v;
	if (fd < 0)
		return err_errno(err, "make the image %s", b->source);
	avoid_copies(fd);
	return ftruncate(fd, (off_t)b->size) < 0
		       ? err_errno(err, "give the image %s its size", b->source)
		       : 0;
}

static int image_attach(const struct blockfs *b, char **ret_dev, int *ret_fd, struct err *err)
{
	return blockdev_loop(b->source, ret_dev, ret_fd, err);
}

static int image_bare(const struct blockfs *b, char **ret_path, struct err *err)
{
	(void)err;
	*ret_path = xstrdup(b->source);
	return 0;
}

static int image_idle(const struct blockfs *b, struct err *err)
{
	return blockdev_loop_idle(b->source, err);
}

static int image_remove(const struct blockfs *b, struct err *err)
{
	return file_remove(b->source, err);
}

static int image_follow(struct blockfs *b, const char *path, struct err *err)
{
	_cleanup_free_ char *to = xasprintf("%s.img", path);

	if (str_eq(b->source, to))
		return 0;
	if (renameat2(AT_FDCWD, b->source, AT_FDCWD, to, RENAME_NOREPLACE) < 0 &&
		!(errno == ENOENT && file_exists(to)))
		return err_errno(err, "move the image %s to %s", b->source, to);
	free(b->source);
	b->source = TAKE_PTR(to);
	return 0;
}

const struct blockfs_backend image_backend = {
	.choose = image_choose,
	.make = image_make,
	.attach = image_attach,
	.bare = image_bare,
	.idle = image_idle,
	.remove = image_remove,
	.follow = image_follow,
};

static int image_probe(const char *path, struct err *err)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return err_errno(err, "%s", path);
	return S_ISDIR(st.st_mode);
}

static int image_holds(const char *path, const char *pool_path, struct err *err)
{
	(void)pool_path;
	return blockfs_holds(path, "image", err);
}

const struct storage_driver image_driver = {
	.name = "image",
	.probe = image_probe,
	.holds = image_holds,
	BLOCKFS_OPERATIONS,
};
