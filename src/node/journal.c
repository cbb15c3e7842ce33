#include "node/journal.h"

#include "base/clock.h"
#include "node/state_sql.h"

static const char *const events[] = {
	[JOURNAL_BEGIN] = "begin",
	[JOURNAL_DONE] = "done",
	[JOURNAL_FAILED] = "failed",
	[JOURNAL_UNKNOWN] = "unknown",
	[JOURNAL_UNDO] = "undo",
	[JOURNAL_UNDONE] = "undone",
};

const char *journal_event_name(enum journal_event e)
{
	return (unsigned)e < ARRAY_SIZE(events) ? events[e] : "unknown";
}

int journal_append(struct state *s, const char *token, const char *step, enum journal_event e,
	const char *text, struct err *err)
{
	int r = state_exec(s, err,
		"INSERT INTO journal (token, step, event, wall_nsec, text) VALUES (?1, ?2, ?3, ?4, "
		"?5)",
		"sssus", token, step, journal_event_name(e), clock_wall_nsec(), text ? text : "");

	return r < 0 ? err_prefix(err, "journal, step %s", step) : 0;
}

int journal_read(struct state *s, const char *token, struct journal_vec *ret, struct err *err)
{
	_cleanup_(journal_vec_done) struct journal_vec list = {0};
	_cleanup_rows_ struct rows *rows = NULL;
	int r = state_query(s, &rows, err,
		"SELECT seq, step, event, wall_nsec, text FROM journal WHERE token = ?1 ORDER BY "
		"seq",
		"s", token);

	while (r >= 0 && (r = rows_next(rows, err)) > 0) {
		struct journal_entry e = {.seq = rows_u64(rows, 0), .wall_nsec = rows_u64(rows, 3)};
		int event = state_word(events, ARRAY_SIZE(events), rows_str(rows, 2), err);

		if (event < 0)
			return event;
		e.event = (enum journal_event)event;
		rows_copy(rows, 1, e.step, sizeof(e.step));
		rows_copy(rows, 4, e.text, sizeof(e.text));
		*journal_vec_push(&list) = e;
	}
	if (r < 0)
		return r;
	*ret = list;
	list = (struct journal_vec){0};
	return 0;
}
