/*
 * Inside zfs*.c only: datasets, by the zfs tool. Names that come from outside are checked before
 * they become an argument; what the tool says is read in its scripted form (-H -p), bounded.
 *
 * A volume is a filesystem dataset with what is nested in it. One that is mounted is known by its
 * place; any other has the name that its place in the pool gives it: what lies at POOL/CT/rootfs is
 * DATASET-OF-POOL/CT/rootfs. The datasets in between are never mounted (canmount=off), so that the
 * folders of the pool stay what they are.
 */
#pragma once

#include <stdbool.h>

#include "base/str.h"
#include "storage/storage.h"

#define ZFS_NAME_MAX   256 /* of a dataset, with its snapshot */
#define ZFS_NESTED_MAX 256 /* datasets of one volume */
#define ZFS_OUTPUT_MAX (4 << 20)
#define ZFS_HOLD       "wherry"		 /* the tag of our holds */
#define ZFS_PLACE      "wherry:place"	 /* a dataset made only to have others below it */
#define ZFS_CANMOUNT   "wherry:canmount" /* what canmount was there */
#define ZFS_ARRIVING   "wherry:arriving" /* filled by streams, not yet published */

/* The name of a filesystem: no snapshot, nothing that the tool would take for an option. */
bool zfs_name_ok(const char *dataset);
/* Of a nested dataset, relative to its volume's; "" is the volume's own. */
bool zfs_relative_ok(const char *name);
char *zfs_join(const char *dataset, const char *relative);
char *zfs_at(const char *dataset, const char *snap);

/* The dataset that is mounted at path: 1 and its name, else 0. */
int zfs_mounted_at(const char *path, char **ret, struct err *err) _must_use_;
/* Where it is mounted in this namespace, or NULL. */
int zfs_mounted_where(const char *dataset, char **ret, struct err *err) _must_use_;
/* Of a volume, whether it exists or not. */
int zfs_dataset_of(const struct volume *v, char **ret, struct err *err) _must_use_;
int zfs_dataset_at(
	const struct volume *v, const char *path, char **ret, struct err *err) _must_use_;
/* Of a dataset or a snapshot: 1 or 0. */
int zfs_exists(const char *name, struct err *err) _must_use_;
/* The datasets of a volume relative to the first, which is "": parents before children. A nested
 * volume of blocks is -ERR_UNSUPPORTED, a missing one -ERR_NOT_FOUND. */
int zfs_nested(const char *dataset, char ***ret, struct err *err) _must_use_;
/* The same from what `zfs list -o name,type` printed. */
int zfs_parse_nested(
	const char *text, const char *dataset, char ***ret, struct err *err) _must_use_;
/* Makes the datasets above this one that are missing. */
int zfs_make_above(const struct volume *v, const char *dataset, struct err *err) _must_use_;
/* Removes those again, as far as nothing is below them. */
void zfs_prune_above(const char *dataset);

int zfs_run(const char *const *argv, struct err *err) _must_use_;
int zfs_capture(const char *const *argv, char **ret, struct err *err) _must_use_;
/* One property; "-" where it has none. */
int zfs_get(const char *name, const char *property, char **ret, struct err *err) _must_use_;
int zfs_get_u64(const char *name, const char *property, uint64_t *ret, struct err *err) _must_use_;
int zfs_set(
	const char *dataset, const char *property, const char *value, struct err *err) _must_use_;
int zfs_unset(const char *dataset, const char *property, struct err *err) _must_use_;
/* The snapshots of one dataset, oldest first, as zfs lists them. */
int zfs_snapshots_of(const char *dataset, struct snapshot_vec *ret, struct err *err) _must_use_;
/* "NAME<tab>SECONDS" per line, as `zfs list -t snapshot` prints them: what no snapshot of a volume
 * can be called here is left out. */
int zfs_parse_snapshots(const char *text, struct snapshot_vec *ret, struct err *err) _must_use_;
/* Unmounts the volume's datasets, the innermost first. Not mounted is fine. */
int zfs_unmount_all(const char *dataset, struct err *err) _must_use_;
