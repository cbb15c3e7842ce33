#include "node/job.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"
#include "node/state_sql.h"

#define KEPT	10000

#define COLUMNS "id, state, call, ct, token, who, started, ended, pid, result"

static const char *const states[] = {
	[JOB_RUNNING] = "running",
	[JOB_DONE] = "done",
	[JOB_FAILED] = "failed",
	[JOB_CANCELLED] = "cancelled",
	[JOB_LOST] = "lost",
};

const char *job_state_name(enum job_state s)
{
	return (unsigned)s < ARRAY_SIZE(states) ? states[s] : "unknown";
}

static int start(struct state *s, struct job *j, struct err *err)
{
	uint64_t started = clock_wall(), id;
	int r = state_exec(s, err,
		"INSERT INTO job (state, call, ct, token, who, started, ended, pid)"
		" VALUES ('running', ?1, ?2, ?3, ?4, ?5, 0, ?6)",
		"ssssuu", j->call, j->ct, j->token, j->who, started, (uint64_t)MAX(j->pid, 0));

	if (r < 0)
		return r;
	id = state_last_id(s);
	if (id > KEPT)
		r = state_exec(s, err, "DELETE FROM job WHERE id <= ?1 AND state <> 'running'", "u",
			id - KEPT);
	if (r < 0)
		return r;
	j->id = id;
	j->state = JOB_RUNNING;
	j->started = started;
	j->ended = 0;
	return 0;
}

int job_start(struct state *s, struct job *j, struct err *err)
{
	int tx = state_enter(s, err);

	return tx < 0 ? tx : state_leave(s, tx, start(s, j, err), err);
}

static int finish(
	struct state *s, uint64_t id, enum job_state st, const char *result, struct err *err)
{
	_cleanup_rows_ struct rows *rows = NULL;
	int r = state_exec(s, err,
		"UPDATE job SET state = ?2, result = ?3, ended = ?4"
		" WHERE id = ?1 AND state = 'running'",
		"ussu", id, job_state_name(st), result, clock_wall());

	if (r != 0)
		return r < 0 ? r : 0;
	r = state_query(s, &rows, err, "SELECT state FROM job WHERE id = ?1", "u", id);
	if (r >= 0)
		r = rows_next(rows, err);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(err, ERR_NOT_FOUND, "there is no job %llu", (unsigned long long)id);
	return err_set(err, ERR_STATE, "job %llu has ended already: %s", (unsigned long long)id,
		rows_str(rows, 0));
}

int job_finish(struct state *s, uint64_t id, enum job_state st, json_t *result, struct err *err)
{
	_cleanup_json_ json_t *owned = result;
	_cleanup_free_ char *text = owned ? json_text(owned) : NULL;
	const char *kept = text;
	int tx;

	if (st == JOB_RUNNING)
		return err_set(err, ERR_INTERNAL, "a job cannot end as running");
	if (text && strlen(text) > STATE_JSON_MAX) /* the outcome matters more */
		kept = "{\"text\":\"the result was too long to be kept\"}";
	tx = state_enter(s, err);
	return tx < 0 ? tx : state_leave(s, tx, finish(s, id, st, kept, err), err);
}

static int read_row(struct rows *rows, struct job *ret, struct err *err)
{
	const char *result = rows_str(rows, 9);
	struct job j = {.id = rows_u64(rows, 0), .started = rows_u64(rows, 6)};
	int r = state_word(states, ARRAY_SIZE(states), rows_str(rows, 1), err);

	if (r < 0)
		return r;
	j.state = (enum job_state)r;
	rows_copy(rows, 2, j.call, sizeof(j.call));
	rows_copy(rows, 3, j.ct, sizeof(j.ct));
	rows_copy(rows, 4, j.token, sizeof(j.token));
	rows_copy(rows, 5, j.who, sizeof(j.who));
	j.ended = rows_u64(rows, 7);
	j.pid = (int)rows_u64(rows, 8);
	r = result ? rows_json(rows, 9, &j.result, err) : 0;
	if (r < 0)
		return r;
	*ret = j;
	return 0;
}

