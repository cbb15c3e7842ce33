#include "tree/digest.h"

#include <endian.h>
#include <string.h>

#include "base/xxh.h"

static void put(struct digest128 *d, uint64_t low, uint64_t high)
{
	low = htole64(low);
	high = htole64(high);
	memcpy(d->b, &low, 8);
	memcpy(d->b + 8, &high, 8);
}

static unsigned __int128 get(const struct digest128 *d)
{
	uint64_t low, high;

	memcpy(&low, d->b, 8);
	memcpy(&high, d->b + 8, 8);
	return (unsigned __int128)le64toh(high) << 64 | le64toh(low);
}

/* Without the zeros at its end: most blocks show in the last byte that there are none. */
static size_t trimmed(const unsigned char *p, size_t n)
{
	static const unsigned char zeros[512];

	while (n >= sizeof(zeros) && memcmp(p + n - sizeof(zeros), zeros, sizeof(zeros)) == 0)
		n -= sizeof(zeros);
	while (n && !p[n - 1])
		n--;
	return n;
}

uint64_t digest_u64(const void *buf, size_t n)
{
	return XXH3_64bits(buf, n);
}

struct digest128 digest_block(uint64_t index, const void *buf, size_t n)
{
	struct digest128 d = {{0}};
	XXH128_hash_t h;

	n = trimmed(buf, n);
	if (!n)
		return d;
	h = XXH3_128bits_withSeed(buf, n, index);
	put(&d, h.low64, h.high64);
	return d;
}

void digest_add(struct digest128 *sum, const struct digest128 *d)
{
	unsigned __int128 v = get(sum) + get(d);

	put(sum, (uint64_t)v, (uint64_t)(v >> 64));
}

bool digest_eq(const struct digest128 *a, const struct digest128 *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

uint64_t digest_low(const struct digest128 *d)
{
	return (uint64_t)get(d);
}
