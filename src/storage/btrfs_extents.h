/*
 * Inside btrfs*.c only: how much of their content the files of one subvolume share with each other
 * (reflinks), from the extents met while going through its tree. In a few megabytes whatever the
 * size: of very many extents some are forgotten, so the answer is the least that is shared.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct btrfs_extents;

struct btrfs_extents *btrfs_extents_new(void);
void btrfs_extents_free(struct btrfs_extents *e);
/* A BTRFS_EXTENT_DATA item of that inode. */
void btrfs_extents_add(struct btrfs_extents *e, uint64_t inode, const void *item, size_t n);
uint64_t btrfs_extents_shared(const struct btrfs_extents *e); /* bytes */
