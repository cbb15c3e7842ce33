#include "move/steps.h"

#include "base/json.h"
#include "move/handover.h"
#include "move/pass.h"
#include "move/reserve.h"
#include "move/retire.h"
#include "move/skel.h"

#define PASS_PATIENCE (60 * USEC_PER_SEC)

static int step_rootfs(void *ctx, struct err *err)
{
	struct sending *s = ctx;
	struct pass p = {.patience = PASS_PATIENCE};
	int r;

	sending_phase(s, "rootfs", json_get_u64(s->t->facts, "bytes", 0));
	r = pass_count(s, err);
	if (r >= 0)
		r = pass_run(s, &p, err);
	sending_phase_end(s);
	return r < 0 ? r : transfer_set_phase(s->m->st, s->t, TRANSFER_BASE, err);
}

static int step_sync(void *ctx, struct err *err)
{
	struct sending *s = ctx;
	struct pass p = {.patience = PASS_PATIENCE};
	int r;

	sending_phase(s, "sync", 0);
	r = skel_refresh(s, err);
	if (r >= 0)
		r = pass_count(s, err);
	if (r >= 0)
		r = pass_run(s, &p, err);
	sending_phase_end(s);
	return r < 0 ? r : transfer_set_phase(s->m->st, s->t, TRANSFER_INCREMENTAL, err);
}

static int step_state(void *ctx, struct err *err)
{
	struct sending *s = ctx;
	enum handover_outcome outcome;
	int r = skel_refresh(s, err);

	if (r < 0)
		return r;
	return handover_run(s, COMMIT_PATIENCE, false, &outcome, err);
}

static int undo_rootfs(void *ctx, struct err *err)
{
	return pass_forget(ctx, err);
}

/* A crash in the middle of the state step left `releasing`: nobody else can have it yet. */
static int undo_state(void *ctx, struct err *err)
{
	struct sending *s = ctx;
	enum handover_outcome outcome;
	struct own own;
	int r = own_get(s->m->st, s->t->ct, &own, err);

	if (r < 0 || own.kind != OWN_RELEASING)
		return r;
	return handover_run(s, 0, true, &outcome, err);
}

static int step_reserve(void *ctx, struct err *err)
{
	return reserve_run(ctx, err);
}

static int undo_reserve(void *ctx, struct err *err)
{
	return reserve_undo(ctx, err);
}

static int step_cleanup(void *ctx, struct err *err)
{
	return retire_run(ctx, err);
}

static const struct step send_steps[] = {
	{"config", "reserve the name and the place on the destination, define the container there",
		"remove all of it there, forget the send here", 0, step_reserve, undo_reserve},
	{"rootfs", "send a first copy of every volume while the container runs",
		"remove the snapshots made here", 0, step_rootfs, undo_rootfs},
	{"sync", "send what has changed since, while the container runs",
		"remove the snapshots made here", 0, step_sync, NULL},
	{"state",
		"stop the container, send the last changes, hand it over, start it there, check "
		"its health",
		"start it here again", STEP_COMMIT, step_state, undo_state},
	{"cleanup", "remove the container and the send's snapshots here", NULL, STEP_FORWARD_ONLY,
		step_cleanup, NULL},
	{NULL, NULL, NULL, 0, NULL, NULL},
};

void steps_make_plan(struct sending *s)
{
	s->plan = (struct plan){.m = s->m, .token = s->t->token, .steps = send_steps, .ctx = s};
}

/* What the same steps come to where the container's device is handed over. */
static const struct step device_words[] = {
	{"config",
		"mark the container's device, and have the destination find the mark on its own; "
		"reserve "
		"the name there, define the container there",
		"remove the definition there and the mark here, forget the send", 0, NULL, NULL},
	{"state",
		"stop the container, mark its device anew, unmount it here for certain; the "
		"destination "
		"reads the mark; hand the container over; mount the device there, start it there, "
		"check "
		"its health",
		"the destination unmounts it, if it had it; mount it here, start the container "
		"here "
		"again; no file is deleted",
		STEP_COMMIT, NULL, NULL},
	{"cleanup", "forget the container here; its device stays as it is", NULL, STEP_FORWARD_ONLY,
		NULL, NULL},
	{NULL, NULL, NULL, 0, NULL, NULL},
};

json_t *steps_json(const struct sending *s)
{
	return plan_json(s->o.hand_over ? device_words : send_steps);
}
