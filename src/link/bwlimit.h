/*
 * The rate limit of the whole node: all jobs together send no more than so many bytes a second.
 * They share one number in a small mapped file, the time until which the link is spoken for, so
 * that nothing is locked and a process that is killed leaves nothing behind.
 *
 *	_cleanup_bwlimit_ struct bwlimit *b = NULL;
 *	r = bwlimit_open(NULL, cfg->bwlimit, &b, &err);
 *	bwlimit_take(b, n);	// sleeps until these n bytes may go
 */
#pragma once

#include <stdint.h>

#include "base/err.h"

struct bwlimit;

/* path NULL: RUN/bwlimit. bytes_per_sec 0: *ret is NULL, which limits nothing. */
int bwlimit_open(
	const char *path, uint64_t bytes_per_sec, struct bwlimit **ret, struct err *err) _must_use_;
/* Returns early when cancelled. */
void bwlimit_take(struct bwlimit *b, uint64_t bytes);
uint64_t bwlimit_rate(const struct bwlimit *b); /* bytes per second */
void bwlimit_free(struct bwlimit *b);
void bwlimit_freep(struct bwlimit **b);
#define _cleanup_bwlimit_ _cleanup_(bwlimit_freep)
