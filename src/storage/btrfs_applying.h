/*
 * Inside btrfs_apply*.c only: the state of an application, and its commands by kind.
 */
#pragma once

#include <limits.h>

#include "storage/btrfs_apply.h"
#include "storage/btrfs_held.h"

/* A stream makes each thing under a made-up name and renames it at once. We put the making off
 * until the rename, which then costs nothing. */
struct pending {
	unsigned number; /* 0: none */
	char path[PATH_MAX];
	char target[PATH_MAX]; /* of a symbolic link */
	mode_t mode;
	dev_t rdev;
};

struct btrfs_apply {
	struct btrfs_origin self, from;
	struct held_set held, from_held;
	struct pending pending;
	int failed_errno;						/* of the command at hand */
	char path[PATH_MAX], other[PATH_MAX], name[XATTR_NAME_MAX + 1]; /* of that command too */
};

typedef int apply_fn(struct btrfs_apply *a, const struct btrfs_command *c, struct err *err);

/* btrfs_apply_content.c */
apply_fn apply_write, apply_truncate, apply_fallocate, apply_clone;
/* btrfs_apply_attrs.c */
apply_fn apply_xattr, apply_chmod, apply_chown, apply_utimes, apply_fileattr;

/* Sets the error of a system call, by errno. */
int apply_failed(struct btrfs_apply *a, const char *what, const char *path, struct err *err);
int apply_refused(const char *what, const char *path, const char *why, struct err *err);
/* A path inside the subvolume; root_too: "" as well. */
int apply_path(const struct btrfs_command *c, enum btrfs_attr a, char buf[PATH_MAX], bool root_too,
	struct err *err);
