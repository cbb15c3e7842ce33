/*
 * What the destination has proven to hold: the digest (facts.h) of each of its folders, read from
 * its disk. Once a walk has been through all of it, a pass that comes in needs only the folders
 * that it touched looked at again, so that the proof before a hand-over costs no walk. Kept in a
 * file between passes, which is there only while nothing is being changed and counts only until the
 * next boot.
 *
 *	r = kept_load(state_dir, map, &k, &err);	// k NULL: nothing is known
 *	kept_touch(k, "srv/www");
 *	kept_moved(k, "srv/old");
 *	r = kept_refresh(k, rootfd, idmap, &done, &err);	// or kept_walk: all of it
 *	r = kept_save(k, state_dir, map, &err);
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "model/idmap.h"

struct kept;

struct kept *kept_new(void);
/* *ret NULL: nothing is known. Takes the file away; where that is not possible it would outlive
 * what it says, which is an error. */
int kept_load(const char *state_dir, const struct idmap *map, struct kept **ret,
	struct err *err) _must_use_;
int kept_save(const struct kept *k, const char *state_dir, const struct idmap *map,
	struct err *err) _must_use_;
void kept_free(struct kept *k);
/* What is in the folder of that path has changed. */
void kept_touch(struct kept *k, const char *path);
/* A name went from there, or came to it, with all that is below. */
void kept_moved(struct kept *k, const char *path);
/* false: it cannot be taken on, walk. */
int kept_refresh(struct kept *k, int rootfd, const struct idmap *map, bool *ret_done,
	struct err *err) _must_use_;
int kept_walk(struct kept *k, int rootfd, const struct idmap *map, struct err *err) _must_use_;
void kept_sum(const struct kept *k, struct digest128 *ret, uint64_t *ret_entries);
/* The same from the file, which stays. 0: there is none that counts. */
int kept_read(const char *state_dir, const struct idmap *map, struct digest128 *ret,
	uint64_t *ret_entries);
