/*
 * Inside storage/btrfs*.c only: the limit of a subvolume's own files (max_rfer of its qgroup),
 * where the filesystem has quotas on.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"

/* fd: the subvolume. 0: there is none, or no quotas. */
int quota_limit(int fd, uint64_t *ret, struct err *err) _must_use_;
/* -ERR_UNSUPPORTED: the filesystem has no quotas on. */
int quota_set_limit(int fd, uint64_t bytes, struct err *err) _must_use_;
