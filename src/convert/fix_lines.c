#include "convert/fix_lines.h"

#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "convert/guest.h"

struct editing {
	regex_t regex;
	enum fix_action action;
	const char *arg;
	struct str out;
	unsigned n; /* lines that were changed */
	bool found;
};

/* Each "old" of "old=new" becomes "new". */
static void put_word(struct editing *e, const char *line)
{
	size_t old = strcspn(e->arg, "=");
	_cleanup_free_ char *word = xstrndup(e->arg, old);
	bool any = false;

	for (const char *at; (at = strstr(line, word)); line = at + old) {
		str_addn(&e->out, line, (size_t)(at - line));
		str_add(&e->out, e->arg + old + 1);
		any = true;
	}
	str_add(&e->out, line);
	e->n += any;
}

/* False: the line goes, with its newline. */
static bool put_line(struct editing *e, const char *line)
{
	bool match = strlen(line) <= FIX_LINE_MAX && regexec(&e->regex, line, 0, NULL, 0) == 0;

	e->found = e->found || match;
	if (!match || e->action == FIX_ADD) {
		str_add(&e->out, line);
		return true;
	}
	switch (e->action) {
	case FIX_DELETE: e->n++; return false;
	case FIX_COMMENT:
		str_addf(&e->out, "#%s", line);
		e->n++;
		break;
	case FIX_REPLACE:
		e->n += !str_eq(line, e->arg);
		str_add(&e->out, e->arg);
		break;
	default: put_word(e, line);
	}
	return true;
}

/* A text without a newline at its end stays one, unless a line is added. */
static void edit(struct editing *e, const char *text)
{
	while (*text) {
		size_t n = strcspn(text, "\n");
		_cleanup_free_ char *line = xstrndup(text, n);

		if (put_line(e, line) && text[n])
			str_addc(&e->out, '\n');
		text += text[n] ? n + 1 : n;
	}
	if (e->action != FIX_ADD || e->found)
		return;
	if (e->out.len && e->out.buf[e->out.len - 1] != '\n')
		str_addc(&e->out, '\n');
	str_addf(&e->out, "%s\n", e->arg);
	e->n++;
}

static char *describe(const struct editing *e, const char *arg)
{
	static const char *const did[] = {"taken out", "commented out", "replaced", "changed"};

	if (e->action == FIX_ADD)
		return xasprintf("\"%s\" added", arg);
	return xasprintf("%u line%s %s", e->n, e->n == 1 ? "" : "s", did[e->action]);
}

int fix_lines(struct fix *f, const char *path, enum fix_action action, const char *pattern,
	const char *arg, struct err *err)
{
	struct editing e = {.action = action, .arg = arg};
	_cleanup_free_ char *text = NULL, *what = NULL;
	int r = guest_read(f->root, path, FIX_FILE_MAX, &text, err);

	if (r <= 0)
		return r;
	if (regcomp(&e.regex, pattern, REG_EXTENDED | REG_NOSUB) != 0)
		abort(); /* the patterns are ours */
	edit(&e, text);
	regfree(&e.regex);
	what = describe(&e, arg);
	r = e.n ? fix_write(f, path, e.out.buf ? e.out.buf : "", what, err) : 0;
	str_done(&e.out);
	return r;
}
