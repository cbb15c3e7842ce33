/*
 * The fix-ups as rows: for which guests, which file, which change. Rows of one name are one fix-up.
 */
#pragma once

#include "convert/fix_lines.h"
#include "convert/fixup.h"

enum fixup_kind {
	FIXUP_END,
	FIXUP_LINES,  /* action, pattern, arg */
	FIXUP_REMOVE, /* the path */
	FIXUP_WRITE,  /* arg is the text */
	FIXUP_LINK,   /* arg is the target */
	FIXUP_CODE,   /* run */
};

struct fixup_row {
	const char *name;
	unsigned families; /* 0: all */
	unsigned inits;	   /* bits of enum guest_init, 0: all */
	unsigned below;	   /* of releases before this one only; 0: all */
	enum fixup_kind kind;
	const char *path; /* its last part may be a pattern of names */
	enum fix_action action;
	const char *pattern, *arg;
	const char *only_if; /* a path that must be there, NULL: none */
	int (*run)(struct fix *f, const struct guest *g, const struct fixup_options *o,
		struct err *err);
};

struct fixup_summary {
	const char *name, *text;
};

extern const struct fixup_row fixup_rows[];	     /* ends with FIXUP_END */
extern const struct fixup_summary fixup_summaries[]; /* ends with name NULL */

/* Code of fix-ups: 1 changed, 0 nothing to do. */
int fix_interfaces(
	struct fix *f, const struct guest *g, const struct fixup_options *o, struct err *err);
int fix_resolver(
	struct fix *f, const struct guest *g, const struct fixup_options *o, struct err *err);
int fix_mtab(struct fix *f, const struct guest *g, const struct fixup_options *o, struct err *err);
int fix_overrides(
	struct fix *f, const struct guest *g, const struct fixup_options *o, struct err *err);
