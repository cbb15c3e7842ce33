#include "convert/ve_param.h"

#include <string.h>

#include "base/str.h"
#include "convert/ve_rules.h"
#include "convert/veconf.h"

void ve_done(struct ve *ve)
{
	for (size_t i = 0; i < ve->params.n; i++) {
		struct ve_param *p = &ve->params.v[i];

		free(p->name);
		free(p->value);
		free(p->reason);
		strv_free(p->results);
	}
	ve_param_vec_done(&ve->params);
}

const char *ve_class_name(enum ve_class class)
{
	static const char *const names[] = {
		"exact", "approximate", "partial", "none", "invalid", "duplicate"};

	return names[class];
}

static void say(struct ve_param *p, enum ve_class class, const char *fmt, va_list ap)
	_printf_(3, 0);
static void say(struct ve_param *p, enum ve_class class, const char *fmt, va_list ap)
{
	free(p->reason);
	p->reason = fmt ? xvasprintf(fmt, ap) : NULL;
	p->class = class;
	p->said = true;
}

void ve_say(struct ve_param *p, enum ve_class class, const char *reason, ...)
{
	va_list ap;

	if (!p)
		return;
	va_start(ap, reason);
	say(p, class, reason, ap);
	va_end(ap);
}

void ve_lose(struct ve_param *p, const char *reason, ...)
{
	va_list ap;

	if (!p)
		return;
	va_start(ap, reason);
	say(p, VE_NONE, reason, ap);
	va_end(ap);
	p->lost = true;
}

void ve_result(struct ve_param *p, const char *text, ...)
{
	_cleanup_free_ char *line = NULL;
	va_list ap;

	if (!p)
		return;
	va_start(ap, text);
	line = xvasprintf(text, ap);
	va_end(ap);
	if (!strv_has(p->results, line))
		strv_push(&p->results, line);
}

static bool read_value(struct ve_param *p, const char *s)
{
	switch (p->rule->kind) {
	case VE_YES: return ve_yes_read(s, &p->yes);
	case VE_NUMBER: return ve_number_read(s, &p->number);
	case VE_AMOUNT: return ve_pair_read(s, p->rule->unit, &p->pair);
	case VE_TEXT: return !p->rule->text_ok || p->rule->text_ok(s);
	}
	return false;
}

/* The newer vzctl's reading counts where the legacy one makes no sense. */
static void decode(struct ve_param *p, const char *newer)
{
	if (read_value(p, p->value))
		return;
	if (newer && read_value(p, newer)) {
		free(p->value);
		p->value = xstrdup(newer);
		p->newer = true;
		return;
	}
	ve_say(p, VE_INVALID, "%s",
		!*p->value		     ? "is empty"
		: p->rule->kind == VE_YES    ? "is neither \"yes\" nor \"no\""
		: p->rule->kind == VE_TEXT   ? "is not a value that this parameter can have"
		: p->rule->kind == VE_AMOUNT ? "is not an amount"
					     : "is not a whole number");
}

static void add(struct ve *ve, const struct ve_line *l, enum ve_origin origin)
{
	struct ve_param *p = ve_param_vec_push(&ve->params);

	*p = (struct ve_param){
		.origin = origin,
		.line = l->line,
		.name = xstrdup(l->name),
		.value = xstrdup(l->value),
		.rule = l->problem ? NULL : ve_rule_find(l->name),
	};
	if (l->problem)
		ve_say(p, VE_INVALID, "%s", l->problem);
	else if (p->rule)
		decode(p, l->newer);
	else
		ve_say(p, VE_NONE, "%s",
			origin == VE_OWN ? "is not a parameter of OpenVZ"
					 : "is about the OpenVZ node, not the container");
}

int ve_read(struct ve *ve, const char *text, size_t n, enum ve_origin origin, struct err *err)
{
	_cleanup_(veconf_done) struct ve_line_vec lines = {0};
	int r = veconf_parse(text, n, &lines, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < lines.n; i++)
		add(ve, &lines.v[i], origin);
	return 0;
}

/* An earlier line of the same name and file that counts so far. */
static struct ve_param *rival_of(struct ve *ve, const struct ve_param *p)
{
	for (size_t i = 0; i < ve->params.n; i++) {
		struct ve_param *other = &ve->params.v[i];

		if (other == p)
			return NULL;
		if (other->in_force && other->rule == p->rule)
			return other;
	}
	return NULL;
}

static void settle(struct ve *ve, struct ve_param *p)
{
	struct ve_param *rival = rival_of(ve, p), *loser;

	if (p->origin == VE_GLOBAL && !p->rule->global) {
		ve_say(p, VE_NONE, "is about the OpenVZ node, not the container");
		return;
	}
	p->in_force = true;
	if (!rival || (p->rule->repeat == VE_ALL && rival->origin == p->origin))
		return;
	if (rival->origin != p->origin) {
		p->in_force = false;
		ve_say(p, VE_DUPLICATE, "the container's own file says something else in line %u",
			rival->line);
		return;
	}
	loser = p->rule->repeat == VE_LAST ? rival : p;
	loser->in_force = false;
	ve_say(loser, VE_DUPLICATE, "line %u counts: vzctl takes the %s one of %s",
		loser == p ? rival->line : p->line, loser == p ? "first" : "last", p->name);
}

void ve_settle(struct ve *ve)
{
	for (size_t i = 0; i < ve->params.n; i++) {
		struct ve_param *p = &ve->params.v[i];

		if (p->rule && p->class != VE_INVALID)
			settle(ve, p);
	}
}

struct ve_param *ve_next(struct ve *ve, const char *name, struct ve_param *after)
{
	for (size_t i = after ? (size_t)(after - ve->params.v) + 1 : 0; i < ve->params.n; i++)
		if (ve->params.v[i].in_force && strcmp(ve->params.v[i].name, name) == 0)
			return &ve->params.v[i];
	return NULL;
}

struct ve_param *ve_get(struct ve *ve, const char *name)
{
	return ve_next(ve, name, NULL);
}
