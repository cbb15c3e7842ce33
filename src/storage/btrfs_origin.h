/*
 * Inside btrfs*.c only: a first copy that does not come as a btrfs stream. The kernel writes a
 * stream of many small files slower than the tree engine copies them, so the whole of a snapshot
 * goes by the tree engine, and what it filled is then marked as received from that snapshot: the
 * increments that follow are btrfs streams. ORIGIN says which snapshot, "UUID:TRANSACTION".
 */
#pragma once

#include "storage/storage.h"

/* Removed by btrfs_receive_clean like what other unfinished receives leave. */
#define BTRFS_FILLED ".filled"

int btrfs_origin(struct volume *v, const char *snap, char ret[STORAGE_ORIGIN_MAX],
	struct err *err) _must_use_;
int btrfs_fill(struct volume *v, const char *snap, const char *origin, bool make, int *ret_fd,
	struct err *err) _must_use_;
int btrfs_filled(
	struct volume *v, const char *snap, const char *origin, struct err *err) _must_use_;
