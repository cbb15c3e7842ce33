/* Without a library: a byte is as wide as a letter, and nothing is cut off. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "base/vec.h"
#include "cli/table.h"

VEC(cells, char *);

struct table {
	struct cells titles, cells; /* cells: row after row */
	bool *right;
};

struct table *table_new(void)
{
	return xnew(struct table);
}

void table_column(struct table *t, const char *title, bool right)
{
	*cells_push(&t->titles) = xstrdup(title);
	t->right = xreallocarray(t->right, t->titles.n, sizeof(bool));
	t->right[t->titles.n - 1] = right;
}

void table_row(struct table *t)
{
	for (size_t i = 0; i < t->titles.n; i++)
		*cells_push(&t->cells) = xstrdup("");
}

void table_cell(struct table *t, size_t column, const char *text)
{
	char **cell = &t->cells.v[t->cells.n - t->titles.n + column];

	free(*cell);
	*cell = xstrdup(text);
}

static size_t width_of(const struct table *t, size_t column)
{
	size_t width = strlen(t->titles.v[column]);

	for (size_t i = column; i < t->cells.n; i += t->titles.n)
		width = MAX(width, strlen(t->cells.v[i]));
	return width;
}

static void print_row(const struct table *t, char *const *row)
{
	for (size_t i = 0; i < t->titles.n; i++) {
		bool last = i + 1 == t->titles.n;
		int width = last && !t->right[i] ? 0 : (int)width_of(t, i);

		printf("%*s%c", t->right[i] ? width : -width, row[i], last ? '\n' : ' ');
	}
}

void table_print(struct table *t, bool terminal)
{
	print_row(t, t->titles.v);
	for (size_t i = 0; i < t->cells.n; i += t->titles.n)
		print_row(t, t->cells.v + i);
}

static void free_all(struct cells *c)
{
	for (size_t i = 0; i < c->n; i++)
		free(c->v[i]);
	cells_done(c);
}

void table_free(struct table *t)
{
	free_all(&t->titles);
	free_all(&t->cells);
	free(t->right);
	free(t);
}
