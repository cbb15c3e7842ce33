/*
 * Every reachable state of two nodes that hand one container over, or make a copy of it, by the
 * rules of move/handoff.c themselves: any message may be lost, repeated or late, either node's
 * worker may die and either node may reboot between any two steps, the operator may give up, start
 * and stop things, and try again. What is checked in each state is at the end of this file's
 * explore().
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "move/handoff.h"

#define ATTEMPTS 3 /* of the state step, with one token */
#define EPOCH	 5

/* What the source waits for. */
enum request { REQ_NONE, REQ_SKEL, REQ_PREPARE, REQ_COMMIT, REQ_STATUS };

/* One state of the world; all fields small, compared as bytes. */
struct world {
	uint8_t clone;	   /* a copy: what is durable is committed instead of own */
	uint8_t committed; /* durable */
	/* source, durable */
	uint8_t own, done, ended, epoch;
	uint8_t was_running; /* the fact: it must run again if it stays here */
	/* the configuration: what it is here (0, or 1 once somebody has edited it), the revision
	 * told last, which of them told the edited one (bits), whether the last was answered */
	uint8_t edited, told, told_edited, heard;
	/* source, gone with its worker */
	uint8_t worker, stopped, delta, give_up, peer, attempt;
	uint8_t req, answered; /* answered: 1 + handoff_peer of the answer that waits to be read */
	/* source, the container */
	uint8_t running,
		starting; /* starting: the pre-start hook has passed, the init isn't there yet */
	/* destination, durable */
	uint8_t phase, dver; /* dver: the attempt whose data it holds */
	uint8_t d_withdrawn;
	/* destination, a worker that brings the container up, and what it remembers */
	uint8_t d_worker, d_well, d_failed, d_stopped;
	/* destination, the container; starting as on the source: by a person, or at boot */
	uint8_t d_running, d_starting;
	/* destination, durable: the configuration it holds */
	uint8_t d_told, d_edited;
	/* the network: messages of connections that were given up may still arrive, again and again
	 */
	uint8_t late_prepare; /* bits by attempt */
	uint8_t late_commit, late_cancel;
	uint8_t late_skel;		    /* bits by revision */
	uint8_t prepare_told[ATTEMPTS + 1]; /* the revision that each attempt's prepare names */
};

struct rules {
	enum handoff_step (*source)(const struct handoff_source *s);
	enum handoff_answer (*destination)(
		bool, enum transfer_phase, uint64_t, enum handoff_message, uint64_t);
	enum handoff_answer (*define)(enum transfer_phase, uint64_t, uint64_t);
	enum handoff_takeover (*takeover)(const struct handoff_taker *t);
	enum handoff_step (*clone)(enum transfer_phase, bool, bool, enum handoff_peer);
};

static const struct rules ours = {handoff_source_next, handoff_destination, handoff_define,
	handoff_takeover_next, handoff_clone_next};

#define HASH_SIZE (1u << 22)

struct explorer {
	const struct rules *rules;
	struct world *states;
	size_t n, cap;
	uint32_t *hash; /* 1 + index */
	/* edges without a fault, for the question whether it always ends well */
	uint32_t (*edges)[2];
	size_t n_edges, cap_edges;
	const char *violation;
	uint32_t from;
	bool fault;
};

static uint32_t hash_of(const struct world *w)
{
	const uint8_t *p = (const uint8_t *)w;
	uint64_t h = 1469598103934665603ull;

	for (size_t i = 0; i < sizeof(*w); i++)
		h = (h ^ p[i]) * 1099511628211ull;
	return (uint32_t)(h ^ (h >> 32)) & (HASH_SIZE - 1);
}

static void add_edge(struct explorer *x, uint32_t to)
{
	if (x->n_edges == x->cap_edges) {
		x->cap_edges = x->cap_edges ? x->cap_edges * 2 : 1024;
		x->edges = xreallocarray(x->edges, x->cap_edges, sizeof(*x->edges));
	}
	x->edges[x->n_edges][0] = x->from;
	x->edges[x->n_edges++][1] = to;
}

/* Who runs where is of no matter to a copy. */
static void simplify(struct world *w)
{
	if (w->clone)
		w->running = w->starting = w->was_running = w->d_running = w->d_starting = 0;
}

