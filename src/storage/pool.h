/*
 * A pool: a folder on some filesystem where containers' files live, POOL/CT/VOLUME. The default
 * pool is the containers' folder of the runtime. Wherry's own things in a pool are under
 * POOL/.wherry/ (mode 0700): staged/TOKEN/VOLUME (arriving), snap/CT/VOLUME/NAME (snapshots),
 * trash/ (being deleted).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct pool {
	char *name;   /* [a-z0-9][a-z0-9_-]{0,31}; the default one is "default" unless configured */
	char *path;   /* absolute, no symlinks at the end */
	char *driver; /* "dir", "btrfs", "zfs"; "image", "device", "lvm" */
};

/* What a pool of filesystems of their own says about new ones (storage/settings.h). */
struct pool_settings {
	char fs[8];	/* "": the driver's choice */
	uint64_t size;	/* 0: not said */
	char *vg;	/* "VG" or "VG/THINPOOL" */
	char **devices; /* NULL: none */
	bool mmp;
};

struct pool_space {
	uint64_t bytes_free, bytes_total;
	uint64_t inodes_free; /* UINT64_MAX where the filesystem makes them as needed */
};

bool pool_name_ok(const char *name);
/* Fills in the driver by looking at the filesystem when driver is NULL; checks that path is a
 * folder, and that a named driver fits. */
int pool_probe(const char *name, const char *path, const char *driver, struct pool **ret,
	struct err *err) _must_use_;
/* Replaces what the pool at that path says. */
int pool_settings_write(
	const char *pool_path, const struct pool_settings *s, struct err *err) _must_use_;
int pool_space(const struct pool *p, struct pool_space *ret, struct err *err) _must_use_;
void pool_free(struct pool *p);
void pool_freep(struct pool **p);
#define _cleanup_pool_ _cleanup_(pool_freep)
