/*
 * Usage and help, from the tables.
 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "cli/command.h"

#define COLUMN 26

char *help_usage(const char *program, const struct command *c)
{
	struct str s = STR_INIT;

	str_addf(&s, "%s %s", program, c->words);
	if (c->options)
		str_add(&s, " [OPTION...]");
	for (const struct operand *o = c->operands; o && o->name; o++) {
		bool optional = o->flags & OPERAND_OPTIONAL;

		str_addf(&s, " %s%s%s%s", optional ? "[" : "", o->name,
			o->flags & OPERAND_REST ? "..." : "", optional ? "]" : "");
	}
	return str_take(&s);
}

static void print_row(const char *left, const char *right)
{
	if (strlen(left) >= COLUMN - 3)
		printf("  %s\n  %*s%s\n", left, COLUMN - 2, "", right);
	else
		printf("  %-*s%s\n", COLUMN - 2, left, right);
}

static const char *shown_name(const struct option_spec *o)
{
	switch (o->kind) {
	case OPTION_SWITCH_ON:
	case OPTION_SWITCH_OFF: return "[no-]";
	default: return "";
	}
}

static void print_options(const struct option_spec *o)
{
	for (; o && o->name; o++) {
		_cleanup_(str_done) struct str left = STR_INIT, right = STR_INIT;

		if (o->letter)
			str_addf(&left, "-%c, ", o->letter);
		str_addf(&left, "--%s%s", shown_name(o), o->name);
		if (o->value)
			str_addf(&left, " %s", o->value);
		str_add(&right, o->help);
		if (o->kind == OPTION_SWITCH_ON)
			str_add(&right, " (default)");
		print_row(left.buf, right.buf);
	}
}

void help_command(const char *program, const struct command *c)
{
	_cleanup_free_ char *usage = help_usage(program, c);

	printf("%s\n\n%c%s.\n", usage, c->summary[0] & ~0x20, c->summary + 1);
	if (c->options)
		printf("\n");
	print_options(c->options);
	printf("\n");
	print_options(command_globals);
	if (c->flags & COMMAND_DEFAULT) {
		printf("\nIts steps:\n");
		help_group(program, c->words);
	}
}

static bool begins_with(const char *words, const char *group)
{
	size_t n = strlen(group);

	return n == 0 || (strncmp(words, group, n) == 0 && words[n] == ' ');
}

void help_group(const char *program, const char *words)
{
	for (const struct command *c = command_next(NULL); c; c = command_next(c)) {
		_cleanup_(str_done) struct str left = STR_INIT;

		if (!begins_with(c->words, words) || c->flags & COMMAND_HIDDEN)
			continue;
		str_add(&left, c->words);
		for (const struct operand *o = c->operands; o && o->name; o++)
			str_addf(&left, o->flags & OPERAND_OPTIONAL ? " [%s]" : " %s", o->name);
		print_row(left.buf, c->summary);
	}
}