static void reach(struct explorer *x, struct world *w)
{
	uint32_t h;

	simplify(w);
	h = hash_of(w);

	while (x->hash[h] && memcmp(&x->states[x->hash[h] - 1], w, sizeof(*w)))
		h = (h + 1) & (HASH_SIZE - 1);
	if (!x->hash[h]) {
		if (x->n == x->cap) {
			x->cap = x->cap ? x->cap * 2 : 4096;
			x->states = xreallocarray(x->states, x->cap, sizeof(*x->states));
		}
		assert_true(x->n < HASH_SIZE / 2);
		x->states[x->n++] = *w;
		x->hash[h] = (uint32_t)x->n;
	}
	if (!x->fault)
		add_edge(x, x->hash[h] - 1);
}

static bool source_may_run(const struct world *w)
{
	return w->own == OWN_OWNER;
}

static bool destination_may_run(const struct world *w)
{
	return (w->phase == TRANSFER_COMMITTED && !w->d_withdrawn) || w->phase == TRANSFER_DONE;
}

static bool is_open(const struct world *w)
{
	return !w->ended && !w->done;
}

/* The worker ends, and with it everything it only remembered. A request that was on its way may
 * still arrive. */
static void end_worker(struct world *w)
{
	if (w->req == REQ_PREPARE)
		w->late_prepare |= (uint8_t)(1u << w->attempt);
	if (w->req == REQ_SKEL)
		w->late_skel |= (uint8_t)(1u << w->told);
	if (w->req == REQ_COMMIT)
		w->late_commit = 1;
	w->worker = w->stopped = w->delta = w->give_up = w->req = w->answered = 0;
	w->peer = PEER_UNKNOWN;
}

static void forget_request(struct world *w)
{
	uint8_t stopped = w->stopped, delta = w->delta, give_up = w->give_up;

	end_worker(w);
	w->worker = 1;
	w->stopped = stopped;
	w->delta = delta;
	w->give_up = give_up;
}

/* A skel line of that revision. Answered if it is, or was, taken. */
static bool deliver_skel(struct explorer *x, struct world *w, uint8_t revision)
{
	switch (x->rules->define(w->phase, w->d_told, revision)) {
	case ANSWER_STATE: return w->phase <= TRANSFER_PREPARED;
	case ANSWER_DEFINE: break;
	default: return false;
	}
	w->d_told = revision;
	w->d_edited = (w->told_edited >> revision) & 1;
	if (w->phase == TRANSFER_PREPARED)
		w->phase = TRANSFER_INCREMENTAL;
	return true;
}

/* Are the data that it holds, and the configuration, those of that attempt? */
static bool holds(const struct world *w, int attempt)
{
	return w->dver == attempt && w->d_told == w->prepare_told[attempt];
}

/* What the destination does with a message; *ret is what it answers, -1: nothing. */
static void deliver(
	struct explorer *x, struct world *w, enum handoff_message msg, int attempt, int *ret)
{
	*ret = -1;
	switch (x->rules->destination(true, w->phase, EPOCH, msg, EPOCH)) {
	case ANSWER_STATE: break;
	case ANSWER_PREPARE:
		if (!holds(w, attempt))
			return; /* the digests or the revisions differ: an error */
		w->phase = TRANSFER_PREPARED;
		break;
	case ANSWER_TAKE:
		w->phase = TRANSFER_COMMITTED;
		w->d_worker = 1;
		return; /* answers when it is up, or has failed */
	case ANSWER_RUN: w->d_worker = 1; return;
	case ANSWER_CANCEL:
		if (w->phase < TRANSFER_CANCELLED)
			w->phase = TRANSFER_CANCELLED;
		break;
	case ANSWER_DEFINE:
	case ANSWER_ERROR: return;
	}
	/* Prepared already, but of other data: an error as well. */
	if (msg == MESSAGE_PREPARE && w->phase == TRANSFER_PREPARED && !holds(w, attempt))
		return;
	*ret = (int)handoff_destination_state(true, w->phase);
}

/* The configuration is told before the stop and looked at once more after it. */
static bool must_tell(const struct world *w, enum handoff_step next)
{
	return next == HANDOFF_DELTA &&
	       (!w->heard || ((w->told_edited >> w->told) & 1) != w->edited);
}

