#include "convert/veconf.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "base/str.h"

void veconf_done(struct ve_line_vec *v)
{
	for (size_t i = 0; i < v->n; i++) {
		free(v->v[i].name);
		free(v->v[i].value);
		free(v->v[i].newer);
	}
	ve_line_vec_done(v);
}

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Without backslashes, each of which makes the next character an ordinary one. */
static char *unescape(const char *s)
{
	struct str out = STR_INIT;

	for (; *s; s++) {
		if (*s == '\\' && !*++s)
			break;
		str_addc(&out, *s);
	}
	return str_take(&out);
}

/* What the legacy vzctl takes for the value; NULL if its quotes do not end. */
static char *legacy_value(const char *s)
{
	const char *last;
	size_t n;

	if (*s == '"') {
		last = strrchr(s + 1, '"');
		return last ? xstrndup(s + 1, (size_t)(last - s - 1)) : NULL;
	}
	n = strlen(s);
	while (n && is_blank(s[n - 1]))
		n--;
	return xstrndup(s, n);
}

/* The newer vzctl cuts a comment that stands outside quotes, then one quote at each end. */
static char *newer_value(const char *s)
{
	_cleanup_free_ char *copy = xstrdup(s);
	char quote = '\0', *value;
	size_t n;

	for (char *p = copy; *p; p++) {
		if (quote && *p == quote)
			quote = '\0';
		else if (!quote && (*p == '"' || *p == '\''))
			quote = *p;
		else if (!quote && *p == '#' && p > copy && is_blank(p[-1])) {
			*p = '\0';
			break;
		}
	}
	value = str_trim(copy);
	n = strlen(value);
	if (n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n - 1] == value[0])
		return xstrndup(value + 1, n - 2);
	return xstrdup(value);
}

/* Letters, digits and '_', as a shell would have it. */
static bool name_ok(const char *s, size_t n)
{
	if (n == 0 || n > VECONF_NAME_MAX || isdigit((unsigned char)s[0]))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isascii(s[i]) || (!isalnum((unsigned char)s[i]) && s[i] != '_'))
			return false;
	return true;
}

static void read_assignment(struct ve_line *l, const char *text)
{
	const char *equals = strchr(text, '=');

	if (!equals)
		l->problem = "is not an assignment";
	else if (!name_ok(text, (size_t)(equals - text)))
		l->problem = equals > text && is_blank(equals[-1])
				     ? "has a blank before \"=\", which vzctl takes for a part of "
				       "the name"
				     : "does not begin with the name of a parameter";
	if (l->problem)
		return;
	l->name = xstrndup(text, (size_t)(equals - text));
	l->value = legacy_value(equals + 1);
	if (!l->value) {
		l->problem = "has quotes that do not end on the line";
		return;
	}
	l->newer = newer_value(equals + 1);
	if (str_eq(l->newer, l->value)) {
		free(l->newer);
		l->newer = NULL;
	}
}

static void read_line(struct ve_line *l, const char *raw, size_t n)
{
	_cleanup_free_ char *shown = str_escape(raw, n), *text = NULL;
	_cleanup_free_ char *tabs = xstrndup(raw, n);

	/* Tabs are the only control characters that belong into such a file. */
	for (char *p = tabs; *p; p++)
		if (*p == '\t')
			*p = ' ';
	text = str_escape(tabs, strlen(tabs));
	if (strlen(tabs) != n || !str_eq(text, tabs))
		l->problem = "has bytes that are no text";
	else if (n > VECONF_LINE_MAX)
		l->problem = "is too long";
	if (!l->problem) {
		_cleanup_free_ char *plain = unescape(tabs);

		read_assignment(l, plain);
	}
	if (!l->name)
		l->name = xstrdup("");
	if (!l->value)
		l->value = shown[0] ? xstrndup(shown, VECONF_LINE_MAX) : xstrdup("");
}

int veconf_parse(const char *text, size_t n, struct ve_line_vec *ret, struct err *err)
{
	struct ve_line_vec lines = {0};
	unsigned number = 0;

	if (n > VECONF_MAX)
		return err_set(err, ERR_INVALID, "it is larger than 1 MiB, which no such file is");
	for (size_t at = 0, len; at < n; at += len + 1) {
		const char *newline = memchr(text + at, '\n', n - at), *s = text + at, *end;

		len = newline ? (size_t)(newline - s) : n - at;
		number++;
		end = s + len;
		while (s < end && is_blank(*s))
			s++;
		while (end > s && is_blank(end[-1]))
			end--;
		if (s == end || *s == '#')
			continue;
		if (lines.n == VECONF_LINES_MAX) {
			veconf_done(&lines);
			return err_set(err, ERR_INVALID,
				"it has over %u lines, which no such file has", VECONF_LINES_MAX);
		}
		*ve_line_vec_push(&lines) = (struct ve_line){.line = number};
		read_line(&lines.v[lines.n - 1], s, (size_t)(end - s));
	}
	*ret = lines;
	return 0;
}
