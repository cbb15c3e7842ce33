/*
 * Values of OpenVZ parameters: amounts with their suffixes, pairs "barrier:limit", and everything
 * that has been used to say "unlimited".
 *
 *	struct ve_pair p;
 *	if (ve_pair_read("0:1G", VE_PAGES, &p))
 *		... p.limit is 262144
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VE_UNLIMITED UINT64_MAX
#define VE_PAGE	     4096 /* of the source: OpenVZ was x86 only, but for ia64 */

/* What a number without a suffix counts; a suffix (T G M K P B) says bytes or pages instead. */
enum ve_unit {
	VE_PAGES,
	VE_BYTES,
	VE_KIB,	   /* disk space */
	VE_COUNT,  /* takes no suffix */
	VE_INODES, /* a count that does take one, as a factor */
};

struct ve_pair {
	uint64_t barrier, limit; /* in the unit; VE_UNLIMITED */
	bool single;		 /* one value stood for both */
	bool above;		 /* the barrier was above the limit, which then is both */
};

/* "B:L" or one value for both. */
bool ve_pair_read(const char *s, enum ve_unit unit, struct ve_pair *ret);
/* No suffix, no fraction, not "unlimited". */
bool ve_number_read(const char *s, uint64_t *ret);
bool ve_yes_read(const char *s, bool *ret); /* exactly "yes" or "no" */
/* Bytes of an amount of pages, KiB or bytes; VE_UNLIMITED stays, too much becomes it. */
uint64_t ve_bytes(uint64_t v, enum ve_unit unit);
