/*
 * Confined access beneath a directory descriptor: whatever a container or a stream says, no call
 * here leaves that directory. Paths are relative, have no "..", and no component may be a symlink
 * (openat2 with RESOLVE_BENEATH, NO_SYMLINKS, NO_MAGICLINKS, NO_XDEV), so a racing rename cannot
 * lead out either. Metadata is set through descriptors only. Kernels without openat2 get the same
 * by one open a component (beneath.c says what that can't do).
 */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>

#include "base/err.h"

#define BENEATH_XDEV 1u /* mount points below may be crossed (default: not) */

/* "" and "." open the directory itself. O_CLOEXEC and O_NOFOLLOW are added. -1 with errno, for hot
 * paths. */
int beneath_open_raw(int dirfd, const char *path, int flags, mode_t mode, unsigned bflags);
int beneath_open(int dirfd, const char *path, int flags, mode_t mode, struct err *err) _must_use_;
/* lstat, but no component of path may be a symlink. -1 with errno. */
int beneath_stat(int dirfd, const char *path, struct stat *ret);
/* Opens the parent of path and points *ret_name at the last component inside path. */
int beneath_parent(int dirfd, const char *path, const char **ret_name, struct err *err) _must_use_;
/* Is this a path we would accept: relative, no empty, "." or ".." components, no component over 255
 * bytes? */
bool beneath_path_ok(const char *path);
/* Like mkdir -p; mode is subject to the umask. Existing folders are left as they are. */
int beneath_mkdirs(int dirfd, const char *path, mode_t mode, struct err *err) _must_use_;
/* Removes a tree: never follows a symlink, never crosses a mount point (-ERR_BUSY names it, before
 * or during; nothing beyond is touched). Clears immutable and append-only flags on the way. A
 * missing name is fine. A btrfs subvolume is -ERR_BUSY too: storage/btrfs deletes those. */
int beneath_remove_tree(int dirfd, const char *name, struct err *err) _must_use_;
