/*
 * Inside storage/blockfs*.c only: where a filesystem of its own is mounted: an empty, immutable
 * folder.
 */
#pragma once

#include "storage/blockfs.h"

/* Opens the folder that it lies in, for one of us at a time, the record's script among them: who
 * holds it and has read the record then knows whether it may be mounted. Made if make. */
int blockfs_place_lock(
	const struct volume *v, bool make, const char **ret_name, struct err *err) _must_use_;
int blockfs_place_make(int parent, const char *name, struct err *err) _must_use_;
/* One that is not empty stays, and says so; a missing one is fine. */
int blockfs_place_remove(const struct volume *v, struct err *err) _must_use_;
/* Mounts it there, proven, if nothing is. The lock is held. */
int blockfs_place_mount(const struct volume *v, const struct blockfs *b, int parent,
	const char *name, struct err *err) _must_use_;
/* Unmounts it, as often as it is there; nothing but what is proven to be it. Nobody has its device
 * then: -ERR_BUSY. */
int blockfs_place_clear(
	const struct volume *v, const struct blockfs *b, struct err *err) _must_use_;
