/*
 * The manual and the tables of the command line say the same: every command and option is in a
 * page, and the pages have no others.
 */
#include "unit.h"

#include <glob.h>

#include "base/file.h"
#include "base/str.h"
#include "cli/command.h"

struct page {
	char *path, *text;
	char **lines;
};

static struct page *pages;
static size_t n_pages;

static int setup(void **state)
{
	_cleanup_free_ char *pattern = xasprintf("%s/*.scd", getenv("MANUAL"));
	glob_t g;

	if (glob(pattern, 0, NULL, &g) != 0)
		return -1;
	pages = xcalloc(g.gl_pathc, sizeof(*pages));
	for (n_pages = 0; n_pages < g.gl_pathc; n_pages++) {
		struct page *p = &pages[n_pages];
		struct err err = ERR_INIT;

		p->path = xstrdup(g.gl_pathv[n_pages]);
		if (file_read(p->path, 1 << 20, &p->text, NULL, &err) < 0)
			return -1;
		p->lines = str_split(p->text, "\n", true);
	}
	globfree(&g);
	return 0;
}

static int teardown(void **state)
{
	for (size_t i = 0; i < n_pages; i++) {
		free(pages[i].path);
		free(pages[i].text);
		strv_free(pages[i].lines);
	}
	free(pages);
	return 0;
}

/* "*wherry ct exec* _CT_ _COMMAND_..." */
static char *heading_of(const struct command *c)
{
	struct str s = STR_INIT;

	str_addf(&s, "*wherry %s*", c->words);
	for (const struct operand *o = c->operands; o && o->name; o++)
		str_addf(&s, o->flags & OPERAND_OPTIONAL ? " [_%s_%s]" : " _%s_%s", o->name,
			o->flags & OPERAND_REST ? "..." : "");
	return str_take(&s);
}

/* "*-p*, *--port* _PORT_" */
static char *entry_of(const struct option_spec *o)
{
	bool is_switch = o->kind == OPTION_SWITCH_ON || o->kind == OPTION_SWITCH_OFF;
	struct str s = STR_INIT;

	if (o->letter)
		str_addf(&s, "*-%c*, ", o->letter);
	str_addf(&s, "*--%s%s*", is_switch ? "[no-]" : "", o->name);
	if (o->value)
		str_addf(&s, " _%s_", o->value);
	return str_take(&s);
}

static const struct page *page_of(const struct command *c)
{
	_cleanup_free_ char *heading = heading_of(c);
	const struct page *found = NULL;

	for (size_t i = 0; i < n_pages; i++)
		if (strv_has(pages[i].lines, heading)) {
			if (found)
				fail_msg("%s and %s both have %s", found->path, pages[i].path,
					heading);
			found = &pages[i];
		}
	if (!found)
		fail_msg("no page has the line %s", heading);
	return found;
}

static void test_commands_are_described(void **state)
{
	for (const struct command *c = command_next(NULL); c; c = command_next(c)) {
		const struct page *p = page_of(c);

		for (const struct option_spec *o = c->options; o && o->name; o++) {
			_cleanup_free_ char *entry = entry_of(o), *line = xasprintf("\t%s", entry);

			if (!strv_has(p->lines, line))
				fail_msg("%s: %s is not in %s", c->words, entry, p->path);
		}
	}
}

static bool is_command(const char *heading)
{
	for (const struct command *c = command_next(NULL); c; c = command_next(c)) {
		_cleanup_free_ char *own = heading_of(c);

		if (str_eq(own, heading))
			return true;
	}
	return false;
}

static bool is_option_on(const struct page *p, const char *entry)
{
	for (const struct command *c = command_next(NULL); c; c = command_next(c)) {
		if (page_of(c) != p)
			continue;
		for (const struct option_spec *o = c->options; o && o->name; o++) {
			_cleanup_free_ char *own = entry_of(o);

			if (str_eq(own, entry))
				return true;
		}
	}
	return false;
}

static void test_descriptions_are_true(void **state)
{
	for (size_t i = 0; i < n_pages; i++) {
		bool commands = false;

		for (char **l = pages[i].lines; *l; l++) {
			if (str_starts(*l, "# "))
				commands = str_eq(*l, "# COMMANDS");
			if (!commands)
				continue;
			if (str_starts(*l, "*wherry ") && !is_command(*l))
				fail_msg("%s: there is no %s", pages[i].path, *l);
			if (str_starts(*l, "\t*-") && strchr(*l, '*') &&
				!is_option_on(&pages[i], *l + 1))
				fail_msg("%s: there is no option %s", pages[i].path, *l + 1);
		}
	}
}

static const struct page *main_page(void)
{
	for (size_t i = 0; i < n_pages; i++)
		if (str_ends(pages[i].path, "/wherry.1.scd"))
			return &pages[i];
	fail_msg("there is no wherry.1.scd");
	return NULL;
}

static void test_globals(void **state)
{
	const struct page *p = main_page();

	for (const struct option_spec *o = command_globals; o->name; o++) {
		_cleanup_free_ char *entry = entry_of(o);

		assert_row(strv_has(p->lines, entry), entry);
	}
}

static void test_exit_statuses(void **state)
{
	const struct page *p = main_page();

	for (int code = 0; code < ERR_CODE_MAX; code++) {
		_cleanup_free_ char *entry = xasprintf("\n*%d* _%s_\n\t%s\n",
			err_exit_status((enum err_code)code), err_name((enum err_code)code),
			err_explain((enum err_code)code));

		if (!strstr(p->text, entry))
			fail_msg("not in %s:%s", p->path, entry);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands_are_described),
		cmocka_unit_test(test_descriptions_are_true),
		cmocka_unit_test(test_globals),
		cmocka_unit_test(test_exit_statuses),
	};

	return cmocka_run_group_tests_name("manual", tests, setup, teardown);
}
