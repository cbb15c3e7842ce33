/*
 * Inside storage/ only: btrfs subvolumes, by descriptor and single name. All of these work through
 * whatever mount the descriptor came from, a bind mount of a plain folder too: nothing is looked
 * up by path from the top of the filesystem.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/err.h"

#define SUBVOL_UUID 16

struct subvol_info {
	uint64_t id;
	struct timespec created;
	uint64_t created_transid; /* the transaction that made it */
	uint64_t changed_transid; /* the last one that changed something in it */
	uint8_t uuid[SUBVOL_UUID];
	uint8_t parent[SUBVOL_UUID];   /* of what it is a snapshot of; zeros: of nothing */
	uint8_t received[SUBVOL_UUID]; /* of what it is a received copy of; zeros: of nothing */
};

bool subvol_on_btrfs(int fd);
bool subvol_is(int fd); /* is it the root folder of a subvolume? */
bool subvol_same_filesystem(int fd, int other);
int subvol_info(int fd, struct subvol_info *ret, struct err *err) _must_use_;
int subvol_create(int dirfd, const char *name, struct err *err) _must_use_;
/* Both flush what is being written to the source first, and are on disk when they return. */
int subvol_snapshot(
	int fd, int dirfd, const char *name, bool read_only, struct err *err) _must_use_;
int subvol_set_received(
	int fd, const uint8_t uuid[SUBVOL_UUID], uint64_t transid, struct err *err) _must_use_;
/* One subvolume, which has none inside; a missing one is fine. */
int subvol_delete(int dirfd, const char *name, struct err *err) _must_use_;
/* All subvolumes below the folder fd, deepest first; not fd itself. */
int subvol_delete_below(int fd, struct err *err) _must_use_;
/* -ERR_UNSUPPORTED, naming the first one, when there are subvolumes below fd: a snapshot and a
 * stream would leave them out. */
int subvol_check_none_below(int fd, struct err *err) _must_use_;
