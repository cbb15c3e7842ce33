/*
 * Inside storage/ only: the record of a volume on a filesystem of its own, PATH.mount: a shell
 * script that mounts it, whose first lines are what we read back. Every value is of characters that
 * mean nothing to a shell.
 */
#pragma once

#include "storage/blockfs.h"

char *blockrec_path(const char *volume_path); /* PATH.mount */
/* Can this stand in a record: a path, "VG/LV", "ext4"? */
bool blockrec_value_ok(const char *value);
/* Is there one? */
bool blockrec_exists(const char *volume_path);
int blockrec_read(const char *volume_path, struct blockfs *ret, struct err *err) _must_use_;
/* Durable when it returns. */
int blockrec_write(const char *volume_path, const struct blockfs *b, struct err *err) _must_use_;
int blockrec_remove(const char *volume_path, struct err *err) _must_use_; /* missing is fine */
/* Does another volume of that pool have this filesystem, or this source? */
int blockrec_claimed(const char *pool_path, const char *uuid, const char *source, bool *ret,
	struct err *err) _must_use_;
