/*
 * Inside storage/ only: goes through the inodes of a subvolume in the order of their numbers,
 * reading btrfs's own tree, which takes no memory and no lookup of names.
 *
 *	struct btrfs_inodes it;
 *	btrfs_inodes_init(&it, fd, 0);
 *	while ((r = btrfs_inodes_next(&it, &inode, &err)) > 0) ...
 */
#pragma once

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "storage/btrfs_extents.h"

struct btrfs_inode {
	uint64_t number, flags;
	uint32_t links;
	mode_t mode;
};

struct btrfs_inodes {
	int fd; /* the caller's */
	uint64_t
		nested; /* the number of a folder with a subvolume in it that was passed; 0: none */
	struct btrfs_extents *extents; /* the caller's, set after init: the extents go there */
	uint64_t next_number, next_offset, since;
	uint32_t next_type;
	uint32_t left; /* items that are still in buf */
	size_t at;
	uint64_t buf[(64 << 10) / 8];
};

/* since: only such as lie in a leaf of the tree that is at least that new (a transaction's number);
 * all that have changed since are among them. */
void btrfs_inodes_init(struct btrfs_inodes *it, int fd, uint64_t since);
/* 1, or 0 at the end. */
int btrfs_inodes_next(struct btrfs_inodes *it, struct btrfs_inode *ret, struct err *err) _must_use_;
/* The flags of one inode; 0 where there is none of that number. */
int btrfs_inode_flags(int fd, uint64_t number, uint64_t *ret, struct err *err) _must_use_;
/* One of its paths, "" for the root; 0: it has none (any more), else 1. */
int btrfs_inode_path(int fd, uint64_t number, char buf[PATH_MAX], struct err *err) _must_use_;
