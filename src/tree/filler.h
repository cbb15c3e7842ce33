/*
 * A second thread of the receiver, for what remains to be done of a small new file once it has its
 * name: content, owner, mode, times, closing. Making names is the dearest part of a tree of small
 * files, and one after the other in a folder; the rest goes on beside it.
 *
 *	filler_take(f, fd, buf, n, &rest, name, folder);	// fd and folder are the filler's
 *	r = filler_wait(f, &err); // all done; the first failure, if any
 *
 * Nothing counts as applied before filler_wait has said so.
 */
#pragma once

#include "tree/entry.h"

#define FILLER_MAX (32u << 10) /* bytes of content */

struct filler;

struct filler *filler_new(void); /* NULL: no thread could be had */
void filler_free(struct filler *f);
/* name and folder: for messages; folder NULL: the same as before. */
void filler_take(struct filler *f, int fd, const void *buf, size_t n, const struct entry_rest *rest,
	const char *name, char *folder);
/* Who waits for something else now lets it begin with what there is. */
void filler_kick(struct filler *f);
int filler_wait(struct filler *f, struct err *err) _must_use_;
