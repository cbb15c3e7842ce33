/*
 * A ploop disk as an image file: what its file system is on any node, to be mounted by loop.
 */
#pragma once

#include <stdbool.h>

#include "convert/ploop.h"

struct ploop_image_options {
	const char *guid; /* of a snapshot; NULL: what it is now */
	bool whole;	  /* the disk with its partition table, not only the file system */
	bool force;	  /* also one that is in use */
};

/* bundle is the folder with the descriptor, the container's private area above it, or the
 * descriptor itself. Writes a new file, or to standard output if file is "-". */
int ploop_image_write(const char *bundle, const struct ploop_image_options *o, const char *file,
	struct progress *progress, struct ploop_part *ret, struct err *err) _must_use_;
