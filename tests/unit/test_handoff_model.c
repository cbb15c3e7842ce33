/*
 * Every reachable state of two nodes that hand one container over, by the rules of move/handoff.c
 * themselves: any message may be lost, repeated or late, either node's worker may die and either
 * node may reboot between any two steps, the operator may give up, start and stop things, and try
 * again. What is checked in each state is at the end of this file's explore().
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
	/* destination, the container, and a worker that brings it up */
	uint8_t d_running, d_worker; /* d_worker: 1 to start, 2 started, 3 failed and stopped */
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
};

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

static void reach(struct explorer *x, const struct world *w)
{
	uint32_t h = hash_of(w);

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
	return w->phase == TRANSFER_COMMITTED || w->phase == TRANSFER_DONE;
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
	case ANSWER_RUN:
		if (!w->d_worker)
			w->d_worker = 1;
		return;
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

static void source_step(struct explorer *x, struct world w)
{
	struct handoff_source s = {.own = w.own,
		.done = w.done,
		.stopped = w.stopped,
		.delta_sent = w.delta,
		.give_up = w.give_up,
		.peer = w.peer};

	enum handoff_step next = x->rules->source(&s);

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
	case HANDOFF_RELEASED: w.own = OWN_RELEASED; break;
	case HANDOFF_COMMIT:
		w.peer = PEER_UNKNOWN;
		w.req = REQ_COMMIT;
		break;
	case HANDOFF_ASK: w.req = REQ_STATUS; break;
	case HANDOFF_WAIT: w.peer = PEER_UNKNOWN; break;
	case HANDOFF_DONE: w.done = 1; break;
	case HANDOFF_TAKE_BACK:
		w.own = OWN_OWNER;
		end_worker(&w);
		break;
	case HANDOFF_GIVEN_BACK:
		w.own = OWN_OWNER;
		w.epoch += 2;
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

	/* A recovery worker, or the operator's next try. */
	if (!w.worker && is_open(&w)) {
		v.worker = 1;
		v.give_up = w.own == OWN_RELEASING;
		v.peer = PEER_UNKNOWN;
		if (w.own != OWN_OWNER) {
			reach(x, &v);
		} else if (w.attempt < ATTEMPTS) {
			v.attempt++;
			v.was_running = w.running || w.was_running;
			reach(x, &v);
		}
		/* Or it is cancelled: the token ends, durably, before the peer is told. */
		if (w.own == OWN_OWNER) {
			v = w;
			v.ended = 1;
			v.late_cancel = 1;
			reach(x, &v);
		}
	}
	/* Its user edits the configuration, also while it stops. */
	if (w.own != OWN_RELEASED && !w.stopped && is_open(&w) && !w.edited) {
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

static void destination_life(struct explorer *x, struct world w)
{
	struct world v = w;

	if (w.phase == TRANSFER_COMMITTED) {
		v.d_worker = w.d_worker ? w.d_worker : 1; /* recovery */
		if (v.d_worker == 1) {
			struct world u = v;

			u.d_running = 1;
			u.d_worker = 2;
			reach(x, &u);
			u = v; /* it can't even be started */
			u.d_running = 0;
			u.d_worker = 3;
			reach(x, &u);
		} else if (v.d_worker == 2) {
			struct world u = v;

			u.phase = TRANSFER_DONE;
			u.d_worker = 0;
			reach(x, &u);
			u = v; /* not healthy: stopped for certain first */
			u.d_running = 0;
			u.d_worker = 3;
			reach(x, &u);
		} else {
			v.phase = TRANSFER_REFUSED;
			v.d_worker = 0;
			reach(x, &v);
		}
	}
	if (w.phase == TRANSFER_DONE) {
		v = w;
		v.d_running = 1;
		reach(x, &v);
	}
	x->fault = true;
	v = w;
	v.d_worker = 0;
	reach(x, &v);
	v.d_running = 0;
	reach(x, &v);
	/* Its administrator throws away what is arriving: the promise is written first. */
	if (w.phase <= TRANSFER_PREPARED) {
		v = w;
		v.phase = TRANSFER_CANCELLED;
		reach(x, &v);
	}
	x->fault = false;
}

static const char *violated(const struct world *w)
{
	if (w->running && w->d_running)
		return "it runs twice";
	if ((source_may_run(w) || w->starting) && destination_may_run(w))
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

static bool *runs_somewhere(const struct explorer *x)
{
	bool *good = xcalloc(x->n, sizeof(*good));
	bool changed = true;

	for (size_t i = 0; i < x->n; i++)
		good[i] = x->states[i].running || x->states[i].d_running;
	while (changed) {
		changed = false;
		for (size_t i = x->n_edges; i-- > 0;)
			if (good[x->edges[i][1]] && !good[x->edges[i][0]])
				good[x->edges[i][0]] = changed = true;
	}
	return good;
}

/* Returns the number of states, sets x->violation to what is wrong, or leaves it NULL. */
static size_t explore(struct explorer *x, const struct rules *rules)
{
	struct world start;
	bool *good;

	memset(x, 0, sizeof(*x));
	memset(&start, 0, sizeof(start));
	x->rules = rules;
	x->hash = xcalloc(HASH_SIZE, sizeof(*x->hash));
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
	good = runs_somewhere(x);
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

static void test_rules_hold(void **state)
{
	static const struct rules ours = {handoff_source_next, handoff_destination, handoff_define};
	struct explorer x;
	size_t n = explore(&x, &ours);

	(void)state;
	print_message("# %zu states, %zu moves without a fault\n", n, x.n_edges);
	assert_null(x.violation);
	assert_true(n > 1000);
	done(&x);
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

static void test_broken_rules_are_found(void **state)
{
	static const struct {
		const char *name;
		struct rules rules;
	} broken[] = {
		{"a lost answer taken for failure",
			{lost_answer_is_failure, handoff_destination, handoff_define}},
		{"taken back after the commit",
			{prepared_means_not_running, handoff_destination, handoff_define}},
		{"a start taken for success",
			{starting_is_done, handoff_destination, handoff_define}},
		{"the commit sent before it is durable",
			{commit_before_release, handoff_destination, handoff_define}},
		{"handed over while it runs",
			{skips_the_stop, handoff_destination, handoff_define}},
		{"nobody asks after a lost answer",
			{never_asks, handoff_destination, handoff_define}},
		{"a dead token comes to life",
			{handoff_source_next, cancels_the_owner, handoff_define}},
		{"owner without a commit",
			{handoff_source_next, commits_unprepared, handoff_define}},
		{"a late configuration is taken",
			{handoff_source_next, handoff_destination, takes_the_late}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		struct explorer x;

		explore(&x, &broken[i].rules);
		print_message(
			"# %s: %s\n", broken[i].name, x.violation ? x.violation : "NOT FOUND");
		assert_non_null(x.violation);
		done(&x);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules_hold),
		cmocka_unit_test(test_broken_rules_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
