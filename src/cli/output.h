/*
 * Results for people: tables and records. How a value looks (a size, a time, a duration) is decided
 * by the name of its field, the same everywhere.
 */
#pragma once

#include <jansson.h>

#include "cli/command.h"

/* columns: names of fields, NULL-terminated. A name with "?" at its end is left out when no row has
 * it. */
void output_table(struct cli *cli, const json_t *rows, const char *const *columns);
/* "Name: value" lines; objects in it indented, arrays of objects as a line each. */
void output_record(struct cli *cli, const json_t *object);
void output_json(const json_t *v);
/* {"kind": value} on a line, at once; value is stolen. */
void output_json_line(struct cli *cli, const char *kind, json_t *value);
/* A result as --json has it: a document, or the last of the lines. */
void output_json_result(struct cli *cli, const json_t *v);
void output_error(struct cli *cli, const struct err *e);
/* "12.5 MiB" for ("bytes", 13107200); to be freed. */
char *output_value(const char *field, const json_t *v);
