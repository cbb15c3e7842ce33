/*
 * Inside storage/ only: block devices: found by what is on them, not by the name that the kernel
 * happened to give; asked whether anybody uses them; and loop devices over images.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/* Opens a block device (anything else is -ERR_INVALID), with O_RDONLY or O_RDWR, and O_EXCL: then
 * -ERR_BUSY if it is mounted in whatever mount namespace, or part of an array or a volume group.
 * O_EXCL keeps nobody but other users of O_EXCL and the kernel's own away. */
int blockdev_open(const char *path, int flags, struct err *err) _must_use_;
int blockdev_size(int fd, uint64_t *ret, struct err *err) _must_use_;
/* The one device that has this filesystem: hint if it does, else whichever. -ERR_NOT_FOUND if none
 * has it, -ERR_STATE if several do that are not the same device. */
int blockdev_find(const char *uuid, const char *hint, char **ret, struct err *err) _must_use_;
/* The device of that number: "/dev/sdb1". */
int blockdev_path(dev_t dev, char **ret, struct err *err) _must_use_;
/* A name for it that survives a reboot, /dev/disk/by-id/..., or the given one if it has none. */
char *blockdev_stable(const char *path);
/* The loop device over that file; one that is there is used again, so that one image is never two
 * devices. It goes with its last user: keep *ret_fd open until it is mounted. */
int blockdev_loop(const char *file, char **ret_path, int *ret_fd, struct err *err) _must_use_;
/* Does nobody have a loop device over that file in use? -ERR_BUSY says who does. */
int blockdev_loop_idle(const char *file, struct err *err) _must_use_;
