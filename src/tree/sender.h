/*
 * The state of one pass on the source; private to send.c, visit.c, scan.c and tracked.c.
 */
#pragma once

#include "tree/content.h"
#include "tree/diff.h"
#include "tree/entry.h"
#include "tree/hardlink.h"
#include "tree/index.h"
#include "tree/list.h"
#include "tree/moves.h"
#include "tree/tree.h"
#include "tree/walk.h"
#include "tree/watch.h"

#define SEND_BATCH (256u << 10)

/* Where folders are in this pass that the index does not have, or has elsewhere. */
struct place {
	uint64_t id, parent; /* ids of folders */
	uint32_t name;	     /* offset in names */
};
VEC(place_vec, struct place);
struct places {
	struct place_vec v;
	struct str names;
	uint32_t *table; /* numbers in v, plus one, by id */
	size_t cap;
};
void places_put(struct places *p, uint64_t id, uint64_t parent, const char *name);
const struct place *places_find(const struct places *p, uint64_t id);
void places_done(struct places *p);

VEC(id_vec, uint64_t);

struct sender {
	const struct tree_send_args *a;
	struct stream *s;
	struct tree_result *res;
	struct opbuf out;
	int root;      /* the private view */
	struct walk w; /* where we read */
	/* Where the destination is: so many levels of w from the root, after going up from that
	 * depth. */
	size_t there, there_depth;
	struct index ix;
	bool use_index, sent;
	int64_t racy_from; /* change times from here on say nothing */
	uint64_t applied, synced, session;
	uint64_t last_inode; /* number given to an inode of the destination */
	struct entry e;
	struct places places;
	struct idset
		fresh; /* folders that were made in this pass: the index says nothing of them */
	struct moves moves;
	struct watch_changes changes; /* since the pass that the index is of */
	unsigned opened, cached; /* see visit.c: is the disk worth asking for what comes next? */
	struct hardlinks links;
	struct idset
		killed; /* places in the index whose names the destination has lost in this pass */
};

uint64_t sender_offset(const struct sender *s); /* of the stream, of what comes next */
int sender_flush(struct sender *s, struct err *err) _must_use_;
int sender_flush_if_long(struct sender *s, struct err *err) _must_use_;
/* Something is not as it was a moment ago: ordinary in a live pass (0), an error in a final one. */
int sender_changed(struct sender *s, const char *name, const char *how, struct err *err) _must_use_;

/* Does the index know what the destination has in that folder? */
bool sender_knows(const struct sender *s, uint64_t id);
/* Parent and name of a folder as the destination has it in this pass; false for the root and for
 * unknown ones. */
bool sender_place(const struct sender *s, uint64_t id, uint64_t *ret_parent, const char **ret_name);
/* Has the destination lost what the index has in that folder, as it went with the moves? */
bool sender_lost(const struct sender *s, uint64_t id);
/* Takes w to a folder, through the levels that are on the way already; returns how many those were.
 */
size_t sender_go(const struct sender *s, struct walk *w, uint64_t dir);
/* The path there of a name in a folder; name NULL: the folder's own. */
char *sender_path(const struct sender *s, uint64_t dir, const char *name);

/* Which folders differ from the index, in the order of the tree; what moved goes to s->moves. */
int scan_tree(struct sender *s, struct id_vec *ret, struct err *err) _must_use_;
/* The same of a tree whose changes are known, without looking at anything else. 0: they do not fit
 * the index, walk; otherwise 1. */
int scan_changes(struct sender *s, struct id_vec *ret, struct err *err) _must_use_;
/* Folder id could not be looked into: the next pass has to, whatever happens until then. */
void sender_owe(struct sender *s, uint64_t id);
/* Makes the destination's copy of the current folder of w equal; its new folders go to ret_new. */
int visit_dir(struct sender *s, struct id_vec *ret_new, struct err *err) _must_use_;
