/*
 * Changes to files of a container, each of which can be taken back. They are made beneath its root
 * and follow none of its links. What was there is kept, as the inode that it was, in a folder of
 * the container's (FIX_STORE), with a log; a file that was changed again afterwards is not taken
 * back.
 *
 *	struct fix f = {.root = rootfd, .name = "fstab"};
 *	r = fix_write(&f, "etc/fstab", text, &err);	// 1: changed, 0: it was so already
 *	fix_done(&f);
 *	...
 *	r = fix_revert(rootfd, say, ctx, &err);
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/vec.h"

#define FIX_STORE    "var/lib/wherry-fixups"
#define FIX_FILE_MAX (1u << 20)

struct fix_change {
	const char *name;  /* of the fix-up */
	char *path, *what; /* "etc/fstab", "2 lines taken out" */
};
VEC(fix_change_vec, struct fix_change);

struct fix {
	int root;
	const char *name; /* of the fix-up that works now; static */
	bool dry;	  /* nothing is changed, only said */
	struct fix_change_vec changes;
	/* private */
	int store; /* 0: not open yet */
	unsigned next;
};

/* Each: 1 changed, 0 nothing to do, negative on failure. what (of fix_write: may be NULL) is said
 * of the change. A missing parent folder is made for fix_write and fix_link. */
int fix_write(struct fix *f, const char *path, const char *text, const char *what,
	struct err *err) _must_use_;
int fix_link(struct fix *f, const char *path, const char *target, struct err *err) _must_use_;
int fix_remove(struct fix *f, const char *path, struct err *err) _must_use_; /* a folder, too */
void fix_done(struct fix *f);

/* Takes all changes back, the last first. said: what was done, or why not; the number of changes
 * that could not be taken back is returned. */
int fix_revert(int root, void (*said)(void *ctx, const char *path, const char *what), void *ctx,
	struct err *err) _must_use_;
