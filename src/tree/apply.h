/*
 * Operations made real beneath a directory. Whatever the operations say, nothing outside is
 * reached: names are single components, folders are entered one by one without following symlinks
 * or crossing mounts, metadata goes through descriptors. An operation that breaks the rules is
 * -ERR_PROTOCOL; one that does not fit what is here is -ERR_STATE.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "tree/entry.h"
#include "tree/kept.h"
#include "tree/names.h"
#include "tree/ops.h"
#include "tree/tree.h"
#include "tree/walk.h"

struct apply {
	int rootfd;
	const struct idmap *map; /* NULL: the identity */
	struct tree_result *res;
	struct kept *kept; /* told what is touched; NULL: nobody wants to know */
	/* private */
	struct walk w;
	bool in_dir; /* between DIR and DONE */
	/* A batch of moves: see apply_moves.c. */
	const char *state_dir;
	enum { BATCH_NONE, BATCH_SKIP, BATCH_OUT, BATCH_IN } batch;
	uint64_t batch_number;
	bool drops;
	int orphans; /* the folder for what is out of the way, or -1 */
	bool exact;
	struct names names;
	struct entry e;
	struct entry_defaults defaults;
	bool times_verified;
	char name[256]; /* of the entry being made, for messages */
	int file;	/* being filled, or -1 */
	bool fresh;
	uint32_t made; /* its permission bits, if fresh and known */
	uint64_t file_size;
	struct filler *filler; /* NULL: not yet */
	bool placed;	       /* it knows the folder we are in */
};

/* state_dir NULL: moves cannot be repeated safely. */
void apply_init(struct apply *a, int rootfd, const struct idmap *map, const char *state_dir,
	struct tree_result *res);
void apply_done(struct apply *a);
/* Any operation but BEGIN and END. What it says is done only after apply_wait, which may fail for
 * one of those before. */
int apply_op(struct apply *a, const struct op *op, struct err *err) _must_use_;
int apply_wait(struct apply *a, struct err *err) _must_use_;
void apply_kick(struct apply *a); /* the caller is about to wait for more operations */
/* May the stream end here? */
bool apply_complete(const struct apply *a);

/* The source begins anew, with its numbers too. */
int apply_forget_moves(const char *state_dir, struct err *err) _must_use_;

/* Private to apply.c and apply_moves.c. */
int apply_moves_op(struct apply *a, const struct op *op, struct err *err) _must_use_;
int apply_remove(struct apply *a, int dirfd, const char *name, struct err *err) _must_use_;
bool apply_unlock(int dirfd); /* after EPERM or EACCES: is it worth another try? */
