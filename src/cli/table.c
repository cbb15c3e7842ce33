#include "cli/table.h"

#include <libsmartcols.h>
#include <stdlib.h>

#include "base/alloc.h"

struct table {
	struct libscols_table *scols;
	struct libscols_line *line; /* the last */
};

struct table *table_new(void)
{
	struct table *t = xnew(struct table);

	t->scols = scols_new_table();
	if (!t->scols)
		abort();
	scols_table_enable_noheadings(t->scols, 0);
	return t;
}

void table_column(struct table *t, const char *title, bool right)
{
	scols_table_new_column(t->scols, title, 0, right ? SCOLS_FL_RIGHT : 0);
}

void table_row(struct table *t)
{
	t->line = scols_table_new_line(t->scols, NULL);
	if (!t->line)
		abort();
}

void table_cell(struct table *t, size_t column, const char *text)
{
	scols_line_set_data(t->line, column, text);
}

void table_print(struct table *t, bool terminal)
{
	if (!terminal)
		scols_table_set_termforce(t->scols, SCOLS_TERMFORCE_NEVER);
	scols_print_table(t->scols);
}

void table_free(struct table *t)
{
	scols_unref_table(t->scols);
	free(t);
}
