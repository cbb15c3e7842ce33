/*
 * The lines of an OpenVZ configuration file (CTID.conf, vz.conf), read as vzctl reads them and
 * never by a shell, which several old tools gave them to.
 *
 *	struct ve_line_vec lines = {0};
 *	r = veconf_parse(text, n, &lines, &err);
 *	for (size_t i = 0; i < lines.n; i++)
 *		... lines.v[i].name, lines.v[i].value
 *	veconf_done(&lines);
 *
 * The rules of the legacy vzctl: one parameter on a line, split at the first "="; a backslash makes
 * the next character literal, before all else; a value in double quotes ends at the last one of the
 * line, any other at the end of the line; "#" begins a comment at the start of a line only. The
 * newer one (Virtuozzo 7) also knows single quotes and comments behind a value: its reading is kept
 * beside where it differs, for parameters that would make no sense otherwise.
 */
#pragma once

#include <stddef.h>

#include "base/err.h"
#include "base/vec.h"

#define VECONF_MAX	 (1u << 20) /* bytes of a file */
#define VECONF_LINES_MAX 8192
#define VECONF_LINE_MAX	 40960
#define VECONF_NAME_MAX	 512

struct ve_line {
	unsigned line;	     /* from 1 */
	char *name;	     /* of the parameter; "" where the line has none */
	char *value;	     /* printable text; where the line has no name, the line */
	char *newer;	     /* the value as the newer vzctl reads it; NULL: the same */
	const char *problem; /* NULL: an assignment; else why it is none, a clause */
};
VEC(ve_line_vec, struct ve_line);

/* Every line but blank ones and comments. Fails only for a file that is too large to be one. */
int veconf_parse(const char *text, size_t n, struct ve_line_vec *ret, struct err *err) _must_use_;
void veconf_done(struct ve_line_vec *v);
