/*
 * Inside storage/ only: filesystems of their own at their place. Nothing of a container is read or
 * written before mount_open has proven that what lies at the path is the filesystem that should be
 * there: the trap is a mount that failed, the empty folder beneath it that is sent instead, and the
 * source that is removed afterwards.
 *
 * Nothing here is lazy: what is unmounted is gone from the path when it returns, or it is an error.
 */
#pragma once

#include <sys/types.h>

#include "base/err.h"

/* Is something mounted at path itself (not above)? 0 where there is no such path either. */
int mount_is(const char *path, struct err *err) _must_use_;
/* Mounts the device at the folder path and proves it; what is mounted and proves wrong is taken off
 * again. -ERR_CORRUPT: the device has another filesystem. */
int mount_device(const char *device, const char *fs, const char *path, const char *uuid,
	struct err *err) _must_use_;
/* The root of the filesystem uuid that is mounted at path: O_RDONLY|O_DIRECTORY, proven on the
 * descriptor. -ERR_STATE: nothing, or something else, is mounted there. */
int mount_open(const char *path, const char *uuid, struct err *err) _must_use_;
/* The root of the filesystem on that device as it lies there, mounted at no place: it goes with the
 * descriptor. Nothing is written, not even what its journal holds: somebody else may have it. */
int mount_aside(const char *device, const char *fs, struct err *err) _must_use_;
/* Takes off what is mounted at path; nothing there is fine. -ERR_BUSY if somebody uses it, also
 * after a patience of a few seconds. */
int mount_off(const char *path, struct err *err) _must_use_;
/* Who has the device mounted, in all mount namespaces: "mounted at /mnt by process 4711 (bash)".
 * NULL: nobody. */
char *mount_who(dev_t dev);
