/*
 * Inside storage/ only: deleting. What goes is first renamed into POOL/.wherry/trash/, so that half
 * a tree is never seen where a volume was, and a crash leaves only what the next sweep removes.
 * Folders and btrfs subvolumes alike, with all subvolumes inside; never across a mount point.
 */
#pragma once

#include "base/err.h"

/* Removes the entry name of the folder dirfd, which is on the pool's filesystem or below it. A
 * missing one is fine; -ERR_BUSY names a mount at or below it, and nothing is changed. */
int trash_put(const char *pool_path, int dirfd, const char *name, struct err *err) _must_use_;
/* Removes what earlier removals left. Goes on after a failure, and returns the first one. */
int trash_sweep(const char *pool_path, struct err *err) _must_use_;