static void tell(struct explorer *x, struct world w)
{
	w.told++;
	w.told_edited |= (uint8_t)(w.edited << w.told);
	w.heard = 0;
	w.req = REQ_SKEL;
	reach(x, &w);
}

static enum transfer_phase clone_phase(const struct world *w)
{
	if (w->ended)
		return TRANSFER_REFUSED;
	if (w->done)
		return TRANSFER_DONE;
	return w->committed ? TRANSFER_COMMITTED : TRANSFER_BASE;
}

/* Back before the commit. The disk may be full: then it runs all the same, and is still releasing,
 * until that can be written. */
static void take_back(struct explorer *x, struct world w)
{
	struct world v = w;

	end_worker(&w);
	if (!w.clone) {
		w.own = OWN_OWNER;
		end_worker(&v);
		v.running = v.running || v.was_running;
		x->fault = true;
		reach(x, &v);
		x->fault = false;
	}
	reach(x, &w);
}

static void source_step(struct explorer *x, struct world w)
{
	struct handoff_source s = {.own = w.own,
		.done = w.done,
		.stopped = w.stopped,
		.delta_sent = w.delta,
		.give_up = w.give_up,
		.peer = w.peer};

	enum handoff_step next = w.clone ? x->rules->clone(
						   clone_phase(&w), w.delta, w.give_up, w.peer)
					 : x->rules->source(&s);

	if (must_tell(&w, next)) {
		tell(x, w);
		return;
	}
	switch (next) {
	case HANDOFF_RELEASING: w.own = OWN_RELEASING; break;
	case HANDOFF_STOP:
		w.running = w.starting = 0;
		w.stopped = 1;
		break;
	case HANDOFF_DELTA:
		/* Data is taken only before the commit; what was prepared isn't any more. */
		if (w.phase > TRANSFER_PREPARED) {
			w.give_up = 1;
			break;
		}
		w.phase = TRANSFER_INCREMENTAL;
		w.dver = w.attempt;
		w.delta = 1;
		break;
	case HANDOFF_PREPARE:
		w.req = REQ_PREPARE;
		w.prepare_told[w.attempt] = w.told;
		break;
	case HANDOFF_RELEASED:
		w.own = w.clone ? w.own : OWN_RELEASED;
		w.committed = w.clone;
		break;
	case HANDOFF_COMMIT:
		w.peer = PEER_UNKNOWN;
		w.req = REQ_COMMIT;
		break;
	case HANDOFF_ASK: w.req = REQ_STATUS; break;
	case HANDOFF_WAIT: w.peer = PEER_UNKNOWN; break;
	case HANDOFF_DONE: w.done = 1; break;
	case HANDOFF_TAKE_BACK: take_back(x, w); return;
	case HANDOFF_GIVEN_BACK:
		w.own = OWN_OWNER;
		w.epoch += w.clone ? 0 : 2;
		w.ended = 1;
		end_worker(&w);
		break;
	case HANDOFF_STOPPED:
	case HANDOFF_OPERATOR: end_worker(&w); break;
	}
	reach(x, &w);
}

/* Taken and heard, or taken and not heard, or not taken: an error, or the link is gone. */
static void source_tells(struct explorer *x, struct world w)
{
	struct world v = w;

	if (deliver_skel(x, &v, w.told)) {
		v.heard = 1;
		v.req = REQ_NONE;
	} else {
		forget_request(&v);
		v.give_up = 1;
	}
	reach(x, &v);
	x->fault = true;
	v = w;
	forget_request(&v);
	v.give_up = 1;
	reach(x, &v);
	x->fault = false;
}

static void source_requests(struct explorer *x, struct world w)
{
	struct world v = w;
	int state = -1;

	if (w.answered) {
		v.peer = (uint8_t)(w.answered - 1);
		v.req = v.answered = 0;
		reach(x, &v);
	} else {
		enum handoff_message m = w.req == REQ_PREPARE  ? MESSAGE_PREPARE
					 : w.req == REQ_COMMIT ? MESSAGE_COMMIT
							       : MESSAGE_STATUS;

		deliver(x, &v, m, v.attempt, &state);
		if (state >= 0) {
			v.answered = (uint8_t)(1 + state);
			reach(x, &v);
		} else {
			/* Delivered, and no answer comes: the source hears that the link is gone,
			 * or waits and gives it up. */
			struct world u = v;

			forget_request(&u);
			if (w.req == REQ_PREPARE)
				u.give_up = 1;
			reach(x, &u);
		}
	}
	/* The request, or its answer, is lost. */
	x->fault = true;
	v = w;
	forget_request(&v);
	reach(x, &v);
	if (w.req == REQ_PREPARE) {
		v.give_up = 1;
		reach(x, &v);
	}
	x->fault = false;
}

