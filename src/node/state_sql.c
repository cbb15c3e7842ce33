#include "node/state_sql.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/json.h"
#include "base/str.h"

struct rows {
	struct state *state;
	sqlite3_stmt *stmt;
};

static enum err_code code_of(int sqlite_code)
{
	switch (sqlite_code & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED: return ERR_BUSY;
	case SQLITE_FULL: return ERR_NO_SPACE;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB: return ERR_CORRUPT;
	case SQLITE_PERM:
	case SQLITE_AUTH: return ERR_DENIED;
	case SQLITE_CANTOPEN:
	case SQLITE_READONLY:
	case SQLITE_IOERR: return ERR_IO;
	case SQLITE_CONSTRAINT:
		return sqlite_code == SQLITE_CONSTRAINT_UNIQUE ||
				       sqlite_code == SQLITE_CONSTRAINT_PRIMARYKEY
			       ? ERR_EXISTS
			       : ERR_INVALID;
	default: return ERR_INTERNAL;
	}
}

int state_fail(struct state *s, struct err *err, const char *what)
{
	int code = s->db ? sqlite3_extended_errcode(s->db) : SQLITE_NOMEM;
	int errnum = s->db ? sqlite3_system_errno(s->db) : 0;
	enum err_code ours = code_of(code);

	if ((code & 0xff) == SQLITE_NOMEM)
		abort();
	if (ours == ERR_BUSY)
		return err_set(err, ours,
			"%s/state.db: %s: another process has kept it locked for too long",
			state_dir(), what);
	if (ours != ERR_IO || !errnum)
		return err_set(
			err, ours, "%s/state.db: %s: %s", state_dir(), what, sqlite3_errmsg(s->db));
	if (err_from_errno(errnum) == ERR_DENIED || err_from_errno(errnum) == ERR_NO_SPACE)
		ours = err_from_errno(errnum);
	return err_set(err, ours, "%s/state.db: %s: %s (%s)", state_dir(), what,
		sqlite3_errmsg(s->db), strerror(errnum));
}

static int bind_number(struct rows *rows, int at, uint64_t v, struct err *err)
{
	if (v > INT64_MAX)
		return err_set(err, ERR_INVALID, "the number %llu is too large to be stored",
			(unsigned long long)v);
	return sqlite3_bind_int64(rows->stmt, at, (sqlite3_int64)v) == SQLITE_OK
		       ? 0
		       : state_fail(rows->state, err, "bind");
}

static int bind_string(struct rows *rows, int at, const char *v, struct err *err)
{
	return sqlite3_bind_text(rows->stmt, at, v, -1, SQLITE_TRANSIENT) == SQLITE_OK
		       ? 0
		       : state_fail(rows->state, err, "bind");
}

static int bind_all(struct rows *rows, const char *types, va_list ap, struct err *err)
{
	int r = 0;

	if ((int)strlen(types) != sqlite3_bind_parameter_count(rows->stmt))
		return err_set(err, ERR_INTERNAL, "a statement with %d values got %zu",
			sqlite3_bind_parameter_count(rows->stmt), strlen(types));
	for (int i = 0; types[i] && r >= 0; i++) {
		if (types[i] == 's')
			r = bind_string(rows, i + 1, va_arg(ap, const char *), err);
		else if (types[i] == 'u')
			r = bind_number(rows, i + 1, va_arg(ap, uint64_t), err);
		else if (types[i] == 'b')
			r = bind_number(rows, i + 1, va_arg(ap, int) != 0, err);
		else
			r = err_set(err, ERR_INTERNAL, "no values of kind '%c'", types[i]);
	}
	return r;
}

static int prepare(struct state *s, const char *sql, const char *types, va_list ap,
	struct rows **ret, struct err *err)
{
	_cleanup_rows_ struct rows *rows = xnew(struct rows);
	int r;

	rows->state = s;
	if (sqlite3_prepare_v2(s->db, sql, -1, &rows->stmt, NULL) != SQLITE_OK)
		return state_fail(s, err, "prepare");
	r = bind_all(rows, types, ap, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(rows);
	return 0;
}

int state_exec(struct state *s, struct err *err, const char *sql, const char *types, ...)
{
	_cleanup_rows_ struct rows *rows = NULL;
	int tx = state_enter(s, err), r;
	va_list ap;

	if (tx < 0)
		return tx;
	va_start(ap, types);
	r = prepare(s, sql, types, ap, &rows, err);
	va_end(ap);
	if (r >= 0)
		r = rows_next(rows, err);
	if (r >= 0)
		r = sqlite3_changes(s->db);
	rows_freep(&rows);
	rows = NULL;
	return state_leave(s, tx, r, err);
}

uint64_t state_last_id(struct state *s)
{
	return (uint64_t)sqlite3_last_insert_rowid(s->db);
}

int state_query(struct state *s, struct rows **ret, struct err *err, const char *sql,
	const char *types, ...)
{
	va_list ap;
	int r;

	va_start(ap, types);
	r = prepare(s, sql, types, ap, ret, err);
	va_end(ap);
	return r;
}

int rows_next(struct rows *rows, struct err *err)
{
	switch (sqlite3_step(rows->stmt)) {
	case SQLITE_ROW: return 1;
	case SQLITE_DONE: return 0;
	default: return state_fail(rows->state, err, "step");
	}
}

int rows_first(struct rows *rows, struct err *err)
{
	int r = rows_next(rows, err);

	if (r == 0)
		return err_set(err, ERR_NOT_FOUND, "there is no such record");
	return r < 0 ? r : 0;
}

const char *rows_str(struct rows *rows, int column)
{
	return (const char *)sqlite3_column_text(rows->stmt, column);
}

uint64_t rows_u64(struct rows *rows, int column)
{
	sqlite3_int64 v = sqlite3_column_int64(rows->stmt, column);

	return v < 0 ? 0 : (uint64_t)v;
}

bool rows_bool(struct rows *rows, int column)
{
	return rows_u64(rows, column) != 0;
}

char *rows_dup(struct rows *rows, int column)
{
	return xstrdup(rows_str(rows, column));
}

void rows_copy(struct rows *rows, int column, char *buf, size_t size)
{
	const char *v = rows_str(rows, column);

	snprintf(buf, size, "%s", v ? v : "");
}

int rows_json(struct rows *rows, int column, json_t **ret, struct err *err)
{
	const char *text = rows_str(rows, column);

	if (!text)
		return err_set(err, ERR_CORRUPT, "%s/state.db lacks a JSON value", state_dir());
	if (json_parse(text, strlen(text), STATE_JSON_MAX, ret, err) >= 0)
		return 0;
	err->code = ERR_CORRUPT;
	return err_prefix(err, "%s/state.db", state_dir());
}

void rows_freep(struct rows **rows)
{
	if (!*rows)
		return;
	sqlite3_finalize((*rows)->stmt);
	free(*rows);
}

int state_word(const char *const *names, size_t n, const char *name, struct err *err)
{
	for (size_t i = 0; i < n; i++)
		if (names[i] && str_eq(names[i], name))
			return (int)i;
	return err_set(err, ERR_CORRUPT, "%s/state.db holds the unknown word \"%.64s\"",
		state_dir(), name ? name : "");
}
