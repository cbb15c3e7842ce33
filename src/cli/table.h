/*
 * A table for people. Two ways to print it: table.c by libsmartcols, which knows how wide letters
 * and terminals are, and table_plain.c, which the static binary has.
 *
 *	struct table *t = table_new();
 *	table_column(t, "NAME", false);
 *	table_row(t);
 *	table_cell(t, 0, "web");
 *	table_print(t, isatty(STDOUT_FILENO));
 *	table_free(t);
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct table;

struct table *table_new(void);
/* All columns come before the first row. right: numbers. */
void table_column(struct table *t, const char *title, bool right);
void table_row(struct table *t);
/* Of the last row; text is copied and has nothing in it that steers a terminal. */
void table_cell(struct table *t, size_t column, const char *text);
/* terminal: as wide as that is; else nothing is cut off. */
void table_print(struct table *t, bool terminal);
void table_free(struct table *t);