static void late_messages(struct explorer *x, struct world w)
{
	struct world v;
	int ignored;

	x->fault = true;
	for (int a = 0; a <= ATTEMPTS; a++)
		if (w.late_prepare & (1u << a)) {
			v = w;
			deliver(x, &v, MESSAGE_PREPARE, a, &ignored);
			reach(x, &v);
			v = w;
			v.late_prepare &= (uint8_t) ~(1u << a);
			reach(x, &v);
		}
	for (uint8_t r = 1; r <= w.told; r++)
		if (w.late_skel & (1u << r)) {
			v = w;
			(void)deliver_skel(x, &v, r);
			reach(x, &v);
			v = w;
			v.late_skel &= (uint8_t) ~(1u << r);
			reach(x, &v);
		}
	if (w.late_commit) {
		v = w;
		deliver(x, &v, MESSAGE_COMMIT, 0, &ignored);
		reach(x, &v);
		v = w;
		v.late_commit = 0;
		reach(x, &v);
	}
	x->fault = false;
	/* A cancel is told again and again until it has been heard: that it arrives is no fault. */
	if (w.late_cancel) {
		v = w;
		deliver(x, &v, MESSAGE_CANCEL, 0, &ignored);
		reach(x, &v);
	}
}

static void source_life(struct explorer *x, struct world w)
{
	struct world v = w;

	/* A recovery worker, or the operator's next try, also before recovery came. */
	if (!w.worker && is_open(&w)) {
		v.worker = 1;
		v.give_up = w.own == OWN_RELEASING;
		v.peer = PEER_UNKNOWN;
		if (w.own != OWN_OWNER || w.committed)
			reach(x, &v);
		if (w.own != OWN_RELEASED && !w.committed && w.attempt < ATTEMPTS) {
			v.give_up = 0;
			v.attempt++;
			v.was_running = w.running || w.was_running;
			reach(x, &v);
		}
		/* Or it is cancelled: the token ends, durably, before the peer is told. */
		if (w.own == OWN_OWNER && !w.committed) {
			v = w;
			v.ended = 1;
			v.late_cancel = 1;
			reach(x, &v);
		}
	}
	/* Its user edits the configuration, also while it stops. */
	if (w.own != OWN_RELEASED && !w.stopped && is_open(&w) && !w.edited &&
		!(w.clone && (w.delta || w.committed))) {
		v = w;
		v.edited = 1;
		reach(x, &v);
	}
	/* Started again by us after it came back, by a person, or at boot: each asks the ownership
	 * first. */
	if (source_may_run(&w) && !w.running && !w.worker) {
		v = w;
		v.running = 1;
		v.was_running = 0;
		reach(x, &v);
	}
	if (source_may_run(&w) && !w.running && !w.starting) {
		v = w;
		v.starting = 1;
		reach(x, &v);
	}
	if (w.starting) {
		v = w;
		v.running = 1;
		v.starting = 0;
		reach(x, &v);
	}
	x->fault = true;
	if (w.worker) {
		v = w;
		v.give_up = 1;
		reach(x, &v);
		v = w;
		end_worker(&v);
		reach(x, &v);
	}
	v = w;
	end_worker(&v);
	v.running = v.starting = 0;
	reach(x, &v);
	x->fault = false;
}

/* Bringing it up may go well or not; it may have been started, or not even that. */
static void bring_up(struct explorer *x, struct world w)
{
	w.d_well = 1;
	w.d_running = 1;
	reach(x, &w);
	w.d_well = 0;
	w.d_failed = 1;
	reach(x, &w);
	w.d_running = 0;
	reach(x, &w);
}

