/*
 * Inside storage/ only: where a volume and Wherry's own things lie in a pool, and the folders for
 * them. All names are single components that were checked (place_check), folders are opened beneath
 * the pool's.
 *
 *	POOL/.wherry/snap/OWNER/VOLUME/NAME	snapshots; names with a dot in front are unfinished
 *	POOL/.wherry/trash/ID			being deleted
 */
#pragma once

#include <stdbool.h>

#include "storage/storage.h"

/* The names in v can be parts of a path of ours. */
int place_check(const struct volume *v, struct err *err) _must_use_;
int place_check_snapshot(const char *snap, struct err *err) _must_use_;

/* Opens POOL/.wherry/SUB, O_RDONLY; with make, it is made first (0700), otherwise a missing one is
 * -ERR_NOT_FOUND. */
int place_open(const char *pool_path, const char *sub, bool make, struct err *err) _must_use_;
/* The folder of a volume's snapshots, likewise. */
int place_open_snaps(const struct volume *v, bool make, struct err *err) _must_use_;
char *place_snaps(const struct volume *v); /* absolute, for errors */
char *place_snapshot(const struct volume *v, const char *snap);
/* The folder that holds the volume; *ret_name: its name in there. make: missing ones are made. */
int place_open_parent(
	const struct volume *v, bool make, const char **ret_name, struct err *err) _must_use_;
/* Removes the folders of its snapshots when there are none left. */
void place_prune_snaps(const struct volume *v);
/* Removes the folders that were made for v, as far as they are empty now. */
void place_prune(const struct volume *v);
/* Moves the folder of snapshots to another owner of the same pool; done already, or none, is fine.
 */
int place_move_snaps(
	const struct volume *from, const struct volume *to, struct err *err) _must_use_;
/* Everything in the folder of snapshots but what begins with a dot, oldest first. */
int place_list_snaps(struct volume *v, struct snapshot_vec *ret, struct err *err) _must_use_;
