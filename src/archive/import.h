/*
 * One import in progress; what import.c and the layouts share. An archive is hostile: whatever it
 * says is bounded before it is believed, and nothing of it is reached but its own staged volumes.
 */
#pragma once

#include "archive/archive.h"
#include "move/places.h"
#include "node/pledge.h"

#define SNIFF 512u /* bytes that say which layout it is */

struct importing;

struct archive_reader {
	const char *name;
	/* Do these bytes begin one? */
	bool (*mine)(const char *start, size_t n);
	/* What comes before the files: sets c (with its name in the archive, which may be ""), and
	 * if it is known, bytes and inodes. */
	int (*open)(struct importing *x, struct err *err);
	/* All of the rest, into the staged volumes. */
	int (*fill)(struct importing *x, struct err *err);
	void (*free)(struct importing *x);
};
extern const struct archive_reader own_reader, osctl_reader;

struct importing {
	struct move_ctx *m;
	const struct import_opts *o;
	int fd, lock;
	char start[SNIFF]; /* read already, in front of what fd still has */
	size_t start_n;
	const struct archive_reader *r;
	void *state; /* the reader's */
	struct container *c;
	uint64_t bytes, inodes; /* as the archive says; 0: it doesn't */
	struct pool *pool;
	struct pledge pledge;
	struct volume_vec vols;	   /* staged, in the order of c->volumes */
	json_t *fixups;		   /* what was changed inside; NULL: nothing was to be */
	uint64_t taken, unchecked; /* bytes of content so far; since room was looked at */
};

/* Bytes that are in front of the descriptor, then the descriptor. 0 at the end. */
ssize_t import_read(struct importing *x, void *buf, size_t n, struct err *err) _must_use_;
/* What stands behind the archive's end: nothing, or zeros (of tapes, and of copies by blocks). */
int import_rest(struct importing *x, struct err *err) _must_use_;
/* So much content more is to come: is there room, and is it as much as was allowed? */
int import_room(void *importing, uint64_t bytes, struct err *err) _must_use_;
