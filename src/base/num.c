#include "base/num.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

__extension__ typedef unsigned __int128 wide;

static int refuse(struct err *err, const char *s, const char *what)
{
	return err_set(err, ERR_INVALID, "\"%.64s\" is not %s", s, what);
}

/* The digits at *s, which moves past them. False if there is none or the number is over 64 bits. */
static bool digits(const char **s, uint64_t *ret)
{
	const char *p = *s;
	uint64_t v = 0;

	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(v, 10, &v) ||
			__builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
			return false;
	if (p == *s)
		return false;
	*s = p;
	*ret = v;
	return true;
}

int num_u64(const char *s, uint64_t max, uint64_t *ret, struct err *err)
{
	const char *p = s;
	uint64_t v;

	if (!digits(&p, &v) || *p || v > max)
		return err_set(err, ERR_INVALID, "\"%.64s\" is not a number from 0 to %llu", s,
			(unsigned long long)max);
	*ret = v;
	return 0;
}

int num_u32(const char *s, uint32_t max, uint32_t *ret, struct err *err)
{
	uint64_t v;
	int r = num_u64(s, max, &v, err);

	if (r < 0)
		return r;
	*ret = (uint32_t)v;
	return 0;
}

int num_port(const char *s, uint16_t *ret, struct err *err)
{
	const char *p = s;
	uint64_t v;

	if (!digits(&p, &v) || *p || v < 1 || v > UINT16_MAX)
		return refuse(err, s, "a port (1 to 65535)");
	*ret = (uint16_t)v;
	return 0;
}

/* K, M, ... with an optional B or iB; a lone B is bytes. -1 if s is none of them. */
static int size_shift(const char *s)
{
	static const char letters[] = "KMGTPE";
	const char *at;

	if (!*s || strcmp(s, "B") == 0)
		return 0;
	at = strchr(letters, *s >= 'a' && *s <= 'z' ? *s - 'a' + 'A' : *s);
	if (!at || (s[1] && strcmp(s + 1, "B") != 0 && strcmp(s + 1, "iB") != 0))
		return -1;
	return 10 * (int)(at - letters + 1);
}

int num_size(const char *s, uint64_t *ret, struct err *err)
{
	static const char what[] = "a size (like 512K, 20M or 1.5GiB)";
	const char *p = s, *frac;
	uint64_t whole, part = 0, scale = 1;
	wide v;
	int shift;

	if (!digits(&p, &whole))
		return refuse(err, s, what);
	if (*p == '.') {
		frac = ++p;
		if (!digits(&p, &part) || p - frac > 18)
			return refuse(err, s, what);
		for (; frac < p; frac++)
			scale *= 10;
	}
	shift = size_shift(p);
	if (shift < 0 || (shift == 0 && scale > 1))
		return refuse(err, s, what);
	v = ((wide)whole << shift) + ((wide)part << shift) / scale;
	if (v > UINT64_MAX)
		return refuse(err, s, what);
	*ret = (uint64_t)v;
	return 0;
}

int num_duration(const char *s, usec_t *ret, struct err *err)
{
	static const struct {
		const char *name;
		usec_t usec;
	} units[] = {
		{"", USEC_PER_SEC},
		{"s", USEC_PER_SEC},
		{"ms", USEC_PER_MSEC},
		{"m", 60 * USEC_PER_SEC},
		{"min", 60 * USEC_PER_SEC},
		{"h", 3600 * USEC_PER_SEC},
		{"d", 86400 * USEC_PER_SEC},
	};
	const char *p = s;
	uint64_t v;

	if (digits(&p, &v)) {
		for (size_t i = 0; i < ARRAY_SIZE(units); i++)
			if (strcmp(p, units[i].name) == 0 &&
				!__builtin_mul_overflow(v, units[i].usec, &v)) {
				*ret = v;
				return 0;
			}
	}
	return refuse(err, s, "a duration (like 30s, 500ms, 5m or 2h)");
}

const char *num_human_size(uint64_t bytes, char buf[NUM_HUMAN_MAX])
{
	static const char letters[] = "KMGTPE";
	uint64_t tenths;

	if (bytes < 1024) {
		snprintf(buf, NUM_HUMAN_MAX, "%u B", (unsigned)bytes);
		return buf;
	}
	for (int i = 0;; i++) {
		uint64_t unit = UINT64_C(1) << 10 * (i + 1);

		tenths = (uint64_t)(((wide)bytes * 10 + unit / 2) / unit);
		if (tenths < 10240 || !letters[i + 1]) {
			snprintf(buf, NUM_HUMAN_MAX, "%u.%u %ciB", (unsigned)(tenths / 10),
				(unsigned)(tenths % 10), letters[i]);
			return buf;
		}
	}
}

const char *num_human_usec(usec_t t, char buf[NUM_HUMAN_MAX])
{
	uint64_t sec = t / USEC_PER_SEC + (t % USEC_PER_SEC >= USEC_PER_SEC / 2);
	uint64_t tenths = (t + 50 * USEC_PER_MSEC) / (100 * USEC_PER_MSEC);

	if (t < USEC_PER_SEC)
		snprintf(buf, NUM_HUMAN_MAX, "%u ms", (unsigned)(t / USEC_PER_MSEC));
	else if (t < 60 * USEC_PER_SEC && tenths < 600)
		snprintf(buf, NUM_HUMAN_MAX, "%u.%u s", (unsigned)(tenths / 10),
			(unsigned)(tenths % 10));
	else if (sec < 3600)
		snprintf(buf, NUM_HUMAN_MAX, "%u min %u s", (unsigned)(sec / 60),
			(unsigned)(sec % 60));
	else if (sec < 86400)
		snprintf(buf, NUM_HUMAN_MAX, "%u h %u min", (unsigned)(sec / 3600),
			(unsigned)(sec / 60 % 60));
	else
		snprintf(buf, NUM_HUMAN_MAX, "%llu d %u h", (unsigned long long)(sec / 86400),
			(unsigned)(sec / 3600 % 24));
	return buf;
}
