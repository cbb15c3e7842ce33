/* Making a new index file out of the last one and a journal; see index.h. */
#pragma once

#include "tree/index.h"

/* What a broken pass left is merged as far as it was acknowledged. */
int index_merge_broken(
	const char *path, const struct tree_resume *resume, struct err *err) _must_use_;
/* Private, of index.c: maps the file alone. */
int index_map(const char *path, struct index *ix, struct err *err) _must_use_;
uint64_t index_stamp_sum(const struct watch_stamp *s);
void index_fill_entry(const unsigned char *map, uint64_t off, struct index_entry *ret);
/* The digest (facts.h) of the tree that the destination must have, now that it has answered that it
 * applied the last pass: from the index and its journal, without writing. 0: not known. */
int index_sum(
	const char *path, struct digest128 *ret, uint64_t *ret_entries, struct err *err) _must_use_;
