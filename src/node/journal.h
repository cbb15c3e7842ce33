/*
 * Which steps of a transfer's plan began and ended. Rules: begin is durable before the effect; the
 * names of things to be created are durable facts (transfer_fact) before they are created; undo
 * reads only facts, is idempotent and accepts "never happened"; outcomes are done, failed or
 * unknown, and nothing is deleted on unknown.
 *
 *	r = journal_append(s, t->token, "base", JOURNAL_BEGIN, NULL, &err);
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "base/vec.h"
#include "node/state.h"

enum journal_event {
	JOURNAL_BEGIN,
	JOURNAL_DONE,
	JOURNAL_FAILED,
	JOURNAL_UNKNOWN,
	JOURNAL_UNDO,
	JOURNAL_UNDONE
};

struct journal_entry {
	uint64_t seq;
	char step[32];
	enum journal_event event;
	uint64_t wall_nsec;
	char text[256]; /* of an error, "" otherwise; cut to fit */
};
VEC(journal_vec, struct journal_entry);

const char *journal_event_name(enum journal_event e);
/* The transfer's record need not exist yet. text may be NULL. */
int journal_append(struct state *s, const char *token, const char *step, enum journal_event e,
	const char *text, struct err *err) _must_use_;
/* Oldest first; none is an empty list. */
int journal_read(
	struct state *s, const char *token, struct journal_vec *ret, struct err *err) _must_use_;