int job_get(struct state *s, uint64_t id, struct job *ret, struct err *err)
{
	_cleanup_rows_ struct rows *rows = NULL;
	int r = state_query(s, &rows, err, "SELECT " COLUMNS " FROM job WHERE id = ?1", "u", id);

	if (r >= 0)
		r = rows_next(rows, err);
	if (r == 0)
		return err_set(err, ERR_NOT_FOUND, "there is no job %llu", (unsigned long long)id);
	return r < 0 ? r : read_row(rows, ret, err);
}

int job_list(
	struct state *s, bool running_only, unsigned most, struct job_vec *ret, struct err *err)
{
	_cleanup_(job_vec_free) struct job_vec list = {0};
	_cleanup_rows_ struct rows *rows = NULL;
	int r = state_query(s, &rows, err,
		running_only ? "SELECT " COLUMNS " FROM job WHERE state = 'running'"
			       " ORDER BY id DESC LIMIT ?1"
			     : "SELECT " COLUMNS " FROM job ORDER BY id DESC LIMIT ?1",
		"u", most ? (uint64_t)most : (uint64_t)INT64_MAX);

	while (r >= 0 && (r = rows_next(rows, err)) > 0) {
		struct job j;

		r = read_row(rows, &j, err);
		if (r >= 0)
			*job_vec_push(&list) = j;
	}
	if (r < 0)
		return r;
	*ret = list;
	list = (struct job_vec){0};
	return 0;
}

void job_done(struct job *j)
{
	json_decref(j->result);
	j->result = NULL;
}

void job_vec_free(struct job_vec *v)
{
	for (size_t i = 0; i < v->n; i++)
		job_done(&v->v[i]);
	job_vec_done(v);
}

int history_add(struct state *s, const char *ct, const char *event, json_t *data, struct err *err)
{
	_cleanup_json_ json_t *owned = data ? data : json_object();
	_cleanup_free_ char *text = NULL;
	int r;

	if (!json_is_object(owned))
		return err_set(err, ERR_INTERNAL, "history: not an object");
	text = json_text(owned);
	if (strlen(text) > STATE_JSON_MAX)
		return err_set(err, ERR_INVALID, "history: an event of %zu bytes", strlen(text));
	r = state_exec(s, err,
		"INSERT INTO history (time, ct, event, data) VALUES (?1, ?2, ?3, ?4)", "usss",
		clock_wall(), ct, event, text);
	return r < 0 ? r : 0;
}

static int history_row(struct rows *rows, json_t **ret, struct err *err)
{
	_cleanup_json_ json_t *event = json_object(), *data = NULL;
	int r = rows_json(rows, 3, &data, err);

	if (r < 0)
		return r;
	json_put_u64(event, "time", rows_u64(rows, 0));
	json_put_str(event, "ct", rows_str(rows, 1));
	json_put_str(event, "event", rows_str(rows, 2));
	json_object_update_missing(event, data);
	*ret = TAKE_PTR(event);
	return 0;
}

int history_read(struct state *s, const char *ct, unsigned most, json_t **ret, struct err *err)
{
	_cleanup_json_ json_t *list = json_array();
	_cleanup_rows_ struct rows *rows = NULL;
	int r = state_query(s, &rows, err,
		"SELECT time, ct, event, data FROM"
		" (SELECT * FROM history WHERE ?1 IS NULL OR ct = ?1 ORDER BY seq DESC LIMIT ?2)"
		" ORDER BY seq",
		"su", ct, most ? (uint64_t)most : (uint64_t)INT64_MAX);

	while (r >= 0 && (r = rows_next(rows, err)) > 0) {
		json_t *event = NULL;

		r = history_row(rows, &event, err);
		if (r >= 0 && json_array_append_new(list, event) < 0)
			abort();
	}
	if (r < 0)
		return r;
	*ret = TAKE_PTR(list);
	return 0;
}
