#include "move/standstill.h"

#include <stdlib.h>

#include "base/cancel.h"
#include "base/fault.h"
#include "base/json.h"
#include "move/announce.h"
#include "move/handed.h"
#include "move/skel.h"
#include "runtime/runtime.h"

#define START_TIMEOUT (60 * USEC_PER_SEC)

bool standstill_ran(const struct sending *s)
{
	return json_get_bool(s->t->facts, "was_running", false);
}

int standstill_note_first(struct sending *s, struct err *err)
{
	enum ct_state state;
	int r = runtime_state(s->t->ct, &state, NULL, err);

	if (r >= 0)
		json_put_bool(s->t->facts, "ran", state != CT_STOPPED);
	return r;
}

/* A copy is made of what is there now, and its source is not the send's to start. */
static bool has_died(const struct sending *s, enum ct_state state)
{
	if (state != CT_STOPPED || sending_is_clone(s) || !json_get_bool(s->t->facts, "ran", false))
		return false;
	move_say(s->m, "container '%s' ran when its send began and is stopped now: it %s", s->t->ct,
		json_get_bool(s->t->opts, "start", true) ? "will be started on the destination"
							 : "stays so, because of --no-start");
	return true;
}

int standstill_note(struct sending *s, struct err *err)
{
	enum ct_state state;
	bool runs;
	int r;

	if (json_object_get(s->t->facts, "was_running"))
		return 0;
	r = runtime_state(s->t->ct, &state, NULL, err);
	if (r < 0)
		return r;
	/* Starting, rebooting, frozen: all of it is running. */
	runs = state != CT_STOPPED || has_died(s, state);
	return transfer_fact(s->m->st, s->t, "was_running", json_boolean(runs), err);
}

int standstill_begin(struct sending *s, struct err *err)
{
	int r;

	sending_phase(s, "stop", 0);
	s->stop_began = clock_now();
	r = runtime_stop(s->t->ct, s->m->cfg->stop_timeout, true, err);
	if (r >= 0)
		r = fault_point("handover.stopped", err);
	/* Somebody may have written it while it stopped. */
	return r < 0 ? r : skel_refresh(s, err);
}

static int start(struct sending *s, struct err *err)
{
	int r;

	if (!standstill_ran(s))
		return 0;
	cancel_shield();
	r = runtime_start(s->t->ct, START_TIMEOUT, err);
	cancel_unshield();
	if (r < 0)
		return err_prefix(err, "start container '%s' here again", s->t->ct);
	if (s->c)
		announce_container(s->c);
	move_say(s->m, "container '%s' runs here again", s->t->ct);
	return 0;
}

int standstill_end(struct sending *s, struct err *err)
{
	int r = handed_take_back(s->t, err);

	if (r >= 0)
		r = start(s, err);

	if (r < 0)
		return sending_left_open(err);
	return transfer_fact(s->m->st, s->t, "was_running", NULL, err);
}

int standstill_end_unrecorded(struct sending *s, struct err *err)
{
	int r;

	setenv(OWN_START_TOKEN, s->t->token, 1);
	r = handed_take_back(s->t, err);
	if (r >= 0)
		r = start(s, err);
	unsetenv(OWN_START_TOKEN);
	return r;
}
