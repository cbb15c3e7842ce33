/*
 * Change tracking: which inodes of a file system have changed since a pass, told by the kernel
 * (fanotify) to a small process of its own that lives over the passes of one send. It is armed
 * before the first pass reads anything, and each pass begins by taking what has changed since the
 * one that the index is of. The stamp in the index says which that is: another process, a reboot,
 * an overflow, too many changes and a mark that went with its mount all show as not known, and then
 * the pass walks.
 *
 * What the kernel does not tell at once: stores through a shared mapping. They are told when the
 * last that maps the file lets go of it, so what is taken after the container has stopped is
 * complete. What it never tells, changes of flags and project ids, it betrays by the file being
 * closed afterwards: such inodes come as maybe, and their change time decides.
 *
 *	r = watch_attach(program, folder, "rootfs", rootfd, 0, &w, &err);
 *	r = watch_take(w, rootfd, &stamp, &changes, &err);
 *	if (changes.known) ... changes.v[i] ...
 *	watch_changes_done(&changes);
 *	watch_free(w);			// the process goes on; watch_end ends it
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct watch_stamp {
	uint64_t id; /* of the process; 0: none */
	uint64_t cut;
};

struct watch_item {
	uint64_t inode;
	uint32_t generation;
	uint32_t sure; /* or it is to be looked at */
};

struct watch_changes {
	struct watch_stamp now; /* for the index of the pass that begins */
	bool known;
	struct watch_item *v;
	size_t n;
};

struct watch;

#define WATCH_BOUNDED 1u /* the kernel's own limit on what waits, for tests */

/* Can changes of this file system be tracked here at all? */
bool watch_can(int rootfd);
/* The one of that name that runs already, by a socket in the folder, or a new one that is armed by
 * now. It ends when it is told to, and when the folder is removed. -ERR_UNSUPPORTED: this kernel or
 * file system can't. */
int watch_attach(const char *program, const char *folder, const char *name, int rootfd,
	unsigned flags, struct watch **ret, struct err *err) _must_use_;
/* What has changed since then. Fails if the process is gone. */
int watch_take(struct watch *w, int rootfd, const struct watch_stamp *since,
	struct watch_changes *ret, struct err *err) _must_use_;
void watch_changes_done(struct watch_changes *c);
void watch_free(struct watch *w);
void watch_freep(struct watch **w);
#define _cleanup_watch_ _cleanup_(watch_freep)
/* Ends the process of that name, if there is one. */
void watch_end(const char *folder, const char *name);

/* The handle of an inode of that file system, as the kernel gives it. handle_bytes 0: not one that
 * we know. */
struct watch_handle {
	unsigned int bytes;
	int type;
	unsigned char data[12];
};
void watch_handle_make(int fs_type, uint64_t inode, uint32_t generation, struct watch_handle *ret);
bool watch_handle_read(const struct watch_handle *h, uint64_t *ret_inode, uint32_t *ret_generation);
