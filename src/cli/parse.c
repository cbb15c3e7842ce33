/*
 * From the words of the command line to a command and its arguments. First the command: the leading
 * words that are not options. Then its options and operands, in any order, until "--".
 */
#include <string.h>

#include "base/alloc.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/command.h"
#include "cli/value.h"

#define DEPTH_MAX 4 /* words of a command */

const struct option_spec command_globals[] = {
	{"json", 'j', OPTION_FLAG, "json", NULL, "print JSON, for programs"},
	{"quiet", 'q', OPTION_FLAG, "quiet", NULL, "print nothing but results and errors"},
	{"help", 'h', OPTION_FLAG, "help", NULL, "print this"},
	{NULL},
};

struct parser {
	char **argv;
	int argc, at;
	const struct command *command;
	const char *title; /* "ct send config", for errors */
	json_t *args, *globals;
	size_t n_operands;
};

static bool takes_value(enum option_kind k)
{
	return k != OPTION_FLAG && k != OPTION_SWITCH_ON && k != OPTION_SWITCH_OFF;
}

static bool is_switch(enum option_kind k)
{
	return k == OPTION_SWITCH_ON || k == OPTION_SWITCH_OFF;
}

/* name is n bytes long. *ret_on is false for the "no-" form. */
static const struct option_spec *find_long(
	const struct option_spec *table, const char *name, size_t n, bool *ret_on)
{
	for (; table && table->name; table++) {
		if (strlen(table->name) == n && strncmp(table->name, name, n) == 0) {
			*ret_on = true;
			return table;
		}
		if (is_switch(table->kind) && n > 3 && strncmp(name, "no-", 3) == 0 &&
			strlen(table->name) == n - 3 &&
			strncmp(table->name, name + 3, n - 3) == 0) {
			*ret_on = false;
			return table;
		}
	}
	return NULL;
}

static const struct option_spec *find_letter(const struct option_spec *table, char letter)
{
	for (; table && table->name; table++)
		if (table->letter && table->letter == letter)
			return table;
	return NULL;
}

/* Options */

static int unknown_option(const struct parser *p, const char *name, size_t n, struct err *err)
{
	const struct option_spec *tables[] = {
		p->command ? p->command->options : NULL, command_globals};
	_cleanup_free_ char *typed = xstrndup(name, n);
	_cleanup_strv_ char **known = NULL;
	const char *near;

	for (size_t t = 0; t < ARRAY_SIZE(tables); t++)
		for (const struct option_spec *o = tables[t]; o && o->name; o++) {
			_cleanup_free_ char *no = xasprintf("no-%s", o->name);

			strv_push(&known, o->name);
			if (is_switch(o->kind))
				strv_push(&known, no);
		}
	near = nearest(typed, known);
	if (near)
		return err_set(err, ERR_INVALID, "%s has no option --%s: did you mean --%s?",
			p->title, typed, near);
	return err_set(err, ERR_INVALID, "%s has no option --%s: see --help", p->title, typed);
}

static int put_option(struct parser *p, const struct option_spec *o, bool global, bool on,
	char *value, struct err *err)
{
	int r;

	if (global) {
		json_put_bool(p->globals, o->key, true);
		return 0;
	}
	if (!takes_value(o->kind)) {
		json_put_bool(p->args, o->key, on);
		return 0;
	}
	r = value_put(p->args, o->key, o->kind, value, err);
	return r < 0 ? err_prefix(err, "--%s", o->name) : 0;
}

static int take_value(struct parser *p, const char *name, char **ret, struct err *err)
{
	if (p->at >= p->argc)
		return err_set(err, ERR_INVALID, "--%s needs a value", name);
	*ret = p->argv[p->at++];
	return 0;
}

static int parse_long(struct parser *p, char *text, struct err *err)
{
	const struct option_spec *table = p->command ? p->command->options : NULL, *o;
	size_t n = strcspn(text, "=");
	char *value = text[n] ? text + n + 1 : NULL;
	bool on, global = false;
	int r;

	o = find_long(table, text, n, &on);
	if (!o) {
		o = find_long(command_globals, text, n, &on);
		global = true;
	}
	if (!o)
		return unknown_option(p, text, n, err);
	if (value && !takes_value(o->kind))
		return err_set(err, ERR_INVALID, "--%s takes no value", o->name);
	if (!value && takes_value(o->kind)) {
		r = take_value(p, o->name, &value, err);
		if (r < 0)
			return r;
	}
	return put_option(p, o, global, on, value, err);
}

