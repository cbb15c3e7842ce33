/*
 * Inside storage/ only: making a filesystem for a container, of the UUID that its record has.
 */
#pragma once

#include "storage/blockfs.h"

/* What a new one of type fs for so much has to measure. */
uint64_t mkfs_size(const char *fs, const struct volume_wish *w);
/* On path, a device or a file of b->size bytes, which has no signature. mmp: see storage/settings.h
 */
int mkfs_make(const char *path, const struct blockfs *b, const struct volume_wish *w, bool mmp,
	struct err *err) _must_use_;
/* Takes from a new ext4 what a kernel without quotas does not mount. */
int mkfs_without_projects(const char *path, struct err *err) _must_use_;
