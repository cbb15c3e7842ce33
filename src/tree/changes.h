/*
 * The inodes of a file system that have changed, each with when: times are cuts, numbers that grow
 * by one whenever somebody takes what there is. Bounded: what does not fit is lost, and said to be.
 *
 *	changes_init(&c);
 *	changes_note(&c, inode, generation, true);
 *	cut = changes_cut(&c);			// what comes from now on is later
 *	if (changes_complete(&c, since)) for (i ...) if (changes_is(&c.v[i], since, cut)) ...
 *	changes_drop(&c, since);		// nobody asks for what is older any more
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHANGES_MAX (512u << 10) /* inodes, of 24 bytes each */

struct change {
	uint64_t inode; /* 0: empty */
	uint32_t generation;
	uint32_t sure;	/* changed for certain; the cut that was open, 0: never */
	uint32_t maybe; /* was open, and may have other flags since */
};

struct changes {
	struct change *v; /* a table; look at all of its cap */
	size_t n, cap;
	uint32_t open;	/* the cut that what is noted now belongs to */
	uint32_t lost;	/* the cut in which something was not noted; 0: none */
	uint32_t floor; /* what is not later was dropped */
};

void changes_init(struct changes *c);
void changes_note(struct changes *c, uint64_t inode, uint32_t generation, bool sure);
/* Something happened, and nobody knows what. */
void changes_lose(struct changes *c);
uint32_t changes_cut(struct changes *c);
bool changes_complete(const struct changes *c, uint32_t since);
void changes_drop(struct changes *c, uint32_t since);
void changes_done(struct changes *c);
