#include "cli/output.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/json.h"
#include "base/num.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/table.h"
#include "link/local.h"

enum look { LOOK_PLAIN, LOOK_SIZE, LOOK_RATE, LOOK_TIME, LOOK_MSEC, LOOK_NUMBER };

/* How fields look. Names that are not here look plain. */
static const struct {
	const char *field;
	enum look look;
} looks[] = {
	{"bytes", LOOK_SIZE},
	{"wire_bytes", LOOK_SIZE},
	{"size", LOOK_SIZE},
	{"total", LOOK_SIZE},
	{"free", LOOK_SIZE},
	{"rate", LOOK_RATE},
	{"bwlimit", LOOK_RATE},
	{"time", LOOK_TIME},
	{"started", LOOK_TIME},
	{"ended", LOOK_TIME},
	{"opened", LOOK_TIME},
	{"changed", LOOK_TIME},
	{"added", LOOK_TIME},
	{"created", LOOK_TIME},
	{"expires", LOOK_TIME},
	{"job", LOOK_NUMBER},
	{"pid", LOOK_NUMBER},
	{"epoch", LOOK_NUMBER},
};

static enum look look_of(const char *field)
{
	if (str_ends(field, "_ms"))
		return LOOK_MSEC;
	if (str_ends(field, "_bytes"))
		return LOOK_SIZE;
	for (size_t i = 0; i < ARRAY_SIZE(looks); i++)
		if (str_eq(looks[i].field, field))
			return looks[i].look;
	return LOOK_PLAIN;
}

static char *number_value(enum look look, uint64_t n)
{
	char buf[NUM_HUMAN_MAX], when[64];
	time_t t = (time_t)n;
	struct tm tm;

	switch (look) {
	case LOOK_SIZE: return xstrdup(num_human_size(n, buf));
	case LOOK_RATE: return xasprintf("%s/s", num_human_size(n, buf));
	case LOOK_MSEC: return xstrdup(num_human_usec(n * USEC_PER_MSEC, buf));
	case LOOK_TIME:
		if (!localtime_r(&t, &tm) ||
			!strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm))
			break;
		return xstrdup(when);
	default: break;
	}
	return xasprintf("%llu", (unsigned long long)n);
}

/* Names come from containers and peers: nothing in them may steer the terminal. */
char *output_value(const char *field, const json_t *v)
{
	if (!v || json_is_null(v))
		return xstrdup("-");
	if (json_is_boolean(v))
		return xstrdup(json_is_true(v) ? "yes" : "no");
	if (json_is_integer(v) && json_integer_value(v) >= 0)
		return number_value(look_of(field), (uint64_t)json_integer_value(v));
	if (json_is_string(v)) {
		if (json_string_length(v) == 0)
			return xstrdup("-");
		return str_escape(json_string_value(v), json_string_length(v));
	}
	return json_text(v);
}

static bool any_row_has(const json_t *rows, const char *field)
{
	size_t i;
	json_t *row;

	json_array_foreach(rows, i, row)
	{
		const json_t *v = json_object_get(row, field);

		if (v && !json_is_null(v) && json_string_length(v) + !json_is_string(v) > 0)
			return true;
	}
	return false;
}

/* "stop_ms" is STOP, "single_use" is SINGLE USE. */
static char *heading(const char *field)
{
	char *s = xstrdup(field);

	if (str_ends(s, "_ms"))
		s[strlen(s) - 3] = '\0';
	for (char *p = s; *p; p++)
		*p = *p == '_' ? ' ' : (char)(*p >= 'a' && *p <= 'z' ? *p & ~0x20 : *p);
	return s;
}

static bool is_number(const char *field)
{
	enum look look = look_of(field);

	return look != LOOK_PLAIN && look != LOOK_TIME;
}

/* Which of the columns there are, without "?". */
static char **fields_of(const json_t *rows, const char *const *columns)
{
	char **fields = NULL;

	for (size_t i = 0; columns[i]; i++) {
		bool optional = str_ends(columns[i], "?");
		_cleanup_free_ char *field = xstrndup(
			columns[i], strlen(columns[i]) - (optional ? 1 : 0));

		if (!optional || any_row_has(rows, field))
			strv_push(&fields, field);
	}
	return fields;
}

