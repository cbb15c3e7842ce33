/*
 * A plan: an array of steps, run forwards, undone backwards, each beginning and end in the journal.
 * A step's undo reads only durable facts, may be called any number of times, and accepts that its
 * run never happened.
 *
 *	static const struct step steps[] = {{"reserve", ...}, {"rootfs", ...}, {NULL}};
 *	struct plan p = {.m = m, .token = token, .steps = steps, .ctx = send};
 *	r = plan_step(&p, "rootfs", &err);
 */
#pragma once

#include "move/move.h"

#define STEP_COMMIT	  1u /* once it is done, there is no way back */
#define STEP_FORWARD_ONLY 2u /* comes after the commit */

struct step {
	const char *name;
	const char *does, *undoes; /* one clause each, for --dry-run */
	unsigned flags;
	int (*run)(void *ctx, struct err *err);
	int (*undo)(void *ctx, struct err *err); /* NULL: nothing to undo */
};

struct plan {
	struct move_ctx *m;
	const char *token;
	const struct step *steps; /* ends with name NULL */
	void *ctx;
};

/* begin, run, done or failed (unknown for -ERR_UNKNOWN). */
int plan_step(struct plan *p, const char *name, struct err *err) _must_use_;
/* Undoes everything that is not behind the commit, last step first, cancelling shielded. Goes on
 * after an error; the first one is returned. */
int plan_undo(struct plan *p, struct err *err) _must_use_;
json_t *plan_json(const struct step *steps); /* [{step, does, undo}] */
