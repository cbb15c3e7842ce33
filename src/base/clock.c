#include "base/clock.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <time.h>

#include "base/cancel.h"

static uint64_t nsec_of(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

usec_t clock_now(void)
{
	return nsec_of(CLOCK_BOOTTIME) / 1000;
}

uint64_t clock_wall(void)
{
	return nsec_of(CLOCK_REALTIME) / UINT64_C(1000000000);
}

uint64_t clock_wall_nsec(void)
{
	return nsec_of(CLOCK_REALTIME);
}

usec_t clock_deadline(usec_t in)
{
	usec_t now = clock_now();

	return in >= CLOCK_NEVER - now ? CLOCK_NEVER : now + in;
}

int clock_poll_ms(usec_t deadline)
{
	usec_t now = clock_now(), left;

	if (deadline == CLOCK_NEVER)
		return -1;
	if (deadline <= now)
		return 0;
	/* Rounded up: rounding down would spin through the last millisecond. */
	left = (deadline - now) / USEC_PER_MSEC;
	return left >= INT_MAX ? INT_MAX : (int)left + 1;
}

void clock_sleep(usec_t t)
{
	usec_t deadline = clock_deadline(t);

	while (clock_now() < deadline && !cancel_requested()) {
		struct pollfd pfd = {.fd = cancel_fd(), .events = POLLIN};
		usec_t left = deadline - clock_now();
		struct timespec ts;

		if (left > t) /* passed just now */
			return;
		left = left > 3600 * USEC_PER_SEC ? 3600 * USEC_PER_SEC : left;
		ts.tv_sec = (time_t)(left / USEC_PER_SEC);
		ts.tv_nsec = (long)(left % USEC_PER_SEC * 1000);
		(void)ppoll(&pfd, 1, &ts, NULL);
	}
}

const char *clock_iso(uint64_t wall, char buf[CLOCK_ISO_MAX])
{
	time_t t = (time_t)wall;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || strftime(buf, CLOCK_ISO_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		snprintf(buf, CLOCK_ISO_MAX, "?");
	return buf;
}

/* A tenth of a second may pass at once: smooth on the wire, few wake-ups. */
static uint64_t burst(const struct rate *r)
{
	return MAX(r->bytes_per_sec / 10, 1);
}

void rate_init(struct rate *r, uint64_t bytes_per_sec)
{
	*r = (struct rate){.bytes_per_sec = bytes_per_sec, .last = clock_now()};
}

static void refill(struct rate *r)
{
	usec_t passed = clock_now() - r->last;
	__extension__ unsigned __int128 grown;

	grown = (unsigned __int128)passed * r->bytes_per_sec / USEC_PER_SEC;
	if (grown >= burst(r) - r->tokens) {
		r->tokens = burst(r);
		r->last += passed;
		return;
	}
	/* The clock moves only by what was granted, so that slow rates lose nothing to rounding. */
	r->tokens += (uint64_t)grown;
	r->last += (usec_t)(grown * USEC_PER_SEC / r->bytes_per_sec);
}

void rate_take(struct rate *r, uint64_t bytes)
{
	if (!r->bytes_per_sec)
		return;
	for (;;) {
		uint64_t part;

		refill(r);
		part = MIN(bytes, r->tokens);
		r->tokens -= part;
		bytes -= part;
		if (!bytes || cancel_requested())
			return;
		part = MIN(bytes, burst(r));
		clock_sleep(
			(usec_t)((double)part * (double)USEC_PER_SEC / (double)r->bytes_per_sec) +
			1);
	}
}
