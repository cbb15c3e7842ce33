#include "node/transfer.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"
#include "node/state_sql.h"

#define COLUMNS                                                                                    \
	"token, role, phase, ct, peer_ct, peer, port, user, key, epoch, opened, changed, opts, "   \
	"facts"

static const char *const roles[] = {
	[TRANSFER_SOURCE] = "source",
	[TRANSFER_DESTINATION] = "destination",
};

/* The words of the source documents where they have one. */
static const char *const phases[] = {
	[TRANSFER_NEW] = "new",
	[TRANSFER_CONFIG] = "stage",
	[TRANSFER_BASE] = "base",
	[TRANSFER_INCREMENTAL] = "incremental",
	[TRANSFER_PREPARED] = "prepared",
	[TRANSFER_COMMITTED] = "committed",
	[TRANSFER_DONE] = "transfer",
	[TRANSFER_CLOSED] = "cleanup",
	[TRANSFER_CANCELLED] = "cancelled",
	[TRANSFER_REFUSED] = "refused",
};

const char *transfer_phase_name(enum transfer_phase p)
{
	return (unsigned)p < ARRAY_SIZE(phases) ? phases[p] : "unknown";
}

static bool phase_is_open(enum transfer_phase p)
{
	return p < TRANSFER_CLOSED;
}

bool transfer_is_open(const struct transfer *t)
{
	return phase_is_open(t->phase);
}

struct transfer *transfer_new(enum transfer_role role, const char *ct)
{
	struct transfer *t = xnew(struct transfer);

	state_token(t->token);
	t->role = role;
	t->phase = TRANSFER_NEW;
	snprintf(t->ct, sizeof(t->ct), "%s", ct);
	snprintf(t->peer_ct, sizeof(t->peer_ct), "%s", ct);
	t->opened = t->changed = clock_wall();
	t->opts = json_object();
	t->facts = json_object();
	return t;
}

void transfer_free(struct transfer *t)
{
	if (!t)
		return;
	json_decref(t->opts);
	json_decref(t->facts);
	free(t);
}

void transfer_freep(struct transfer **t)
{
	transfer_free(*t);
}

void transfer_vec_free(struct transfer_vec *v)
{
	for (size_t i = 0; i < v->n; i++)
		transfer_free(v->v[i]);
	transfer_vec_done(v);
}

static int json_column(const json_t *v, const char *what, char **ret, struct err *err)
{
	_cleanup_free_ char *text = NULL;

	if (!json_is_object(v))
		return err_set(err, ERR_INTERNAL, "the %s of a send are not an object", what);
	text = json_text(v);
	if (strlen(text) > STATE_JSON_MAX)
		return err_set(err, ERR_INVALID, "the %s of a send take %zu bytes, over %u", what,
			strlen(text), STATE_JSON_MAX);
	*ret = TAKE_PTR(text);
	return 0;
}

static int check_none_open(struct state *s, const char *ct, struct err *err)
{
	_cleanup_rows_ struct rows *rows = NULL;
	int r = state_query(s, &rows, err,
		"SELECT role, phase, peer FROM transfer WHERE ct = ?1 AND open", "s", ct);

	if (r >= 0)
		r = rows_next(rows, err);
	if (r <= 0)
		return r;
	if (str_eq(rows_str(rows, 0), roles[TRANSFER_SOURCE]))
		return err_set(err, ERR_BUSY,
			"container %s is being sent to %s already (phase %s): go on with that, or "
			"end it with wherry ct send cancel or cleanup",
			ct, rows_str(rows, 2), rows_str(rows, 1));
	return err_set(err, ERR_BUSY,
		"container %s is being received from %s (phase %s): the sender ends that with "
		"wherry ct send cancel or cleanup",
		ct, rows_str(rows, 2), rows_str(rows, 1));
}

