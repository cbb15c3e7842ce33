/*
 * Comparing folders with the index before a pass sends anything; private to scan.c, which goes
 * through all of them, and tracked.c, which goes through those that changed.
 */
#pragma once

#include "tree/sender.h"

struct scan {
	struct sender *s;
	struct walk w;
	struct list list;
	struct id_vec todo; /* folders to look into next */
	struct id_vec *ret;
	uint64_t entries;
	/* Known folders are looked into only if they themselves have changed. */
	bool tracked;
	struct idset done; /* where tracked: those that were looked into */
	bool odd;	   /* where tracked: one was not where it had just been seen */
};

void scan_init(struct scan *sc, struct sender *s, struct id_vec *ret);
void scan_done(struct scan *sc);
/* Looks into a folder. -ERR_NOT_FOUND: it is not where it should be. */
int scan_dir(struct scan *sc, uint64_t id, struct err *err) _must_use_;
