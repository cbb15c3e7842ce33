#include "node/ownership.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"
#include "node/job.h"
#include "node/state_sql.h"

#define FORCED 1000 /* over every epoch that a hand-over under way can still reach */

static const char *const kinds[] = {
	[OWN_OWNER] = "owner",
	[OWN_STAGED] = "staged",
	[OWN_RELEASING] = "releasing",
	[OWN_RELEASED] = "released",
};

const char *own_kind_name(enum own_kind k)
{
	return (unsigned)k < ARRAY_SIZE(kinds) ? kinds[k] : "unknown";
}

/* clang-format off */
enum token_rule { TOKEN_ANY, TOKEN_SAME, TOKEN_NEW };

static const struct move {
	bool recorded; /* from a record, or from none */
	enum own_kind from, to;
	uint64_t plus;	   /* the epoch grows by this, */
	bool or_more;	   /* or by more */
	enum token_rule token;
} moves[] = {
	{false, OWN_OWNER,     OWN_RELEASING, 0, false, TOKEN_ANY},
	{true,  OWN_OWNER,     OWN_RELEASING, 0, false, TOKEN_ANY},
	{true,  OWN_RELEASING, OWN_OWNER,     0, false, TOKEN_SAME},
	{true,  OWN_RELEASING, OWN_RELEASED,  0, false, TOKEN_SAME},
	{true,  OWN_RELEASED,  OWN_OWNER,     2, false, TOKEN_SAME},
	{false, OWN_OWNER,     OWN_STAGED,    0, true,  TOKEN_ANY},
	{true,  OWN_RELEASED,  OWN_STAGED,    1, true,  TOKEN_NEW},
	{true,  OWN_STAGED,    OWN_OWNER,     1, false, TOKEN_SAME},
	{true,  OWN_OWNER,     OWN_RELEASED,  0, false, TOKEN_SAME},
};
/* clang-format on */

static bool token_fits(enum token_rule rule, const char *from, const char *to)
{
	if (!*to)
		return false; /* each move belongs to a send */
	return rule == TOKEN_ANY || str_eq(from, to) == (rule == TOKEN_SAME);
}

static bool is_legal(const struct own *from, const struct own *to)
{
	if (to->epoch < from->epoch)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(moves); i++) {
		const struct move *m = &moves[i];
		uint64_t grown = to->epoch - from->epoch;

		if (m->recorded == from->recorded && m->from == from->kind && m->to == to->kind &&
			(m->or_more ? grown >= m->plus : grown == m->plus) &&
			token_fits(m->token, from->token, to->token))
			return true;
	}
	return false;
}

static int read_row(struct rows *rows, struct own *ret, struct err *err)
{
	struct own o = {.recorded = true};
	int kind = state_word(kinds, ARRAY_SIZE(kinds), rows_str(rows, 1), err);

	if (kind < 0)
		return kind;
	o.kind = (enum own_kind)kind;
	rows_copy(rows, 0, o.ct, sizeof(o.ct));
	o.epoch = rows_u64(rows, 2);
	rows_copy(rows, 3, o.token, sizeof(o.token));
	rows_copy(rows, 4, o.peer, sizeof(o.peer));
	o.changed = rows_u64(rows, 5);
	*ret = o;
	return 0;
}

#define COLUMNS "ct, kind, epoch, token, peer, changed"

int own_get(struct state *s, const char *ct, struct own *ret, struct err *err)
{
	_cleanup_rows_ struct rows *rows = NULL;
	int r = state_query(
		s, &rows, err, "SELECT " COLUMNS " FROM ownership WHERE ct = ?1", "s", ct);

	if (r >= 0)
		r = rows_next(rows, err);
	if (r < 0)
		return r;
	if (r > 0)
		return read_row(rows, ret, err);
	*ret = (struct own){.kind = OWN_OWNER};
	snprintf(ret->ct, sizeof(ret->ct), "%s", ct);
	return 0;
}

int own_list(struct state *s, struct own_vec *ret, struct err *err)
{
	_cleanup_(own_vec_done) struct own_vec list = {0};
	_cleanup_rows_ struct rows *rows = NULL;
	int r = state_query(s, &rows, err, "SELECT " COLUMNS " FROM ownership ORDER BY ct", "");

	while (r >= 0 && (r = rows_next(rows, err)) > 0) {
		struct own o;

		r = read_row(rows, &o, err);
		if (r >= 0)
			*own_vec_push(&list) = o;
	}
	if (r < 0)
		return r;
	*ret = list;
	list = (struct own_vec){0};
	return 0;
}

