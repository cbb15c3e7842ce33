#include "node/pools.h"

#include <limits.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "node/state_sql.h"

#define NAME_CHARS "abcdefghijklmnopqrstuvwxyz0123456789_-"

int pools_check_name(const char *name, struct err *err)
{
	size_t n = strlen(name);

	if (n == 0 || n > 32 || strspn(name, NAME_CHARS) != n || strchr("_-", name[0]))
		return err_set(err, ERR_INVALID,
			"\"%.64s\" is not a name for a pool: up to 32 of a-z, 0-9, _ and -, "
			"beginning with a letter or digit",
			name);
	return 0;
}

/* The form in which paths are compared: no double or trailing slashes. */
static int clean_path(const char *path, char **ret, struct err *err)
{
	_cleanup_strv_ char **parts = NULL;
	_cleanup_free_ char *below = NULL, *shown = NULL;

	if (path[0] != '/' || strlen(path) >= PATH_MAX)
		return err_set(err, ERR_INVALID,
			"the path of a pool begins with / and is shorter than %d bytes, not "
			"\"%.64s\"",
			PATH_MAX, path);
	shown = str_escape(path, strlen(path));
	parts = str_split(path, "/", false);
	if (!str_eq(shown, path) || strv_has(parts, ".") || strv_has(parts, ".."))
		return err_set(err, ERR_INVALID,
			"the path of a pool has no \".\", no \"..\" and no control characters: %s",
			shown);
	if (!parts || !parts[0])
		return err_set(err, ERR_INVALID, "/ cannot be a pool: name a folder in it");
	below = str_join(parts, "/");
	*ret = xasprintf("/%s", below);
	return 0;
}

static int check_unused(struct state *s, const char *name, const char *path, struct err *err)
{
	_cleanup_rows_ struct rows *rows = NULL;
	int r = state_query(s, &rows, err,
		"SELECT name, path FROM pool WHERE name = ?1 OR path = ?2", "ss", name, path);

	if (r >= 0)
		r = rows_next(rows, err);
	if (r <= 0)
		return r;
	return err_set(err, ERR_EXISTS, "there is a pool %s already, at %s", rows_str(rows, 0),
		rows_str(rows, 1));
}

int pools_add(struct state *s, const struct pool_record *p, struct err *err)
{
	_cleanup_free_ char *path = NULL;
	int r = pools_check_name(p->name, err), tx;

	if (r >= 0)
		r = clean_path(p->path, &path, err);
	if (r < 0)
		return r;
	tx = state_enter(s, err);
	if (tx < 0)
		return tx;
	r = check_unused(s, p->name, path, err);
	if (r >= 0)
		r = state_exec(s, err, "INSERT INTO pool (name, path, driver) VALUES (?1, ?2, ?3)",
			"sss", p->name, path, p->driver);
	r = state_leave(s, tx, r, err);
	return r < 0 ? r : 0;
}

static int no_pool(const char *name, struct err *err)
{
	return err_set(
		err, ERR_NOT_FOUND, "there is no pool %.64s: wherry pool list shows all", name);
}

int pools_del(struct state *s, const char *name, struct err *err)
{
	int r = state_exec(s, err, "DELETE FROM pool WHERE name = ?1", "s", name);

	if (r == 0)
		return no_pool(name, err);
	return r < 0 ? r : 0;
}

static struct pool_record read_row(struct rows *rows)
{
	struct pool_record p = {.path = rows_dup(rows, 1), .driver = rows_dup(rows, 2)};

	rows_copy(rows, 0, p.name, sizeof(p.name));
	return p;
}

int pools_get(struct state *s, const char *name, struct pool_record *ret, struct err *err)
{
	_cleanup_rows_ struct rows *rows = NULL;
	int r = state_query(
		s, &rows, err, "SELECT name, path, driver FROM pool WHERE name = ?1", "s", name);

	if (r >= 0)
		r = rows_next(rows, err);
	if (r == 0)
		return no_pool(name, err);
	if (r < 0)
		return r;
	*ret = read_row(rows);
	return 0;
}

int pools_list(struct state *s, struct pool_record_vec *ret, struct err *err)
{
	_cleanup_(pool_record_vec_free) struct pool_record_vec list = {0};
	_cleanup_rows_ struct rows *rows = NULL;
	int r = state_query(s, &rows, err, "SELECT name, path, driver FROM pool ORDER BY name", "");

	while (r >= 0 && (r = rows_next(rows, err)) > 0)
		*pool_record_vec_push(&list) = read_row(rows);
	if (r < 0)
		return r;
	*ret = list;
	list = (struct pool_record_vec){0};
	return 0;
}

void pool_record_done(struct pool_record *p)
{
	free(p->path);
	free(p->driver);
	p->path = p->driver = NULL;
}

void pool_record_vec_free(struct pool_record_vec *v)
{
	for (size_t i = 0; i < v->n; i++)
		pool_record_done(&v->v[i]);
	pool_record_vec_done(v);
}
