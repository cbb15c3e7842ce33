/*
 * The source's durable knowledge of what the destination has: each folder's names, and of each name
 * the inode, its change time and digests. The file is mapped, not loaded, so that memory does not
 * grow with the tree. A pass appends what it sends to a journal beside it (PATH.part), each record
 * with the offset of the stream at which it is applied; committing makes both into a new file, by
 * atomic replace. After a broken pass, index_open does the same with what was acknowledged, and
 * sets distrust: then the destination may be ahead of us where things changed, and there only names
 * and content in full count.
 *
 *	struct index ix;
 *	r = index_open(path, resume, &ix, &err);
 *	if (index_dir(&ix, id, &dir)) while (index_next(&dir, &entry)) ...
 *	r = index_begin(&ix, session, root_id, map, &stamp, &err);
 *	index_put_dir(...); index_put(...) ...; index_put_done(...);
 *	r = index_close(&ix, &err);
 *	r = index_commit(path, &err);		// when the destination said that all is well
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/str.h"
#include "tree/tree.h"
#include "tree/watch.h"

#define INDEX_F_RACY	1u /* may have changed since without showing it: look again */
#define INDEX_F_SPARSE	4u /* has holes */
#define INDEX_F_PARTIAL 2u /* only the first blocks of the content are there */

struct index_entry {
	uint64_t id;
	uint64_t inode; /* of the destination, by a number of our own: two names of one have the
			   same */
	int64_t ctime;
	uint64_t size, meta, facts; /* meta: entry_digest; facts: facts_of_entry */
	struct digest128 content;
	uint32_t mode, flags;
	const char *name;
	const uint64_t *blocks; /* digests of the content's blocks, of files of more than one */
	uint32_t n_blocks;
	uint64_t at; /* where it is in the file: names this entry */
};

struct index_dir {
	uint64_t id, parent;
	const char *name;
	int64_t ctime;
	uint64_t meta, facts;
	uint32_t flags;
	size_t number;	      /* among all of the file, which is index_n_dirs */
	uint64_t next, first; /* private: the records */
};

struct index {
	char *path;
	/* the file */
	const unsigned char *map;
	size_t size;
	bool distrust;	  /* see above; also when there was no index */
	uint64_t root_id; /* 0: empty */
	uint64_t pending; /* number of the batch of moves that may not have been applied; 0: none */
	uint64_t batch;	  /* of the last one at all */
	uint64_t id_map;  /* facts_of_map of the one it was made with */
	struct watch_stamp stamp; /* changes since then are those since the index's pass */
	/* the journal */
	int part;
	struct str buf;
	uint64_t part_off;
};

/* resume may be NULL: then only what was synced counts. A damaged file counts as none. path NULL:
 * nothing is known and nothing kept. */
int index_open(const char *path, const struct tree_resume *resume, struct index *ret,
	struct err *err) _must_use_;
void index_done(struct index *ix);
bool index_dir(const struct index *ix, uint64_t id, struct index_dir *ret);
bool index_next(const struct index *ix, struct index_dir *d, struct index_entry *ret);
void index_rewind(struct index_dir *d);
bool index_at(const struct index *ix, uint64_t at, struct index_entry *ret);
/* Names of an inode that is no folder: *pos starts at 0; ret_dir is the id of the folder. */
bool index_name(const struct index *ix, uint64_t id, size_t *pos, struct index_entry *ret,
	uint64_t *ret_dir);
size_t index_n_dirs(const struct index *ix);
size_t index_n_names(const struct index *ix); /* that are no folders' */
/* Every folder in turn: *pos starts at 0. */
bool index_each_dir(const struct index *ix, size_t *pos, struct index_dir *ret);

/* The journal. at: offset of the stream after which the destination has it. */
int index_begin(struct index *ix, uint64_t session, uint64_t root_id, uint64_t id_map,
	const struct watch_stamp *stamp, struct err *err) _must_use_;
/* A folder that the pass owes: it is to be looked at in the next one, whatever changes. */
void index_put_owed(struct index *ix, uint64_t id);
/* The content or metadata of an inode that has other names is about to change at the destination:
 * what was said of those before counts no longer. */
void index_put_written(struct index *ix, uint64_t id);
void index_put_dir(struct index *ix, uint64_t id);
void index_put(struct index *ix, const struct index_entry *e, uint64_t at);
/* Content of the entry being sent: so many blocks of it so far. */
void index_put_part(struct index *ix, const struct index_entry *e, uint64_t at);
void index_put_done(struct index *ix, const struct index_dir *d, uint64_t at);
/* A batch of moves (moves.h): each of its moves, then the batch with the offset after which it is
 * applied. to_dir 0: a folder is gone; from_dir 0: one is made. It counts in the index at once, as
 * it will be sent until it is applied. */
void index_put_move(struct index *ix, uint64_t id, bool is_dir, uint64_t from_dir, const char *from,
	uint64_t to_dir, const char *to);
void index_put_batch(struct index *ix, uint64_t batch, uint64_t at);
void index_put_ack(struct index *ix, uint64_t applied, uint64_t synced);
void index_put_end(struct index *ix, uint64_t at);
int index_flush(struct index *ix, struct err *err) _must_use_;
int index_sync(struct index *ix, struct err *err) _must_use_;
int index_commit(const char *path, struct err *err) _must_use_;
