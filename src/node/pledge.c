#include "node/pledge.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "node/state_sql.h"

static const char *const kinds[] = {[PLEDGE_EXPORT] = "export", [PLEDGE_IMPORT] = "import"};

int pledge_make(struct state *s, struct pledge *p, const char *ct, struct err *err)
{
	_cleanup_free_ char *facts = json_text(p->facts);
	char token[41];
	int r;

	state_token(token);
	r = state_exec(s, err,
		"INSERT INTO pledge (token, ct, kind, facts) VALUES (?1, ?2, ?3, ?4)", "ssss",
		token, ct, kinds[p->kind], facts);
	if (r < 0)
		return err_prefix(err, "container '%s'", ct);
	snprintf(p->token, sizeof(p->token), "%s", token);
	snprintf(p->ct, sizeof(p->ct), "%s", ct);
	return 0;
}

int pledge_save(struct state *s, const struct pledge *p, struct err *err)
{
	_cleanup_free_ char *facts = json_text(p->facts);
	int r;

	if (strlen(facts) > STATE_JSON_MAX)
		return err_set(err, ERR_INTERNAL, "container '%s': too much to remember", p->ct);
	r = state_exec(
		s, err, "UPDATE pledge SET facts = ?2 WHERE token = ?1", "ss", p->token, facts);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(err, ERR_STATE,
			"container '%s': recovery has taken this over meanwhile", p->ct);
	return 0;
}

int pledge_drop(struct state *s, const struct pledge *p, struct err *err)
{
	int r = state_exec(s, err, "DELETE FROM pledge WHERE token = ?1", "s", p->token);

	return r < 0 ? r : 0;
}

static int read_row(struct rows *rows, struct pledge *ret, struct err *err)
{
	int kind = state_word(kinds, ARRAY_SIZE(kinds), rows_str(rows, 2), err);

	if (kind < 0)
		return kind;
	ret->kind = (enum pledge_kind)kind;
	rows_copy(rows, 0, ret->token, sizeof(ret->token));
	rows_copy(rows, 1, ret->ct, sizeof(ret->ct));
	return rows_json(rows, 3, &ret->facts, err);
}

int pledge_get(struct state *s, const char *token, struct pledge *ret, struct err *err)
{
	_cleanup_rows_ struct rows *rows = NULL;
	struct pledge p = {0};
	int r = state_query(s, &rows, err,
		"SELECT token, ct, kind, facts FROM pledge WHERE token = ?1", "s", token);

	if (r >= 0)
		r = rows_first(rows, err);
	if (r >= 0)
		r = read_row(rows, &p, err);
	if (r >= 0)
		*ret = p;
	return r < 0 ? r : 0;
}

int pledge_list(struct state *s, struct pledge_vec *ret, struct err *err)
{
	_cleanup_(pledge_vec_free) struct pledge_vec list = {0};
	_cleanup_rows_ struct rows *rows = NULL;
	int r = state_query(
		s, &rows, err, "SELECT token, ct, kind, facts FROM pledge ORDER BY rowid", "");

	while (r >= 0 && (r = rows_next(rows, err)) > 0) {
		struct pledge p = {0};

		r = read_row(rows, &p, err);
		if (r >= 0)
			*pledge_vec_push(&list) = p;
	}
	if (r < 0)
		return r;
	*ret = list;
	list = (struct pledge_vec){0};
	return 0;
}

void pledge_done(struct pledge *p)
{
	json_decref(p->facts);
	p->facts = NULL;
}

void pledge_vec_free(struct pledge_vec *v)
{
	for (size_t i = 0; i < v->n; i++)
		pledge_done(&v->v[i]);
	pledge_vec_done(v);
}