static void destination_worker(struct explorer *x, struct world w)
{
	const struct handoff_taker t = {.phase = w.phase,
		.withdrawn = w.d_withdrawn,
		.well = w.d_well,
		.failed = w.d_failed,
		.stopped = w.d_stopped};

	w.d_worker = 1; /* or recovery's */
	switch (x->rules->takeover(&t)) {
	case TAKEOVER_RUN: bring_up(x, w); return;
	case TAKEOVER_DONE: w.phase = TRANSFER_DONE; break;
	case TAKEOVER_WITHDRAW: w.d_withdrawn = 1; break;
	case TAKEOVER_STOP:
		w.d_running = w.d_starting = 0;
		w.d_stopped = 1;
		break;
	case TAKEOVER_REFUSE: w.phase = TRANSFER_REFUSED; break;
	case TAKEOVER_NOTHING: return;
	}
	if (w.phase != TRANSFER_COMMITTED)
		w.d_worker = w.d_well = w.d_failed = w.d_stopped = 0;
	reach(x, &w);
}

static void destination_life(struct explorer *x, struct world w)
{
	struct world v = w;

	if (w.phase == TRANSFER_COMMITTED)
		destination_worker(x, w);
	/* A person, or the node as it boots: the guard asks the ownership. */
	if (destination_may_run(&w) && !w.d_running && !w.d_starting) {
		v.d_starting = 1;
		reach(x, &v);
	}
	if (w.d_starting) {
		v = w;
		v.d_running = 1;
		v.d_starting = 0;
		reach(x, &v);
	}
	x->fault = true;
	v = w;
	v.d_worker = v.d_well = v.d_failed = v.d_stopped = 0;
	reach(x, &v);
	v.d_running = v.d_starting = 0;
	reach(x, &v);
	/* Its administrator throws away what is arriving: the promise is written first. */
	if (w.phase <= TRANSFER_PREPARED) {
		v = w;
		v.phase = TRANSFER_CANCELLED;
		reach(x, &v);
	}
	x->fault = false;
}

/* Of a copy: one that is there, and was said to have come to nothing, or the reverse. */
static const char *violated_clone(const struct world *w)
{
	bool there = w->phase == TRANSFER_COMMITTED || w->phase == TRANSFER_DONE;

	if (w->own != OWN_OWNER)
		return "a copy has changed who owns it";
	if (w->ended && there)
		return "the send of a copy has ended, but the copy is there";
	if (w->done && w->phase != TRANSFER_DONE)
		return "the source takes the copy for done, but it isn't there";
	if (w->committed && there && (w->dver != w->attempt || w->d_edited != w->edited))
		return "the copy isn't of one moment";
	return NULL;
}

static const char *violated(const struct world *w)
{
	if (w->clone)
		return violated_clone(w);
	if (w->running && w->d_running)
		return "it runs twice";
	if ((source_may_run(w) || w->starting) && (destination_may_run(w) || w->d_starting))
		return "both may start it";
	if (w->done && w->phase != TRANSFER_DONE)
		return "the source takes it for done, but it isn't there";
	if (w->own == OWN_RELEASED && w->phase <= TRANSFER_COMMITTED && w->dver != w->attempt)
		return "what was prepared isn't the last state";
	if (w->own == OWN_RELEASED && w->phase <= TRANSFER_DONE && w->d_edited != w->edited)
		return "the configuration there isn't the last one";
	if (w->running && !source_may_run(w) && w->stopped)
		return "it runs although it was proven stopped";
	return NULL;
}

/* A copy's original is not in doubt: it is its send that must come to an end. */
static bool is_well(const struct world *w)
{
	return w->clone ? w->done || w->ended : w->running || w->d_running;
}

static bool *ends_well(const struct explorer *x)
{
	bool *good = xcalloc(x->n, sizeof(*good));
	bool changed = true;

	for (size_t i = 0; i < x->n; i++)
		good[i] = is_well(&x->states[i]);
	while (changed) {
		changed = false;
		for (size_t i = x->n_edges; i-- > 0;)
			if (good[x->edges[i][1]] && !good[x->edges[i][0]])
				good[x->edges[i][0]] = changed = true;
	}
	return good;
}

