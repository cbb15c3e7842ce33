#include "base/progress.h"

#include <string.h>

#include "base/attr.h"

#define REPORT_EVERY (200 * USEC_PER_MSEC)

static void report(struct progress *p, usec_t now, bool final)
{
	struct progress_event ev = {
		.phase = p->phase,
		.done = p->done,
		.total = p->total && p->done > p->total ? p->done : p->total,
		.items = p->items,
		.elapsed = now - p->started,
		.eta = CLOCK_NEVER,
		.final = final,
	};
	usec_t since = now - p->last_sent;

	/* The rate of the last seconds, not of the whole phase: a stall is seen at once. */
	if (since > 0) {
		double r = (double)(p->done - p->last_done) * USEC_PER_SEC / (double)since;

		p->rate = p->rate > 0 ? 0.7 * p->rate + 0.3 * r : r;
	}
	if (final && ev.elapsed > 0)
		p->rate = (double)p->done * USEC_PER_SEC / (double)ev.elapsed;
	ev.rate = (uint64_t)p->rate;
	if (ev.total > p->done && p->rate >= 1)
		ev.eta = (usec_t)((double)(ev.total - p->done) / p->rate * USEC_PER_SEC);
	else if (ev.total && ev.total <= p->done)
		ev.eta = 0;
	p->last_sent = now;
	p->last_done = p->done;
	p->sink(p->ctx, &ev);
}

void progress_phase(struct progress *p, const char *phase, uint64_t total)
{
	if (!p || !p->sink)
		return;
	progress_end(p);
	snprintf(p->phase, sizeof(p->phase), "%s", phase);
	p->total = total;
	p->done = p->items = p->last_done = 0;
	p->rate = 0;
	p->started = clock_now();
	p->last_sent = p->started;
	report(p, p->started, false);
}

static void maybe_report(struct progress *p)
{
	usec_t now = clock_now();

	if (now - p->last_sent >= REPORT_EVERY)
		report(p, now, false);
}

void progress_add(struct progress *p, uint64_t bytes)
{
	if (!p || !p->sink || !p->phase[0])
		return;
	p->done += bytes;
	maybe_report(p);
}

void progress_item(struct progress *p, uint64_t items)
{
	if (!p || !p->sink || !p->phase[0])
		return;
	p->items += items;
	maybe_report(p);
}

void progress_end(struct progress *p)
{
	if (!p || !p->sink || !p->phase[0])
		return;
	report(p, clock_now(), true);
	p->phase[0] = '\0';
}
