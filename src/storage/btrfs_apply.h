/*
 * Inside storage/ only: does what the commands of a btrfs stream say, beneath one folder. The
 * stream is hostile: every path is relative and free of "..", no symbolic link is followed, no
 * device opened, and files are cloned only out of the folder itself and one read-only origin.
 * The folder need not be a subvolume, nor even be on btrfs.
 *
 *	struct btrfs_apply *a = btrfs_apply_new(root_fd, &self, &from);
 *	while (btrfs_reader_next(reader, &cmd, &err) > 0 && cmd.number != BTRFS_END)
 *		r = btrfs_apply_command(a, &cmd, &err);
 *	r = btrfs_apply_settle(a, &err);
 *
 * SUBVOL, SNAPSHOT and END are the caller's business. Something in the stream that cannot be, such
 * as a file that is not there, is -ERR_PROTOCOL.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "storage/btrfs_stream.h"

/* A subvolume as CLONE names it. */
struct btrfs_origin {
	int fd; /* the caller's; -1: none */
	uint8_t uuid[SUBVOL_UUID];
	uint64_t transid;
};

struct btrfs_apply;

/* self.fd is what is written to. */
struct btrfs_apply *btrfs_apply_new(
	const struct btrfs_origin *self, const struct btrfs_origin *from);
int btrfs_apply_command(
	struct btrfs_apply *a, const struct btrfs_command *c, struct err *err) _must_use_;
/* Makes what was put off: before a snapshot, and after the last command. */
int btrfs_apply_settle(struct btrfs_apply *a, struct err *err) _must_use_;
void btrfs_apply_free(struct btrfs_apply *a);
void btrfs_apply_freep(struct btrfs_apply **a);
#define _cleanup_btrfs_apply_ _cleanup_(btrfs_apply_freep)