/* Returns the number of states, sets x->violation to what is wrong, or leaves it NULL. */
static size_t explore(struct explorer *x, const struct rules *rules, bool clone)
{
	struct world start;
	bool *good;

	memset(x, 0, sizeof(*x));
	memset(&start, 0, sizeof(start));
	x->rules = rules;
	x->hash = xcalloc(HASH_SIZE, sizeof(*x->hash));
	start.clone = clone;
	start.running = 1;
	start.phase = TRANSFER_BASE;
	start.epoch = EPOCH;
	start.told = start.d_told = start.heard = 1;
	start.late_skel = 1u << 1;
	reach(x, &start);
	for (size_t i = 0; i < x->n; i++) {
		struct world w = x->states[i];

		x->from = (uint32_t)i;
		x->violation = violated(&w);
		if (x->violation)
			return x->n;
		if (w.worker && w.req == REQ_NONE)
			source_step(x, w);
		if (w.worker && w.req == REQ_SKEL)
			source_tells(x, w);
		else if (w.worker && w.req != REQ_NONE)
			source_requests(x, w);
		late_messages(x, w);
		source_life(x, w);
		destination_life(x, w);
	}
	good = ends_well(x);
	for (size_t i = 0; i < x->n; i++)
		if (!good[i])
			x->violation = "there is no way on which it runs again without a person";
	free(good);
	return x->n;
}

static void done(struct explorer *x)
{
	free(x->states);
	free(x->hash);
	free(x->edges);
}

static void hold(bool clone)
{
	struct explorer x;
	size_t n = explore(&x, &ours, clone);

	print_message("# %s: %zu states, %zu moves without a fault\n", clone ? "copy" : "move", n,
		x.n_edges);
	assert_null(x.violation);
	assert_true(n > 1000);
	done(&x);
}

static void test_rules_hold(void **state)
{
	(void)state;
	hold(false);
}

static void test_rules_hold_of_copies(void **state)
{
	(void)state;
	hold(true);
}

/* The same exploration must find what is wrong with rules that tools before us had. */
static enum handoff_step lost_answer_is_failure(const struct handoff_source *s)
{
	if (s->own == OWN_RELEASED && s->peer == PEER_UNKNOWN && !s->done)
		return HANDOFF_GIVEN_BACK;
	return handoff_source_next(s);
}

static enum handoff_step prepared_means_not_running(const struct handoff_source *s)
{
	if (s->own == OWN_RELEASED && s->peer == PEER_PREPARED && s->give_up)
		return HANDOFF_TAKE_BACK;
	return handoff_source_next(s);
}

static enum handoff_step starting_is_done(const struct handoff_source *s)
{
	if (s->own == OWN_RELEASED && s->peer == PEER_STARTING)
		return HANDOFF_DONE;
	return handoff_source_next(s);
}

static enum handoff_step commit_before_release(const struct handoff_source *s)
{
	if (s->own == OWN_RELEASING && !s->give_up && s->peer == PEER_PREPARED)
		return HANDOFF_COMMIT;
	return handoff_source_next(s);
}

static enum handoff_step skips_the_stop(const struct handoff_source *s)
{
	struct handoff_source t = *s;

	t.stopped = true;
	return handoff_source_next(&t);
}

static enum handoff_step never_asks(const struct handoff_source *s)
{
	enum handoff_step step = handoff_source_next(s);

	return step == HANDOFF_ASK ? HANDOFF_OPERATOR : step;
}

static enum handoff_answer cancels_the_owner(
	bool has, enum transfer_phase phase, uint64_t epoch, enum handoff_message msg, uint64_t e)
{
	if (msg == MESSAGE_COMMIT && phase == TRANSFER_CANCELLED)
		return ANSWER_TAKE;
	return handoff_destination(has, phase, epoch, msg, e);
}

static enum handoff_answer commits_unprepared(
	bool has, enum transfer_phase phase, uint64_t epoch, enum handoff_message msg, uint64_t e)
{
	if (msg == MESSAGE_PREPARE && phase == TRANSFER_PREPARED)
		return ANSWER_TAKE;
	return handoff_destination(has, phase, epoch, msg, e);
}

static enum handoff_answer takes_the_late(
	enum transfer_phase phase, uint64_t have, uint64_t revision)
{
	return handoff_define(phase, 0, revision);
}

/* As it was once: the start of somebody else slips in between. */
static enum handoff_takeover stops_before_it_withdraws(const struct handoff_taker *t)
{
	if (t->phase == TRANSFER_COMMITTED && t->failed && !t->withdrawn && !t->stopped)
		return TAKEOVER_STOP;
	return handoff_takeover_next(t);
}

