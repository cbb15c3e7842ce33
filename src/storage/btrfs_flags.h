/*
 * Inside storage/ only: what chattr sets, as FILEATTR of a stream says it: an inode's flags as they
 * are on a btrfs disk. The kernel sends none and btrfs receive ignores them; our sender adds the
 * commands (btrfs_send.c) and our reader obeys. How a file is compressed is an extended attribute
 * and travels as such.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define BTRFS_FLAG_NODATACOW (UINT64_C(1) << 1)
#define BTRFS_FLAG_SYNC	     (UINT64_C(1) << 5)
#define BTRFS_FLAG_IMMUTABLE (UINT64_C(1) << 6)
#define BTRFS_FLAG_APPEND    (UINT64_C(1) << 7)
#define BTRFS_FLAG_NODUMP    (UINT64_C(1) << 8)
#define BTRFS_FLAG_NOATIME   (UINT64_C(1) << 9)
#define BTRFS_FLAG_DIRSYNC   (UINT64_C(1) << 10)
#define BTRFS_FLAGS                                                                                \
	(BTRFS_FLAG_NODATACOW | BTRFS_FLAG_SYNC | BTRFS_FLAG_IMMUTABLE | BTRFS_FLAG_APPEND |       \
		BTRFS_FLAG_NODUMP | BTRFS_FLAG_NOATIME | BTRFS_FLAG_DIRSYNC)

/* Sets these flags and clears the other ones of BTRFS_FLAGS on a regular file or folder. -1 with
 * errno; a filesystem that does not know them is fine. */
int btrfs_flags_set(int fd, uint64_t wanted);
/* Takes immutable and append-only away; false: it had neither. */
bool btrfs_flags_lift(int fd);
