/*
 * Comparing a folder with what the index says the destination has in it: each name is looked up
 * once; names that were not asked for are gone. The usual case, nothing changed, is a walk along
 * both in the same order, without a table.
 *
 *	diff_begin(&d, &ix, id);
 *	while (... names ...) same = diff_find(&d, name, &old);
 *	while (diff_gone(&d, &old)) ...
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tree/index.h"

struct diff_slot {
	uint32_t rec; /* offset from the folder's first record / 8, plus one */
	uint32_t seen;
};

struct diff {
	const struct index *ix;
	struct index_dir dir;
	bool known;		 /* the index has the folder */
	struct diff_slot *table; /* made at the first name that is not where it was */
	size_t mask;
	size_t gone_at; /* for diff_gone */
	bool along;	/* the cursor in dir is still in step */
};

void diff_begin(struct diff *d, const struct index *ix, uint64_t dir_id, bool use);
bool diff_find(struct diff *d, const char *name, struct index_entry *ret);
bool diff_gone(struct diff *d, struct index_entry *ret);
void diff_done(struct diff *d);
