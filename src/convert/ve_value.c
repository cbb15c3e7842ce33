#include "convert/ve_value.h"

#include <string.h>

#include "base/alloc.h"

__extension__ typedef unsigned __int128 wide;

/* Nothing of this size can be counted, so it says "unlimited", however it is written: LONG_MAX,
 * half of it, a row of nines. */
#define ABSURD (UINT64_C(1) << 53)

/* The amount of bytes (or the factor, for counts) that a suffix stands for; 0: it is none. */
static uint64_t suffix_of(char c, enum ve_unit unit)
{
	switch (c | 0x20) {
	case 't': return UINT64_C(1) << 40;
	case 'g': return UINT64_C(1) << 30;
	case 'm': return UINT64_C(1) << 20;
	case 'k': return UINT64_C(1) << 10;
	case 'p': return unit == VE_INODES ? 0 : VE_PAGE;
	case 'b': return 1;
	default: return 0;
	}
}

static uint64_t unit_size(enum ve_unit unit)
{
	return unit == VE_PAGES ? VE_PAGE : unit == VE_KIB ? 1024 : 1;
}

/* "2.2G": whole and the fraction in millionths. False where there is no number, or one that 64 bits
 * cannot hold: nobody can say what that was to be. */
static bool read_digits(const char **s, const char *end, uint64_t *whole, uint64_t *millionths)
{
	const char *p = *s;
	uint64_t scale = 100000;

	*whole = *millionths = 0;
	for (; p < end && *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(*whole, 10, whole) ||
			__builtin_add_overflow(*whole, (uint64_t)(*p - '0'), whole))
			return false;
	if (p == *s)
		return false;
	if (p < end && *p == '.')
		for (p++; p < end && *p >= '0' && *p <= '9'; p++, scale /= 10)
			*millionths += (uint64_t)(*p - '0') * scale;
	*s = p;
	return true;
}

static bool scaled(
	uint64_t whole, uint64_t millionths, uint64_t factor, enum ve_unit unit, uint64_t *ret)
{
	uint64_t v, part = (uint64_t)((wide)factor * millionths / 1000000);

	if (__builtin_mul_overflow(whole, factor, &v) || __builtin_add_overflow(v, part, &v))
		return false;
	*ret = v / unit_size(unit);
	return true;
}

static bool read_amount(const char *s, const char *end, enum ve_unit unit, uint64_t *ret)
{
	uint64_t whole, millionths, factor;
	size_t n = (size_t)(end - s);

	if (n == strlen("unlimited") && strncmp(s, "unlimited", n) == 0) {
		*ret = VE_UNLIMITED;
		return true;
	}
	if (!read_digits(&s, end, &whole, &millionths))
		return false;
	if (s == end) {
		*ret = whole; /* a fraction without a suffix is cut */
	} else {
		factor = suffix_of(*s, unit);
		if (s + 1 != end || unit == VE_COUNT || factor == 0 ||
			!scaled(whole, millionths, factor, unit, ret))
			return false;
	}
	/* LONG_MAX of 32 bits: vzctl itself takes it so. Of disk space it is 2 TiB, and means that.
	 */
	if (*ret >= ABSURD || (*ret == INT32_MAX && unit != VE_KIB))
		*ret = VE_UNLIMITED;
	return true;
}

bool ve_pair_read(const char *s, enum ve_unit unit, struct ve_pair *ret)
{
	const char *colon = strchr(s, ':'), *end = s + strlen(s);
	struct ve_pair p = {.single = !colon};

	if (!read_amount(s, colon ? colon : end, unit, &p.barrier))
		return false;
	p.limit = p.barrier;
	if (colon && !read_amount(colon + 1, end, unit, &p.limit))
		return false;
	if (p.barrier > p.limit) {
		/* The kernel stops at the limit. A barrier of "unlimited" says only that there is
		 * none. */
		p.above = p.barrier != VE_UNLIMITED;
		p.barrier = p.limit;
	}
	*ret = p;
	return true;
}

bool ve_number_read(const char *s, uint64_t *ret)
{
	uint64_t v = 0;

	if (!*s)
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return false;
		if (v > INT64_MAX / 10 - 1)
			return false;
		v = v * 10 + (uint64_t)(*s - '0');
	}
	*ret = v;
	return true;
}

bool ve_yes_read(const char *s, bool *ret)
{
	if (strcmp(s, "yes") != 0 && strcmp(s, "no") != 0)
		return false;
	*ret = *s == 'y';
	return true;
}

uint64_t ve_bytes(uint64_t v, enum ve_unit unit)
{
	uint64_t bytes;

	if (v == VE_UNLIMITED || __builtin_mul_overflow(v, unit_size(unit), &bytes) ||
		bytes > INT64_MAX)
		return VE_UNLIMITED;
	return bytes;
}
