/*
 * Inside storage/ only: what the drivers share whose volumes are folders (a btrfs subvolume is one
 * too): removing, renaming, and the snapshots in their folder.
 */
#pragma once

#include "storage/storage.h"

int files_destroy(struct volume *v, struct err *err) _must_use_;
int files_destroy_snapshots(struct volume *v, struct err *err) _must_use_; /* all of them */
int files_rename(struct volume *v, const char *new_path, struct err *err) _must_use_;
int files_snapshot_destroy(struct volume *v, const char *snap, struct err *err) _must_use_;
int files_snapshot_root(
	struct volume *v, const char *snap, int *ret_fd, struct err *err) _must_use_;
