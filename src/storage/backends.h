/*
 * Inside storage/ only: what filesystems of their own are made on, one each of image.c, device.c
 * and lvm.c.
 */
#pragma once

#include "storage/blockfs.h"
#include "storage/files.h"
#include "storage/place.h"

extern const struct blockfs_backend image_backend;
extern const struct blockfs_backend device_backend;
extern const struct blockfs_backend lvm_backend;

/* Nothing is in that folder but what mkfs makes. */
bool blockfs_is_empty(int fd);

/* The part of their tables that is the same. */
#define BLOCKFS_OPERATIONS                                                                         \
	.exists = blockfs_exists, .create = blockfs_create, .destroy = blockfs_destroy,            \
	.rename = blockfs_rename, .settle = blockfs_settle, .root = blockfs_root,                  \
	.size = blockfs_size, .limit = blockfs_limit, .snapshot_destroy = files_snapshot_destroy,  \
	.snapshots = place_list_snaps, .snapshot_root = files_snapshot_root
