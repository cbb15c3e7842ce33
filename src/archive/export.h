/*
 * One export in progress; what export.c and the layouts share.
 */
#pragma once

#include "archive/archive.h"
#include "move/places.h"
#include "node/pledge.h"

struct exporting;

/* How a layout is written. */
struct archive_writer {
	const char *name;
	bool incremental; /* a later pass of the same volume may follow */
	/* Before anything is stopped: can it be expressed? */
	int (*check)(struct exporting *x, struct err *err);
	int (*begin)(struct exporting *x, struct err *err);
	/* One pass over a volume whose root is fd. still: nobody changes it meanwhile. */
	int (*pass)(struct exporting *x, size_t volume, int fd, bool still, struct err *err);
	int (*end)(struct exporting *x, struct err *err);
	void (*free)(struct exporting *x);
};
extern const struct archive_writer own_writer, osctl_writer;

struct exporting {
	struct move_ctx *m;
	const struct export_opts *o;
	const char *ct;
	struct container *c;
	struct volume_vec vols; /* in the order of c->volumes */
	struct pledge pledge;
	const struct archive_writer *w;
	void *state;  /* the writer's */
	int lock, fd; /* fd: of the file */
	bool running, stops;
	json_t *digests; /* of volumes that were still */
	uint64_t bytes, entries;
	usec_t stop_began, stop_ended;
};
