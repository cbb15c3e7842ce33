/*
 * Time: monotonic for every deadline and rate, wall clock only to show it. No decision compares the
 * clocks of two hosts.
 */
#pragma once

#include <stdbool.h>

#include "base/num.h"

#define CLOCK_NEVER UINT64_MAX

usec_t clock_now(void);		    /* monotonic, runs on in suspend */
uint64_t clock_wall(void);	    /* seconds since 1970 */
uint64_t clock_wall_nsec(void);	    /* nanoseconds since 1970 */
usec_t clock_deadline(usec_t in);   /* now + in; CLOCK_NEVER stays */
int clock_poll_ms(usec_t deadline); /* what is left, for poll(2): -1 for never, 0 if past */
void clock_sleep(usec_t t);	    /* ends early when cancelled */
/* "2026-01-31T12:00:00Z" of seconds since 1970; buf is returned. */
#define CLOCK_ISO_MAX 32
const char *clock_iso(uint64_t wall, char buf[CLOCK_ISO_MAX]);

/* A token bucket over one process; rate 0 is unlimited. rate_take sleeps as needed,
 * less when cancelled. */
struct rate {
	uint64_t bytes_per_sec;
	uint64_t tokens; /* bytes */
	usec_t last;
};
void rate_init(struct rate *r, uint64_t bytes_per_sec);
void rate_take(struct rate *r, uint64_t bytes);
