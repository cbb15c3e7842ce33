/*
 * The digest of a tree: a sum over its names, of what stat says about each and where it is. As a
 * sum it can be kept folder by folder and taken on: the source has it from its index, the
 * destination from its disk, and a walk of either gives the same.
 *
 * Not in it: content and extended attributes, which were checked as they came in; the size of a
 * folder, which is its file system's affair.
 *
 *	facts = facts_of_entry(&e);				// or facts_of_stat(...)
 *	d = facts_name(place, "srv", facts);			// place: of the folder it is in
 *	digest_add(&sum, &d);
 *	place = facts_place(place, "srv");			// of what is in srv
 */
#pragma once

#include <stdint.h>

#include "tree/digest.h"
#include "tree/entry.h"

#define FACTS_PLACE_NONE 0u /* where the root is, its name is "" */
#define FACTS_PLACE_ROOT 1u

uint64_t facts_of_entry(const struct entry *e);
/* name in dirfd, or dirfd itself if NULL. An owner that the map does not have is
 * -ERR_UNSUPPORTED. */
int facts_of_stat(int dirfd, const char *name, const struct stat *st, const struct idmap *map,
	uint64_t *ret, struct err *err) _must_use_;
struct digest128 facts_name(uint64_t place, const char *name, uint64_t facts);
uint64_t facts_place(uint64_t place, const char *name);
/* Which ids on disk are which: another map makes other owners of the same disk. */
uint64_t facts_of_map(const struct idmap *map);
