#include "move/handoff.h"

#include <string.h>

#include "base/attr.h"

static const char *const peer_names[] = {
	[PEER_UNKNOWN] = "unknown",
	[PEER_STAGED] = "staged",
	[PEER_PREPARED] = "prepared",
	[PEER_STARTING] = "starting",
	[PEER_OWNER] = "owner",
	[PEER_REFUSED] = "refused",
	[PEER_CANCELLED] = "cancelled",
	[PEER_NONE] = "none",
};

const char *handoff_peer_name(enum handoff_peer p)
{
	return peer_names[p];
}

enum handoff_peer handoff_peer_from(const char *name)
{
	for (size_t i = 0; name && i < ARRAY_SIZE(peer_names); i++)
		if (!strcmp(peer_names[i], name))
			return (enum handoff_peer)i;
	return PEER_UNKNOWN;
}

static const char *const step_names[] = {
	[HANDOFF_RELEASING] = "releasing",
	[HANDOFF_STOP] = "stop",
	[HANDOFF_DELTA] = "delta",
	[HANDOFF_PREPARE] = "prepare",
	[HANDOFF_RELEASED] = "released",
	[HANDOFF_COMMIT] = "commit",
	[HANDOFF_ASK] = "ask",
	[HANDOFF_WAIT] = "wait",
	[HANDOFF_DONE] = "done",
	[HANDOFF_TAKE_BACK] = "take-back",
	[HANDOFF_GIVEN_BACK] = "given-back",
	[HANDOFF_STOPPED] = "stopped",
	[HANDOFF_OPERATOR] = "operator",
};

const char *handoff_step_name(enum handoff_step s)
{
	return step_names[s];
}

/* Before the commit everything is still ours: any trouble takes it back. */
static enum handoff_step next_releasing(const struct handoff_source *s)
{
	if (s->give_up)
		return HANDOFF_TAKE_BACK;
	if (!s->stopped)
		return HANDOFF_STOP;
	if (!s->delta_sent)
		return HANDOFF_DELTA;
	if (s->peer == PEER_PREPARED)
		return HANDOFF_RELEASED;
	if (s->peer == PEER_UNKNOWN || s->peer == PEER_STAGED)
		return HANDOFF_PREPARE;
	/* Refused, cancelled, or forgotten there: it will not be prepared any more. That it says
	 * owner is a lie: it can't have the commit. */
	return HANDOFF_TAKE_BACK;
}

/* After it, only the peer's word decides, and giving up is not ours to choose. */
static enum handoff_step next_released(const struct handoff_source *s)
{
	switch (s->peer) {
	case PEER_UNKNOWN: return HANDOFF_ASK;
	case PEER_PREPARED: return HANDOFF_COMMIT;
	case PEER_STARTING: return HANDOFF_WAIT;
	case PEER_OWNER: return HANDOFF_DONE;
	case PEER_REFUSED:
	case PEER_CANCELLED: return HANDOFF_GIVEN_BACK;
	case PEER_STAGED: /* it had answered prepared, durably: it has lost its memory */
	case PEER_NONE: return HANDOFF_OPERATOR;
	}
	return HANDOFF_OPERATOR;
}

enum handoff_step handoff_source_next(const struct handoff_source *s)
{
	if (s->done)
		return HANDOFF_STOPPED;
	switch (s->own) {
	case OWN_OWNER: return s->give_up ? HANDOFF_STOPPED : HANDOFF_RELEASING;
	case OWN_RELEASING: return next_releasing(s);
	case OWN_RELEASED: return next_released(s);
	case OWN_STAGED: break;
	}
	return HANDOFF_OPERATOR;
}

enum handoff_step handoff_clone_next(
	enum transfer_phase phase, bool passed, bool give_up, enum handoff_peer peer)
{
	const struct handoff_source s = {
		.own = phase == TRANSFER_COMMITTED ? OWN_RELEASED : OWN_RELEASING,
		.done = phase > TRANSFER_COMMITTED,
		.stopped = true, /* where it is to be consistent, the pass has seen to it */
		.delta_sent = passed,
		.give_up = give_up,
		.peer = peer,
	};

	return handoff_source_next(&s);
}

enum handoff_peer handoff_destination_state(bool has_record, enum transfer_phase phase)
{
	if (!has_record)
		return PEER_NONE;
	switch (phase) {
	case TRANSFER_NEW:
	case TRANSFER_CONFIG:
	case TRANSFER_BASE:
	case TRANSFER_INCREMENTAL: return PEER_STAGED;
	case TRANSFER_PREPARED: return PEER_PREPARED;
	case TRANSFER_COMMITTED: return PEER_STARTING;
	case TRANSFER_DONE:
	case TRANSFER_CLOSED: return PEER_OWNER;
	case TRANSFER_CANCELLED: return PEER_CANCELLED;
	case TRANSFER_REFUSED: return PEER_REFUSED;
	}
	return PEER_UNKNOWN;
}

enum handoff_answer handoff_destination(bool has_record, enum transfer_phase phase,
	uint64_t record_epoch, enum handoff_message msg, uint64_t epoch)
{
	enum handoff_peer state = handoff_destination_state(has_record, phase);

	switch (msg) {
	case MESSAGE_STATUS: return ANSWER_STATE;
	case MESSAGE_PREPARE:
		if (state == PEER_STAGED)
			return phase >= TRANSFER_BASE ? ANSWER_PREPARE : ANSWER_ERROR;
		return ANSWER_STATE;
	case MESSAGE_COMMIT:
		if (state == PEER_PREPARED)
			return epoch == record_epoch ? ANSWER_TAKE : ANSWER_ERROR;
		if (state == PEER_STARTING)
			return ANSWER_RUN;
		return state == PEER_STAGED ? ANSWER_ERROR : ANSWER_STATE;
	case MESSAGE_CANCEL:
		/* Cancelled and refused again: what is left of the staging is removed again. */
		if (state == PEER_STAGED || state == PEER_PREPARED || state == PEER_CANCELLED ||
			state == PEER_REFUSED)
			return ANSWER_CANCEL;
		return ANSWER_STATE;
	}
	return ANSWER_ERROR;
}

enum handoff_answer handoff_define(enum transfer_phase phase, uint64_t have, uint64_t revision)
{
	enum handoff_peer state = handoff_destination_state(true, phase);

	if (revision <= have)
		return ANSWER_STATE;
	return state == PEER_STAGED || state == PEER_PREPARED ? ANSWER_DEFINE : ANSWER_ERROR;
}

bool handoff_takes_data(enum transfer_phase phase, uint64_t have, uint64_t pass)
{
	if (phase < TRANSFER_CONFIG || phase > TRANSFER_PREPARED)
		return false;
	return phase == TRANSFER_PREPARED ? pass > have : pass >= have;
}

enum handoff_takeover handoff_takeover_next(const struct handoff_taker *t)
{
	if (t->phase != TRANSFER_COMMITTED)
		return TAKEOVER_NOTHING;
	if (t->withdrawn)
		return t->stopped ? TAKEOVER_REFUSE : TAKEOVER_STOP;
	if (t->failed)
		return TAKEOVER_WITHDRAW;
	return t->well ? TAKEOVER_DONE : TAKEOVER_RUN;
}
