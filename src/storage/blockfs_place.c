#include "storage/blockfs_place.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/beneath.h"
#include "base/clock.h"
#include "storage/mount.h"
#include "storage/place.h"

#define IDLE_PATIENCE (5 * USEC_PER_SEC)
#define IDLE_PAUSE    (10 * USEC_PER_MSEC)

static void set_immutable(int fd, bool on)
{
	int flags;

	/* Not every filesystem has it; the proof does not rest on it. */
	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
		return;
	flags = on ? flags | FS_IMMUTABLE_FL : flags & ~FS_IMMUTABLE_FL;
	(void)ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

int blockfs_place_make(int parent, const char *name, struct err *err)
{
	_cleanup_close_ int fd = -1;

	if (mkdirat(parent, name, 0700) < 0 && errno != EEXIST)
		return err_errno(err, "make the mount point");
	fd = beneath_open(parent, name, O_RDONLY | O_DIRECTORY, 0, err);
	if (fd < 0)
		return fd;
	set_immutable(fd, true);
	return 0;
}

int blockfs_place_remove(const struct volume *v, struct err *err)
{
	int fd = open(v->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0) {
		set_immutable(fd, false);
		close(fd);
	}
	if (rmdir(v->path) < 0 && errno != ENOENT)
		return err_errno(err, "remove its mount point");
	return 0;
}

int blockfs_place_lock(const struct volume *v, bool make, const char **ret_name, struct err *err)
{
	_cleanup_close_ int parent = place_open_parent(v, make, ret_name, err);

	if (parent >= 0 && flock(parent, LOCK_EX) < 0)
		return err_errno(err, "lock its folder");
	return TAKE_FD(parent);
}

int blockfs_place_mount(const struct volume *v, const struct blockfs *b, int parent,
	const char *name, struct err *err)
{
	_cleanup_free_ char *device = NULL;
	_cleanup_close_ int keep = -1;
	int r = mount_is(v->path, err);

	if (r != 0)
		return MIN(r, 0);
	r = blockfs_backend(b->driver)->attach(b, &device, &keep, err);
	if (r >= 0)
		r = blockfs_place_make(parent, name, err);
	return r < 0 ? r : mount_device(device, b->fs, v->path, b->uuid, err);
}

/* A namespace that has just ended lets go of its mounts a moment later. */
static int await_idle(const struct blockfs *b, struct err *err)
{
	usec_t deadline = clock_deadline(IDLE_PATIENCE);

	for (;;) {
		int r = blockfs_backend(b->driver)->idle(b, err);

		if (r != -ERR_BUSY || clock_now() >= deadline)
			return r;
		err_clear(err);
		clock_sleep(IDLE_PAUSE);
	}
}

int blockfs_place_clear(const struct volume *v, const struct blockfs *b, struct err *err)
{
	int r;

	while ((r = mount_is(v->path, err)) > 0) {
		int fd = mount_open(v->path, b->uuid, err);

		if (fd < 0)
			return fd;
		close(fd);
		r = mount_off(v->path, err);
		if (r < 0)
			return r;
	}
	return r < 0 ? r : await_idle(b, err);
}
