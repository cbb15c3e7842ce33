/*
 * Hard links: where in this pass an inode of several names went first, so that its other names
 * become links to that one. Only inodes with more than one name are kept.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "tree/index.h"

struct hardlink {
	uint64_t id, dir; /* 0: empty */
	uint64_t inode;	  /* at the destination */
	uint32_t name;	  /* offset */
	int64_t ctime;
	uint64_t size, meta, facts;
	struct digest128 content;
	uint32_t flags, mode;
};

struct hardlinks {
	struct hardlink *v;
	size_t n, cap;
	struct str names;
};

const struct hardlink *hardlinks_find(const struct hardlinks *h, uint64_t id);
const char *hardlinks_name(const struct hardlinks *h, const struct hardlink *l);
void hardlinks_add(struct hardlinks *h, uint64_t dir, const struct index_entry *e);
void hardlinks_done(struct hardlinks *h);

/* A set of 64-bit numbers that are not 0. */
struct idset {
	uint64_t *v;
	size_t n, cap;
};
bool idset_has(const struct idset *s, uint64_t id);
void idset_add(struct idset *s, uint64_t id);
void idset_done(struct idset *s);