static enum handoff_takeover refuses_before_it_stops(const struct handoff_taker *t)
{
	struct handoff_taker u = *t;

	u.stopped = true;
	return handoff_takeover_next(&u);
}

static enum handoff_step copy_lost_answer_is_failure(
	enum transfer_phase phase, bool passed, bool give_up, enum handoff_peer peer)
{
	if (phase == TRANSFER_COMMITTED && peer == PEER_UNKNOWN)
		return HANDOFF_GIVEN_BACK;
	return handoff_clone_next(phase, passed, give_up, peer);
}

/* As it was once: nothing durable says that the copy may be there. */
static enum handoff_step copy_commit_is_not_recorded(
	enum transfer_phase phase, bool passed, bool give_up, enum handoff_peer peer)
{
	enum handoff_step step = handoff_clone_next(phase, passed, give_up, peer);

	return step == HANDOFF_RELEASED ? HANDOFF_COMMIT : step;
}

static void test_broken_rules_are_found(void **state)
{
	static const struct {
		const char *name;
		struct rules r; /* what is not said is ours */
		bool clone;
	} broken[] = {
		{"a lost answer taken for failure", {.source = lost_answer_is_failure}},
		{"taken back after the commit", {.source = prepared_means_not_running}},
		{"a start taken for success", {.source = starting_is_done}},
		{"the commit sent before it is durable", {.source = commit_before_release}},
		{"handed over while it runs", {.source = skips_the_stop}},
		{"nobody asks after a lost answer", {.source = never_asks}},
		{"a dead token comes to life", {.destination = cancels_the_owner}},
		{"owner without a commit", {.destination = commits_unprepared}},
		{"a late configuration is taken", {.define = takes_the_late}},
		{"stopped before it is withdrawn", {.takeover = stops_before_it_withdraws}},
		{"given back while it runs", {.takeover = refuses_before_it_stops}},
		{"a copy's lost answer taken for failure", {.clone = copy_lost_answer_is_failure},
			true},
		{"a copy's commit is not recorded", {.clone = copy_commit_is_not_recorded}, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		const struct rules *b = &broken[i].r;
		const struct rules r = {b->source ? b->source : ours.source,
			b->destination ? b->destination : ours.destination,
			b->define ? b->define : ours.define,
			b->takeover ? b->takeover : ours.takeover,
			b->clone ? b->clone : ours.clone};
		struct explorer x;

		explore(&x, &r, broken[i].clone);
		print_message(
			"# %s: %s\n", broken[i].name, x.violation ? x.violation : "NOT FOUND");
		assert_non_null(x.violation);
		done(&x);
	}
}

/* Data that were on the way for long must not undo what is prepared. */
static void test_late_data(void **state)
{
	static const struct {
		enum transfer_phase phase;
		uint64_t have, pass;
		bool taken;
	} rows[] = {
		{TRANSFER_NEW, 0, 1, false},
		{TRANSFER_CONFIG, 0, 0, true}, /* by hand */
		{TRANSFER_CONFIG, 0, 1, true},
		{TRANSFER_INCREMENTAL, 2, 2, true}, /* a broken stream goes on */
		{TRANSFER_INCREMENTAL, 2, 3, true},
		{TRANSFER_INCREMENTAL, 2, 1, false},
		{TRANSFER_INCREMENTAL, 2, 0, false},
		{TRANSFER_PREPARED, 3, 3, false},
		{TRANSFER_PREPARED, 3, 2, false},
		{TRANSFER_PREPARED, 0, 0, false},
		{TRANSFER_PREPARED, 3, 4, true}, /* the source took it back, and tries again */
		{TRANSFER_COMMITTED, 3, 4, false},
		{TRANSFER_DONE, 3, 4, false},
		{TRANSFER_CANCELLED, 3, 4, false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (handoff_takes_data(rows[i].phase, rows[i].have, rows[i].pass) != rows[i].taken)
			fail_msg("row %zu", i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules_hold),
		cmocka_unit_test(test_rules_hold_of_copies),
		cmocka_unit_test(test_broken_rules_are_found),
		cmocka_unit_test(test_late_data),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
