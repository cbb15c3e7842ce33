/*
 * SQL for the files of this folder, so that only state.c knows SQLite. A statement's values are
 * named by one letter each: s string (NULL is NULL), u uint64_t, b bool or int as 0 or 1.
 *
 *	r = state_exec(s, err, "UPDATE pool SET path = ?1 WHERE name = ?2", "ss", path, name);
 *
 *	_cleanup_rows_ struct rows *rows = NULL;
 *	r = state_query(s, &rows, err, "SELECT name FROM pool WHERE driver = ?1", "s", "dir");
 *	while (r >= 0 && (r = rows_next(rows, err)) > 0)
 *		puts(rows_str(rows, 0));
 *
 * A function that reads and then writes what follows from it does both in one transaction:
 *
 *	int tx = state_enter(s, err);
 *
 *	return tx < 0 ? tx : state_leave(s, tx, do_it(s, o, err), err);
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "node/state.h"

struct sqlite3;

struct state {
	struct sqlite3 *db;
	bool in_tx; /* between state_begin and its end */
	bool vital;
	char node_id[41];
};

#define STATE_JSON_MAX (1u << 20) /* bytes of one stored JSON value: check before storing */

/* One writing statement, durable when it returns unless it stands in a transaction. Returns the
 * number of rows changed. A broken UNIQUE is -ERR_EXISTS. */
int state_exec(
	struct state *s, struct err *err, const char *sql, const char *types, ...) _must_use_;
uint64_t state_last_id(struct state *s); /* of the last row inserted */

/* The strings of a row are valid until the next rows_next. */
struct rows;
int state_query(struct state *s, struct rows **ret, struct err *err, const char *sql,
	const char *types, ...) _must_use_;
int rows_next(struct rows *rows, struct err *err) _must_use_; /* 1: a row, 0: no more */
/* The first row or -ERR_NOT_FOUND, with err saying only that. */
int rows_first(struct rows *rows, struct err *err) _must_use_;
const char *rows_str(struct rows *rows, int column); /* NULL for NULL */
uint64_t rows_u64(struct rows *rows, int column);    /* 0 for NULL */
bool rows_bool(struct rows *rows, int column);
char *rows_dup(struct rows *rows, int column); /* the caller's; NULL for NULL */
void rows_copy(struct rows *rows, int column, char *buf, size_t size); /* "" for NULL */
int rows_json(struct rows *rows, int column, json_t **ret, struct err *err) _must_use_;
void rows_freep(struct rows **rows);
#define _cleanup_rows_ _cleanup_(rows_freep)

/* Joins the caller's transaction (0) or begins one (1). state_leave ends what state_enter began: it
 * commits if r is not negative, else rolls back, and returns r or why the commit failed. */
int state_enter(struct state *s, struct err *err) _must_use_;
int state_leave(struct state *s, int entered, int r, struct err *err) _must_use_;

/* Sets err from what SQLite said last: "what: why". */
int state_fail(struct state *s, struct err *err, const char *what) _must_use_;
/* Where name is in names (n of them, gaps are NULL), or -ERR_CORRUPT: for the words that stand for
 * an enum in the database. */
int state_word(const char *const *names, size_t n, const char *name, struct err *err) _must_use_;