static int store(struct state *s, const struct own *o, struct err *err)
{
	return state_exec(s, err,
		"INSERT INTO ownership (" COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
		" ON CONFLICT (ct) DO UPDATE SET kind = ?2, epoch = ?3, token = ?4, peer = ?5,"
		" changed = ?6",
		"ssussu", o->ct, own_kind_name(o->kind), o->epoch, o->token, o->peer, clock_wall());
}

static int set_checked(struct state *s, const struct own *o, struct err *err)
{
	struct own now;
	int r = own_get(s, o->ct, &now, err);

	if (r < 0)
		return r;
	if (now.recorded && now.kind == o->kind && now.epoch == o->epoch &&
		str_eq(now.token, o->token))
		return 0;
	if (!is_legal(&now, o))
		return err_set(err, ERR_STATE,
			"container %s is %s with epoch %llu here and cannot become %s with epoch "
			"%llu in this send: wherry ct send resolve %s shows what both hosts know",
			o->ct, now.recorded ? own_kind_name(now.kind) : "not recorded",
			(unsigned long long)now.epoch, own_kind_name(o->kind),
			(unsigned long long)o->epoch, o->ct);
	return store(s, o, err);
}

int own_set(struct state *s, const struct own *o, struct err *err)
{
	int tx = state_enter(s, err), r;

	if (tx < 0)
		return tx;
	r = state_leave(s, tx, set_checked(s, o, err), err);
	return r < 0 ? r : 0;
}

static json_t *force_record(const struct own *before, const char *who)
{
	json_t *data = json_object();

	json_put_str(data, "who", who);
	json_put_str(data, "overruled", before->recorded ? own_kind_name(before->kind) : "none");
	json_put_u64(data, "overruled_epoch", before->epoch);
	json_put_str(data, "token", before->token);
	json_put_str(data, "peer", before->peer);
	json_put_u64(data, "epoch", before->epoch + FORCED);
	return data;
}

static int force(struct state *s, const char *ct, const char *who, struct err *err)
{
	struct own before, after;
	int r = own_get(s, ct, &before, err);

	if (r < 0)
		return r;
	after = before;
	after.kind = OWN_OWNER;
	after.epoch += FORCED;
	after.token[0] = '\0';
	r = store(s, &after, err);
	return r < 0 ? r : history_add(s, ct, "own.force", force_record(&before, who), err);
}

int own_force(struct state *s, const char *ct, const char *who, struct err *err)
{
	int tx = state_enter(s, err);

	return tx < 0 ? tx : state_leave(s, tx, force(s, ct, who, err), err);
}

int own_forget(struct state *s, const char *ct, struct err *err)
{
	struct own o;
	int tx = state_enter(s, err), r;

	if (tx < 0)
		return tx;
	r = own_get(s, ct, &o, err);
	if (r >= 0 && o.kind == OWN_RELEASING)
		r = err_set(err, ERR_STATE,
			"container %s is being handed over to %s and cannot be forgotten: "
			"wherry ct send resolve %s decides that first",
			ct, o.peer, ct);
	if (r >= 0)
		r = state_exec(s, err, "DELETE FROM ownership WHERE ct = ?1", "s", ct);
	r = state_leave(s, tx, r, err);
	return r < 0 ? r : 0;
}

int own_may_start(struct state *s, const char *ct, const char *token, struct err *err)
{
	char when[CLOCK_ISO_MAX];
	struct own o;
	int r = own_get(s, ct, &o, err);

	if (r < 0)
		return r;
	clock_iso(o.changed, when);
	switch (o.kind) {
	case OWN_OWNER: return 0;
	case OWN_STAGED:
		return err_set(err, ERR_DENIED,
			"container %s is arriving from %s since %s and does not belong to this "
			"host yet: wait for the send, or ask: wherry ct send resolve %s",
			ct, o.peer, when, ct);
	case OWN_RELEASING:
		if (token && *token && str_eq(token, o.token))
			return 0;
		return err_set(err, ERR_DENIED,
			"container %s is being handed over to %s since %s and may not be started "
			"meanwhile: if the send is over or stuck, wherry ct send resolve %s",
			ct, o.peer, when, ct);
	case OWN_RELEASED:
		return err_set(err, ERR_DENIED,
			"container %s belongs to %s since %s and may not run here too: wherry ct "
			"send resolve %s shows what both hosts know; wherry ct own --force %s "
			"overrules it if you know that it is lost there",
			ct, o.peer, when, ct, ct);
	}
	return err_set(err, ERR_INTERNAL, "container %s has an unknown owner", ct);
}
