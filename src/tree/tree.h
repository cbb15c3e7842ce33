/*
 * The file-tree engine: makes the tree under one directory equal to the tree under another, over a
 * stream, pass by pass. The source keeps an index of what the destination has, so nothing is asked
 * of the destination: a pass walks (or takes the names from change tracking), compares with the
 * index, and streams operations; the destination applies them confined to its root. Everything of
 * P5 travels. Ids travel as the container sees them.
 *
 *	source:       tree_send(&args, stream, &result, &err)
 *	destination:  tree_receive(&args, stream, &result, &err)
 *
 * The index file is durable state of the source: a pass that ends well replaces it; a broken one
 * leaves what was acknowledged, so that the next call resumes. Operations are idempotent: those
 * after the last acknowledgement are simply sent again.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/progress.h"
#include "base/stream.h"
#include "model/idmap.h"

#define TREE_UNSUPPORTED_MAX 64 /* messages kept; more are only counted */

struct tree_result {
	uint64_t entries;   /* in the tree */
	uint64_t sent;	    /* entries whose operation was sent in this pass */
	uint64_t bytes;	    /* file content sent */
	uint64_t deleted;   /* entries removed in this pass */
	bool tracked;	    /* no walk: only what has changed was looked at */
	uint64_t vanished;  /* gone between listing and reading: ordinary in a live pass */
	char **unsupported; /* "srv/x: immutable flag: xfs pool 'p' can't hold it" */
	uint64_t n_unsupported;
};
void tree_result_done(struct tree_result *r);

/* How much of a broken pass the destination holds: asked there (tree_resume_read), told to the
 * source before the next one. Without it the source counts on what was synced only, which is safe
 * and slower. */
struct tree_resume {
	uint64_t session, offset;
};

struct watch;

struct tree_send_args {
	int rootfd; /* the tree; stays the caller's */
	const char
		*index_path; /* absolute; made if missing. NULL: none is kept, everything is sent */
	const struct idmap *idmap; /* of the source; ids outside it are an error naming the file */
	bool final; /* the tree is still (stopped or a snapshot): a change while reading is an error
		     */
	uint64_t total_hint; /* bytes, for progress; 0: not known */
	struct progress *progress;
	const struct tree_resume *resume; /* NULL: not known */
	/* Change tracking (watch.h) that was armed before the first pass; NULL: every pass walks.
	 */
	struct watch *watch;
	/* When the tree became still, in ns since 1970, where it is a snapshot; 0: now. */
	uint64_t still_since;
};

struct tree_receive_args {
	int rootfd; /* an empty or partly filled directory of ours; nobody else writes there */
	const struct idmap *idmap; /* of the destination */
	struct progress *progress;
	/* The directory where the receiver keeps what it must know between passes (digests of
	 * entries); absolute, may be removed with the staging. */
	const char *state_dir; /* NULL: nothing is kept between passes */
};

int tree_send(const struct tree_send_args *a, struct stream *s, struct tree_result *ret,
	struct err *err) _must_use_;
int tree_receive(const struct tree_receive_args *a, struct stream *s, struct tree_result *ret,
	struct err *err) _must_use_;

/* The source, after the destination answered that it has applied and synced the pass: what was sent
 * counts as held. Without it the next pass resumes as after a broken one: right, but slower. Not
 * needed after the last pass. */
int tree_commit(const char *index_path, struct err *err) _must_use_;
/* The destination says that it does not have what the source thinks (-ERR_STATE, -ERR_CORRUPT): the
 * next pass sends everything. */
int tree_forget(const char *index_path, struct err *err) _must_use_;
/* The destination, before it receives again: what it holds of the last pass; zeros if there was
 * none. */
int tree_resume_read(const char *state_dir, struct tree_resume *ret, struct err *err) _must_use_;

/* What the destination kept is of a folder that is no more. */
int tree_resume_forget(const char *state_dir, struct err *err) _must_use_;

/* Local copy (snapshots of dir volumes, templates): reflinks or copy_file_range where it can. to
 * must be empty. */
int tree_copy(int from_rootfd, int to_rootfd, struct progress *p, struct tree_result *ret,
	struct err *err) _must_use_;
/* A digest of a tree as it stands on disk now, by a walk that shares nothing with the index: every
 * name in its folder, type and mode, owners as the container sees them, modification time to the
 * second, sizes, link targets, device numbers. Not content and xattrs: those were checked as they
 * came in. The same on both sides means that nothing is missing, nothing is left over, nothing is
 * older. */
int tree_verify(int rootfd, const struct idmap *idmap, struct digest128 *ret, uint64_t *ret_entries,
	struct err *err) _must_use_;

/* The same digest without a walk. Of the source: of what its index says, after the destination has
 * answered that it applied the last pass. Of the destination: of what its disk said when it was
 * walked after a pass, taken on with each pass by looking again at every folder that the pass
 * touched. 1: here it is; 0: not known, walk. */
int tree_sum_sent(const char *index_path, struct digest128 *ret, uint64_t *ret_entries,
	struct err *err) _must_use_;
int tree_sum_received(const char *state_dir, const struct idmap *idmap, struct digest128 *ret,
	uint64_t *ret_entries);
