/*
 * The records that index files and their journals are made of; private to index.c and
 * index_merge.c. All fields are of this machine: the files never leave it. A file is a head, blocks
 * (DIR, ENTRY..., DONE), the table of folders sorted by id, the table of names sorted by inode, and
 * a tail; a journal is blocks and the other records, in the order of the pass.
 */
#pragma once

#include <stdint.h>

#define INDEX_MAGIC	 UINT64_C(0x33786564492d7877) /* "wx-Idex3" */
#define INDEX_F_DISTRUST 1u

enum rec_type {
	REC_DIR = 1,
	REC_ENTRY,
	REC_PART,
	REC_DONE,
	REC_MOVE,
	REC_ACK,
	REC_END,
	REC_BEGIN,
	REC_BATCH,
	REC_OWED,
	REC_WRITTEN
};

struct rec {
	uint16_t type, name_len; /* with the NUL; the name follows the fixed part */
	uint32_t len;		 /* of all, a multiple of 8 */
	uint64_t sum;		 /* of what follows */
};

struct rec_dir {
	struct rec rec;
	uint64_t id, parent;
};

struct rec_entry {
	struct rec rec;
	uint64_t id, inode;
	int64_t ctime;
	uint64_t size, meta, facts;
	unsigned char content[16];
	uint32_t mode, flags, n_blocks, pad;
	uint64_t at; /* in a journal: of the stream */
};

struct rec_done {
	struct rec rec;
	uint64_t id;
	int64_t ctime;
	uint64_t meta, facts, flags, at;
};

struct rec_move {
	struct rec rec;
	uint64_t id, from_dir, to_dir;
	uint32_t to_len, is_dir; /* from and to, each with its NUL */
};

struct rec_ack {
	struct rec rec;
	uint64_t applied, synced; /* END: at; BATCH: number, at; OWED, WRITTEN: id */
};

struct rec_begin {
	struct rec rec;
	uint64_t session, root_id, map, watch_id, watch_cut;
};

struct index_head {
	uint64_t magic, flags, root_id, pending, batch, map;
};

struct dir_slot {
	uint64_t id, dir, done; /* offsets of its first and last record */
};

struct name_slot {
	uint64_t id;
	uint32_t dir; /* number in the table of folders */
	uint32_t rec; /* offset / 8 */
};

struct index_tail {
	unsigned char facts[16];			   /* the digest of the tree: facts.h */
	uint64_t dirs, n_dirs, names, n_names, magic, sum; /* sum of everything before the tail */
	/* Written anew where nothing else changes; after a crash of the host they mean nothing
	 * anyway. */
	uint64_t watch_id, watch_cut, watch_sum;
};

static inline const char *rec_name(const void *rec, size_t fixed)
{
	return (const char *)rec + fixed;
}
