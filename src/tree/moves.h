/*
 * What moved and what folders went since the last pass. Renamed folders and files are renamed at
 * the destination, all at once before anything else of the pass: first everything that moves goes
 * out of the way, then it goes to its place, so that swaps and cycles need no order. As these
 * operations depend on what is there, they are sent again, word for word, until they are known to
 * be applied (PATH.moves beside the index), and the destination applies each batch once.
 *
 * A scan finds names that are gone and names that are new; an inode that is in the index and has
 * both moved.
 */
#pragma once

#include "base/vec.h"
#include "tree/hardlink.h"
#include "tree/index.h"

struct sender;

struct move {
	uint64_t id, from_dir,
		to_dir; /* from_dir 0: a new folder, made early; to_dir 0: a folder that is gone */
	uint64_t at;	/* in the index, of a file's old name */
	uint32_t from, to; /* offsets in names */
	uint32_t from_depth, to_depth;
	bool met; /* its new name was there when the folder was visited */
};
VEC(move_vec, struct move);

struct new_name {
	uint64_t id, dir;
	uint32_t name;
	bool is_dir;
};
VEC(new_name_vec, struct new_name);
VEC(gone_vec, uint64_t);

struct moves {
	const struct index *ix;
	struct new_name_vec news;
	struct idset gone;	   /* places in the index of names that are gone */
	struct gone_vec gone_dirs; /* ids */
	/* Only what changed is scanned: what was not is where it was, unless it is below a folder
	 * that is gone. */
	bool tracked;
	struct idset gone_ids; /* of folders, where tracked */
	struct str names;
	unsigned char *seen;  /* a bit for each folder of the index: the scan met it */
	struct move_vec v;    /* planned; sorted by to_dir */
	struct idset out;     /* places in the index of files that moved */
	struct idset dropped; /* folders that are gone */
	struct idset made;    /* new folders that were needed for what moves into them */
	uint64_t batch;
};

void moves_init(struct moves *m, const struct index *ix);
void moves_done(struct moves *m);
/* For the scan. moves_see: false if the folder was met before. */
bool moves_see(struct moves *m, const struct index_dir *d);
/* Is that folder of the index still there after the scan? */
bool moves_is_there(const struct moves *m, const struct index_dir *d);
void moves_new(struct moves *m, uint64_t id, uint64_t dir, const char *name, bool is_dir);
void moves_gone(struct moves *m, const struct index_entry *e);
/* Where tracked: was something found in a folder that went after that? It can't be told where the
 * destination should have it. */
bool moves_into_lost(const struct moves *m, const struct sender *s);
/* Decides, and sends the batch. */
int moves_send(struct moves *m, struct sender *s, struct err *err) _must_use_;
/* What moved to that name, for a visit; NULL: nothing. */
struct move *moves_to(const struct moves *m, uint64_t dir, const char *name);
/* The moves into a folder: *pos starts at 0. */
struct move *moves_into(const struct moves *m, uint64_t dir, size_t *pos);
const char *moves_name(const struct moves *m, const struct move *mv);

/* The batch of an earlier pass that may not have been applied: sent again. */
int moves_resend(struct sender *s, struct err *err) _must_use_;
