/*
 * Digests of the tree engine: XXH3. They notice what went wrong, not attackers (ssh does that).
 *
 * Content is digested in blocks of 64 KiB. The digest of a whole file is the sum of its blocks'
 * digests, each seeded with its place, so that a block changed in place needs only that block's old
 * and new digest; zeros at the end of a block count nothing, so that holes and written zeros are
 * the same content. The digest of a tree is a sum over its names in the same way.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"

#define DIGEST_BLOCK 65536u

uint64_t digest_u64(const void *buf, size_t n);
/* Of one block of content (n <= DIGEST_BLOCK, the last one is short); zero for zeros. */
struct digest128 digest_block(uint64_t index, const void *buf, size_t n);
void digest_add(struct digest128 *sum, const struct digest128 *d);
bool digest_eq(const struct digest128 *a, const struct digest128 *b);
uint64_t digest_low(const struct digest128 *d); /* 64 bits of it, to keep and compare */
