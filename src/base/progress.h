/*
 * Progress: what long work says while it runs. The one who does the work calls progress_add and
 * progress_item as often as it likes; the sink is called at most five times a second and at phase
 * ends.
 *
 *	progress_phase(p, "rootfs", total_bytes);	// total 0: not known
 *	progress_add(p, n);
 *
 * A sink belongs to the process (the worker sends it to the daemon, a test prints it). p may be
 * NULL everywhere.
 */
#pragma once

#include <stdint.h>

#include "base/clock.h"

struct progress_event {
	const char *phase;    /* "config", "rootfs", "sync 2", "stop", "state", ... */
	uint64_t done, total; /* bytes; total 0: not known; done may pass total, which then grows */
	uint64_t items;	      /* files or entries so far */
	uint64_t rate;	      /* bytes per second, smoothed */
	usec_t elapsed;	      /* of the phase */
	usec_t eta;	      /* CLOCK_NEVER: not known */
	bool final;	      /* the phase is over */
};

struct progress {
	void (*sink)(void *ctx, const struct progress_event *ev);
	void *ctx;
	/* private */
	char phase[64];
	uint64_t done, total, items, last_done;
	usec_t started, last_sent;
	double rate;
};

void progress_phase(
	struct progress *p, const char *phase, uint64_t total); /* ends the phase before */
void progress_add(struct progress *p, uint64_t bytes);
void progress_item(struct progress *p, uint64_t items);
void progress_end(struct progress *p); /* ends the current phase */
