/*
 * Small whole files: read, replace atomically (write beside, fsync, rename, fsync the folder),
 * lock. Paths here are ours (configuration, state), never a container's: see beneath.h for those.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

/* At most max bytes, else -ERR_INVALID. The buffer is NUL-terminated beyond its length. */
int file_read(
	const char *path, size_t max, char **ret_buf, size_t *ret_len, struct err *err) _must_use_;
int file_read_at(int dirfd, const char *name, size_t max, char **ret_buf, size_t *ret_len,
	struct err *err) _must_use_;
int file_replace(
	const char *path, const void *buf, size_t n, mode_t mode, struct err *err) _must_use_;
/* mode is that of the last one, others get 0755; existing ones are left as they are. */
int file_mkdirs(const char *path, mode_t mode, struct err *err) _must_use_;
int file_remove(const char *path, struct err *err) _must_use_; /* a missing one is fine */
int file_sync_dir(const char *path, struct err *err) _must_use_;
bool file_exists(const char *path);
/* flock on path (made if needed). Not waiting: -ERR_BUSY. The lock goes with the descriptor. */
int file_lock(const char *path, bool wait, int *ret_fd, struct err *err) _must_use_;
