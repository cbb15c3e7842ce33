/*
 * Compression of pieces of a stream, each on its own, as hard as pays: not at all while the link is
 * faster than the processor. The pace decides, from what was measured: it tries the next level
 * while we mostly wait for the link, keeps it only if more content per second got through, and goes
 * back down when the link waits for us.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/num.h"

#define PACE_LEVELS 4

struct pace {
	/* private */
	int at, from;		   /* where we are; where a trial came from, -1: no trial */
	double speed[PACE_LEVELS]; /* content bytes a second, as last measured; 0: never */
	unsigned age[PACE_LEVELS]; /* windows since */
	unsigned wait, patience;   /* windows until the next trial */
	uint64_t content, wire;	   /* bytes of this window */
	usec_t time, blocked;
};

void pace_init(struct pace *p);
int pace_level(const struct pace *p); /* of zstd; 0: send as it is */
/* content bytes went out as wire bytes; it took time, blocked of which we waited for the link or a
 * rate limit. */
void pace_add(struct pace *p, uint64_t content, uint64_t wire, usec_t time, usec_t blocked);

struct squeeze;
struct squeeze *squeeze_new(void);
/* NULL: it would not get smaller. The result is the squeeze's, until the next call. */
const void *squeeze_run(struct squeeze *z, int level, const void *buf, size_t n, size_t *ret_n);
void squeeze_free(struct squeeze *z);

struct expand;
struct expand *expand_new(size_t most); /* bytes that a piece may have */
/* NULL: damaged, empty, or larger than most. The result is the expand's, until the next call. */
const void *expand_run(struct expand *x, const void *buf, size_t n, size_t *ret_n);
void expand_free(struct expand *x);