static int insert(struct state *s, const struct transfer *t, struct err *err)
{
	_cleanup_free_ char *opts = NULL, *facts = NULL;
	int r = json_column(t->opts, "options", &opts, err);

	if (r >= 0)
		r = json_column(t->facts, "facts", &facts, err);
	if (r >= 0 && transfer_is_open(t))
		r = check_none_open(s, t->ct, err);
	if (r < 0)
		return r;
	r = state_exec(s, err,
		"INSERT INTO transfer (" COLUMNS ", open)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
		"ssssssussuuussb", t->token, roles[t->role], transfer_phase_name(t->phase), t->ct,
		t->peer_ct, t->peer, (uint64_t)t->port, t->user, t->key, t->epoch, t->opened,
		t->changed, opts, facts, transfer_is_open(t));
	if (r == -ERR_EXISTS)
		return err_set(err, ERR_EXISTS, "a send with this token was seen here before");
	return r;
}

int transfer_insert(struct state *s, struct transfer *t, struct err *err)
{
	int tx = state_enter(s, err), r;

	if (tx < 0)
		return tx;
	r = state_leave(s, tx, insert(s, t, err), err);
	return r < 0 ? r : 0;
}

/* A closed record stays as it was closed, and the commit is not taken back by a stale copy. */
static bool phase_may_follow(enum transfer_phase from, enum transfer_phase to)
{
	if (from == to)
		return true;
	if (!phase_is_open(from))
		return false;
	return !phase_is_open(to) || from < TRANSFER_COMMITTED || to > from;
}

static int check_phase(struct state *s, const struct transfer *t, struct err *err)
{
	_cleanup_rows_ struct rows *rows = NULL;
	int r = state_query(
		s, &rows, err, "SELECT phase FROM transfer WHERE token = ?1", "s", t->token);

	if (r >= 0)
		r = rows_next(rows, err);
	if (r == 0)
		return err_set(
			err, ERR_NOT_FOUND, "the send of container %s is not recorded", t->ct);
	if (r > 0)
		r = state_word(phases, ARRAY_SIZE(phases), rows_str(rows, 0), err);
	if (r < 0)
		return r;
	if (!phase_may_follow((enum transfer_phase)r, t->phase))
		return err_set(err, ERR_STATE,
			"the send of container %s is in phase %s and cannot go to %s", t->ct,
			phases[r], transfer_phase_name(t->phase));
	return 0;
}

static int save(struct state *s, const struct transfer *t, uint64_t now, struct err *err)
{
	_cleanup_free_ char *opts = NULL, *facts = NULL;
	int r = json_column(t->opts, "options", &opts, err);

	if (r >= 0)
		r = json_column(t->facts, "facts", &facts, err);
	if (r >= 0)
		r = check_phase(s, t, err);
	if (r < 0)
		return r;
	return state_exec(s, err,
		"UPDATE transfer SET phase = ?2, peer_ct = ?3, peer = ?4, port = ?5, user = ?6,"
		" key = ?7, epoch = ?8, opened = ?9, changed = ?10, opts = ?11, facts = ?12,"
		" open = ?13 WHERE token = ?1",
		"ssssussuuussb", t->token, transfer_phase_name(t->phase), t->peer_ct, t->peer,
		(uint64_t)t->port, t->user, t->key, t->epoch, t->opened, now, opts, facts,
		transfer_is_open(t));
}

int transfer_save(struct state *s, struct transfer *t, struct err *err)
{
	uint64_t now = clock_wall();
	int tx = state_enter(s, err), r;

	if (tx < 0)
		return tx;
	r = state_leave(s, tx, save(s, t, now, err), err);
	if (r < 0)
		return r;
	t->changed = now;
	return 0;
}

int transfer_fact(
	struct state *s, struct transfer *t, const char *name, json_t *value, struct err *err)
{
	json_t *before = t->facts;
	int r;

	t->facts = json_copy(before);
	if (!value || json_is_null(value)) {
		json_object_del(t->facts, name);
		json_decref(value);
	} else if (json_object_set_new(t->facts, name, value) < 0) {
		abort();
	}
	r = transfer_save(s, t, err);
	if (r < 0) {
		json_decref(t->facts);
		t->facts = before;
		return r;
	}
	json_decref(before);
	return 0;
}