void output_table(struct cli *cli, const json_t *rows, const char *const *columns)
{
	_cleanup_strv_ char **fields = fields_of(rows, columns);
	struct table *t;
	size_t i;
	json_t *row;

	if (json_array_size(rows) == 0)
		return;
	t = table_new();
	for (char **f = fields; f && *f; f++) {
		_cleanup_free_ char *title = heading(*f);

		table_column(t, title, is_number(*f));
	}
	json_array_foreach(rows, i, row)
	{
		table_row(t);
		for (size_t k = 0; fields && fields[k]; k++) {
			_cleanup_free_ char *text = output_value(
				fields[k], json_object_get(row, fields[k]));

			table_cell(t, k, text);
		}
	}
	table_print(t, cli->terminal);
	table_free(t);
}

static char *label(const char *field)
{
	char *s = xstrdup(field);

	if (str_ends(s, "_ms"))
		s[strlen(s) - 3] = '\0';
	for (char *p = s; *p; p++)
		if (*p == '_')
			*p = ' ';
	if (*s >= 'a' && *s <= 'z')
		*s = (char)(*s & ~0x20);
	return s;
}

static void print_object(const json_t *object, int indent);

static bool is_empty(const json_t *v)
{
	return json_is_null(v) || (json_is_array(v) && !json_array_size(v)) ||
	       (json_is_object(v) && !json_object_size(v));
}

/* "a, b" of a list of plain values; anything deeper is left to --json. */
static char *inline_value(const char *field, const json_t *v)
{
	struct str s = STR_INIT;
	size_t i;
	json_t *item;

	if (!json_is_array(v))
		return output_value(field, v);
	json_array_foreach(v, i, item)
	{
		const json_t *name = json_is_object(item) ? json_object_get(item, "name") : item;
		_cleanup_free_ char *text = output_value(field, name);

		str_addf(&s, "%s%s", i ? " " : "", text);
	}
	return str_take(&s);
}

/* One line for an object in a list: "rootfs, path /..., size 1.2 GiB". */
static void print_item(const json_t *item, int indent)
{
	_cleanup_(str_done) struct str line = STR_INIT;
	const char *field;
	json_t *v;

	if (!json_is_object(item)) {
		_cleanup_free_ char *text = output_value("", item);

		printf("%*s%s\n", indent, "", text);
		return;
	}
	json_object_foreach((json_t *)(uintptr_t)item, field, v)
	{
		_cleanup_free_ char *text = NULL;

		if (is_empty(v) || (json_is_string(v) && !json_string_length(v)))
			continue;
		text = inline_value(field, v);
		if (line.len == 0)
			str_add(&line, text);
		else
			str_addf(&line, ", %s %s", field, text);
	}
	printf("%*s%s\n", indent, "", line.len ? line.buf : "-");
}

static void print_field(const char *field, const json_t *v, int indent)
{
	_cleanup_free_ char *name = label(field);
	size_t i;
	json_t *item;

	if (is_empty(v))
		return;
	if (json_is_object(v)) {
		printf("%*s%s:\n", indent, "", name);
		print_object(v, indent + 2);
	} else if (json_is_array(v)) {
		printf("%*s%s:\n", indent, "", name);
		json_array_foreach(v, i, item) print_item(item, indent + 2);
	} else {
		_cleanup_free_ char *text = output_value(field, v);

		printf("%*s%s: %s\n", indent, "", name, text);
	}
}

static void print_object(const json_t *object, int indent)
{
	const char *field;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)object, field, v) print_field(field, v, indent);
}

void output_record(struct cli *cli, const json_t *object)
{
	if (json_is_object(object))
		print_object(object, 0);
	else if (json_is_array(object))
		print_field("items", object, 0);
}

void output_json(const json_t *v)
{
	json_dumpf(v, stdout, JSON_ENCODE_ANY | JSON_INDENT(2));
	putchar('\n');
	fflush(stdout);
}

void output_json_line(struct cli *cli, const char *kind, json_t *value)
{
	_cleanup_json_ json_t *msg = json_object();

	json_object_set_new(msg, kind, value);
	json_dumpf(msg, stdout, JSON_COMPACT);
	putchar('\n');
	fflush(stdout);
	cli->streamed = true;
}

void output_json_result(struct cli *cli, const json_t *v)
{
	if (cli->streamed)
		output_json_line(cli, "result", json_incref((json_t *)(uintptr_t)v));
	else
		output_json(v);
}

void output_error(struct cli *cli, const struct err *e)
{
	if (cli->json)
		output_json_line(cli, "error", local_error_json(e));
	fflush(stdout);
	fprintf(stderr, "%s: %s\n", cli->program, e->text);
}

void command_show(struct cli *cli, const struct command *c, const json_t *result)
{
	if (cli->json)
		output_json_result(cli, result);
	else if (c->show)
		c->show(cli, result);
	else if (!cli->quiet)
		output_record(cli, result);
}