/* "-f", "-fl", "-p22", "-p 22" */
static int parse_letters(struct parser *p, char *text, struct err *err)
{
	const struct option_spec *table = p->command ? p->command->options : NULL, *o;

	while (*text) {
		char letter = *text++, *value = NULL;
		bool global;
		int r = 0;

		o = find_letter(table, letter);
		global = !o;
		if (!o)
			o = find_letter(command_globals, letter);
		if (!o)
			return err_set(err, ERR_INVALID, "%s has no option -%c: see --help",
				p->title, letter);
		if (takes_value(o->kind)) {
			value = *text ? text : NULL;
			text = text + strlen(text);
			if (!value)
				r = take_value(p, o->name, &value, err);
		}
		if (r >= 0)
			r = put_option(p, o, global, true, value, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool is_option(const char *word)
{
	return word[0] == '-' && word[1];
}

/* Operands */

static const struct operand *operand_at(const struct command *c, size_t i)
{
	const struct operand *o = c->operands;

	for (; o && o->name && i; i--)
		o++;
	return o && o->name ? o : NULL;
}

static int put_operand(struct parser *p, char *word, struct err *err)
{
	const struct operand *o = operand_at(p->command, p->n_operands);
	int r;

	if (!o) {
		_cleanup_free_ char *usage = help_usage("wherry", p->command);

		return err_set(err, ERR_INVALID, "\"%s\" is one word too many: %s", word, usage);
	}
	p->n_operands++;
	r = value_put(p->args, o->key, o->kind, word, err);
	return r < 0 ? err_prefix(err, "%s", o->name) : 0;
}

static bool at_rest(const struct parser *p)
{
	const struct operand *o = operand_at(p->command, p->n_operands);

	return o && o->flags & OPERAND_REST;
}

static void put_rest(struct parser *p)
{
	json_t *words = json_array();

	if (p->at < p->argc && str_eq(p->argv[p->at], "--"))
		p->at++;
	for (; p->at < p->argc; p->at++) {
		json_t *word = json_string(p->argv[p->at]);

		json_array_append_new(words, word ? word : json_string("?"));
	}
	if (!json_array_size(words)) {
		json_decref(words);
		return;
	}
	json_object_set_new(p->args, operand_at(p->command, p->n_operands)->key, words);
	p->n_operands++;
}

static int check_operands(const struct parser *p, struct err *err)
{
	const struct operand *o = operand_at(p->command, p->n_operands);
	_cleanup_free_ char *usage = NULL;

	if (!o || o->flags & OPERAND_OPTIONAL)
		return 0;
	usage = help_usage("wherry", p->command);
	return err_set(err, ERR_INVALID, "%s: %s is missing: %s", p->title, o->name, usage);
}

static int parse_rest(struct parser *p, struct err *err)
{
	bool only_operands = false;

	while (p->at < p->argc) {
		char *word = p->argv[p->at];
		int r;

		if (at_rest(p) && (only_operands || !is_option(word) || str_eq(word, "--"))) {
			put_rest(p);
			break;
		}
		p->at++;
		if (only_operands || !is_option(word))
			r = put_operand(p, word, err);
		else if (str_eq(word, "--"))
			r = (only_operands = true, 0);
		else if (word[1] == '-')
			r = parse_long(p, word + 2, err);
		else
			r = parse_letters(p, word + 1, err);
		if (r < 0)
			return r;
	}
	if (json_get_bool(p->globals, "help", false))
		return 0;
	return check_operands(p, err);
}

/* The command */

static int unknown_command(char *const *words, size_t n, struct err *err)
{
	_cleanup_free_ char *group = NULL;
	_cleanup_strv_ char **known = NULL, **path = NULL;
	const char *near;

	for (size_t i = 0; i + 1 < n; i++)
		strv_push(&path, words[i]);
	group = path ? str_join(path, " ") : xstrdup("");
	for (const struct command *c = command_next(NULL); c; c = command_next(c)) {
		_cleanup_strv_ char **own = str_words(c->words);
		size_t same = 0;

		while (own[same] && same + 1 < n && str_eq(own[same], words[same]))
			same++;
		if (same == n - 1 && own[same] && !(c->flags & COMMAND_HIDDEN))
			strv_push(&known, own[same]);
	}
	near = nearest(words[n - 1], known);
	if (near)
		return err_set(err, ERR_INVALID, "there is no command %s%s%s: did you mean %s%s%s?",
			group, *group ? " " : "", words[n - 1], group, *group ? " " : "", near);
	return err_set(err, ERR_INVALID, "there is no command %s%s%s: see wherry %s%s--help", group,
		*group ? " " : "", words[n - 1], group, *group ? " " : "");
}

static void parser_reset(struct parser *p, const struct command *c, int at)
{
	json_decref(p->args);
	p->args = json_object();
	p->command = c;
	p->title = c->words;
	p->at = at;
	p->n_operands = 0;
}

/* Does the option at argv[at] take the next word? In doubt, of the command or of its step. */
static bool takes_next(const char *text, const struct command *c)
{
	const struct option_spec *o = NULL;
	bool on;

	if (text[1] == '-' && !strchr(text, '='))
		o = find_long(c->options, text + 2, strlen(text + 2), &on);
	else if (text[1] != '-' && !text[2])
		o = find_letter(c->options, text[1]);
	return o && takes_value(o->kind);
}

/* Counts the operands from at on; *ret_first is where the first one is, -1 if it stands after "--".
 */
static size_t count_operands(
	const struct parser *p, int at, const struct command *step, int *ret_first)
{
	size_t n = 0;

	*ret_first = -1;
	for (; at < p->argc; at++) {
		const char *word = p->argv[at];

		if (str_eq(word, "--"))
			return n + (size_t)(p->argc - at - 1);
		if (is_option(word)) {
			at += takes_next(word, p->command) || (step && takes_next(word, step));
			continue;
		}
		if (n++ == 0)
			*ret_first = at;
	}
	return n;
}

static bool takes_operands(const struct command *c, size_t n)
{
	size_t least = 0, most = 0;

	for (const struct operand *o = c->operands; o && o->name; o++) {
		most++;
		least += !(o->flags & OPERAND_OPTIONAL);
	}
	return n >= least && n <= most;
}

static const struct command *step_named(const struct command *c, char *name)
{
	_cleanup_strv_ char **words = str_words(c->words);

	strv_push(&words, name);
	return command_find(words, strv_len(words));
}

/*
 * "ct send" is a command and a group: `ct send config web b` is a step, but a container may be
 * called "config" too. The first operand is a step's name if the right number of operands follows;
 * after
 * "--" it never is one. If neither fits, the complaint is about the step.
 */
static void choose_step(struct parser *p)
{
	const struct command *step;
	int first, at = p->at;
	size_t n = count_operands(p, at, NULL, &first);
	char *name;

	if (first < 0)
		return;
	name = p->argv[first];
	step = step_named(p->command, name);
	if (!step)
		return;
	n = count_operands(p, at, step, &first);
	if (!takes_operands(step, n - 1) && takes_operands(p->command, n))
		return;
	/* The step's name moves in front of the options before it. */
	memmove(p->argv + at + 1, p->argv + at, (size_t)(first - at) * sizeof(*p->argv));
	p->argv[at] = name;
	parser_reset(p, step, at + 1);
}

/* Leading words, with global options between them. */
static int find_command(struct parser *p, struct parsed *ret, struct err *err)
{
	char *words[DEPTH_MAX + 1];
	const struct command *found = NULL;
	int after = 0, r;
	size_t n = 0;

	while (p->at < p->argc && n < DEPTH_MAX) {
		char *word = p->argv[p->at];

		if (str_eq(word, "--version") && n == 0) {
			ret->version = true;
			return 0;
		}
		if (is_option(word)) {
			const struct command *c = command_find(words, n);
			struct err ignored = ERR_INIT;

			if (c || str_eq(word, "--"))
				break;
			p->at++;
			r = word[1] == '-' ? parse_long(p, word + 2, &ignored)
					   : parse_letters(p, word + 1, &ignored);
			if (r < 0)
				return err_copy(err, &ignored);
			continue;
		}
		words[n] = word;
		if (!command_find(words, n + 1) && !command_is_group(words, n + 1)) {
			if (found)
				break;
			return unknown_command(words, n + 1, err);
		}
		n++;
		p->at++;
		if (command_find(words, n)) {
			found = command_find(words, n);
			after = p->at;
			if (found->flags & COMMAND_DEFAULT)
				break;
		}
	}
	if (!found) {
		_cleanup_strv_ char **path = NULL;

		for (size_t i = 0; i < n; i++)
			strv_push(&path, words[i]);
		ret->group = path ? str_join(path, " ") : xstrdup("");
		return 0;
	}
	parser_reset(p, found, after);
	if (found->flags & COMMAND_DEFAULT)
		choose_step(p);
	return 0;
}

int parse_command(int argc, char **argv, struct parsed *ret, struct err *err)
{
	struct parser p = {.argv = argv, .argc = argc, .title = "wherry", .globals = json_object()};
	struct parsed out = {.group = NULL};
	int r;

	if (argc > 0 && str_eq(argv[0], "help")) { /* "help ct send" is "ct send --help" */
		json_put_bool(p.globals, "help", true);
		p.at = 1;
	}
	r = find_command(&p, &out, err);
	if (r >= 0 && p.command)
		r = parse_rest(&p, err);
	out.json = json_get_bool(p.globals, "json", false);
	out.quiet = json_get_bool(p.globals, "quiet", false);
	out.help = json_get_bool(p.globals, "help", false);
	json_decref(p.globals);
	/* Even a wrong command line says whether its error is wanted as JSON. */
	ret->json = out.json;
	if (r < 0) {
		ret->command = p.command;
		json_decref(p.args);
		free(out.group);
		return r;
	}
	out.command = p.command;
	out.args = p.args;
	*ret = out;
	return 0;
}

void parsed_done(struct parsed *p)
{
	json_decref(p->args);
	free(p->group);
}