int transfer_set_phase(
	struct state *s, struct transfer *t, enum transfer_phase phase, struct err *err)
{
	enum transfer_phase before = t->phase;
	int r;

	t->phase = phase;
	r = transfer_save(s, t, err);
	if (r < 0)
		t->phase = before;
	return r;
}

static int read_words(struct rows *rows, struct transfer *t, struct err *err)
{
	int role = state_word(roles, ARRAY_SIZE(roles), rows_str(rows, 1), err);
	int phase = role < 0 ? role
			     : state_word(phases, ARRAY_SIZE(phases), rows_str(rows, 2), err);

	if (phase < 0)
		return phase;
	t->role = (enum transfer_role)role;
	t->phase = (enum transfer_phase)phase;
	return 0;
}

static int read_row(struct rows *rows, struct transfer **ret, struct err *err)
{
	_cleanup_transfer_ struct transfer *t = xnew(struct transfer);
	int r = read_words(rows, t, err);

	if (r >= 0)
		r = rows_json(rows, 12, &t->opts, err);
	if (r >= 0)
		r = rows_json(rows, 13, &t->facts, err);
	if (r < 0)
		return r;
	rows_copy(rows, 0, t->token, sizeof(t->token));
	rows_copy(rows, 3, t->ct, sizeof(t->ct));
	rows_copy(rows, 4, t->peer_ct, sizeof(t->peer_ct));
	rows_copy(rows, 5, t->peer, sizeof(t->peer));
	t->port = (uint16_t)rows_u64(rows, 6);
	rows_copy(rows, 7, t->user, sizeof(t->user));
	rows_copy(rows, 8, t->key, sizeof(t->key));
	t->epoch = rows_u64(rows, 9);
	t->opened = rows_u64(rows, 10);
	t->changed = rows_u64(rows, 11);
	*ret = TAKE_PTR(t);
	return 0;
}

int transfer_by_token(struct state *s, const char *token, struct transfer **ret, struct err *err)
{
	_cleanup_rows_ struct rows *rows = NULL;
	int r = state_query(
		s, &rows, err, "SELECT " COLUMNS " FROM transfer WHERE token = ?1", "s", token);

	if (r >= 0)
		r = rows_next(rows, err);
	if (r == 0)
		return err_set(err, ERR_NOT_FOUND, "this host has no record of that send");
	return r < 0 ? r : read_row(rows, ret, err);
}

int transfer_open_of(struct state *s, enum transfer_role role, const char *ct,
	struct transfer **ret, struct err *err)
{
	_cleanup_rows_ struct rows *rows = NULL;
	int r = state_query(s, &rows, err,
		"SELECT " COLUMNS " FROM transfer WHERE ct = ?1 AND role = ?2 AND open", "ss", ct,
		roles[role]);

	if (r >= 0)
		r = rows_next(rows, err);
	if (r == 0)
		return err_set(err, ERR_NOT_FOUND, "container %s is not being %s", ct,
			role == TRANSFER_SOURCE ? "sent: wherry ct send config begins that"
						: "received here");
	return r < 0 ? r : read_row(rows, ret, err);
}

int transfer_list(
	struct state *s, bool open_only, const char *ct, struct transfer_vec *ret, struct err *err)
{
	_cleanup_(transfer_vec_free) struct transfer_vec list = {0};
	_cleanup_rows_ struct rows *rows = NULL;
	int r = state_query(s, &rows, err,
		"SELECT " COLUMNS " FROM transfer WHERE (open OR NOT ?1)"
		" AND (?2 IS NULL OR ct = ?2) ORDER BY seq",
		"bs", open_only, ct);

	while (r >= 0 && (r = rows_next(rows, err)) > 0) {
		struct transfer *t;

		r = read_row(rows, &t, err);
		if (r >= 0)
			*transfer_vec_push(&list) = t;
	}
	if (r < 0)
		return r;
	*ret = list;
	list = (struct transfer_vec){0};
	return 0;
}
