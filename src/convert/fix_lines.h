/*
 * Changes to lines of a text file of a container, by what they look like. The file is hostile: long
 * lines are not looked at.
 */
#pragma once

#include "convert/fix_edit.h"

#define FIX_LINE_MAX 1024 /* bytes of a line that is looked at */

enum fix_action {
	FIX_DELETE,
	FIX_COMMENT, /* "#" before it */
	FIX_REPLACE, /* by arg */
	FIX_WORD,    /* arg is "old=new": each "old" in the line becomes "new" */
	FIX_ADD,     /* arg is added as a line where none matches; the file must be there */
};

/* pattern: an extended regular expression, without back references. 1 changed, 0 nothing to do or
 * no such file. */
int fix_lines(struct fix *f, const char *path, enum fix_action action, const char *pattern,
	const char *arg, struct err *err) _must_use_;
