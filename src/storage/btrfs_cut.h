/*
 * Inside storage/ only: where the transfer of a btrfs stream can be taken up again: the rule that
 * both ends share. There is a cut after the command with which the bytes since the last one reach
 * BTRFS_CUT, so that no two are further apart than 16 MiB. At each cut there is a digest of all
 * bytes so far, as a chain: XXH3-128 of the digest at the cut before, in hex, and the bytes since.
 * So an offset and a digest are its whole state, and either end can go on from them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/xxh.h"
#include "storage/btrfs_stream.h"
#include "storage/storage.h"

#define BTRFS_CUT (((uint64_t)16 << 20) - BTRFS_COMMAND_MAX)

struct btrfs_cutter {
	struct storage_resume at; /* the last cut; zeros before the first */
	uint64_t offset;	  /* of what was fed */
	XXH3_state_t *hash;
};

void btrfs_cutter_init(struct btrfs_cutter *c, const struct storage_resume *from);
void btrfs_cutter_done(struct btrfs_cutter *c);
/* Takes in the header or one whole command; true: c->at is a new cut, at its end. */
bool btrfs_cutter_feed(struct btrfs_cutter *c, const void *bytes, size_t n);
