/*
 * A set of file names, each seen or not: what a folder of the destination held before a pass that
 * mentions all that is to stay.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct names {
	uint32_t *v; /* offsets in text, plus one; the top bit: seen */
	size_t n, cap;
	struct str text;
};

int names_read(struct names *s, int dirfd, struct err *err) _must_use_; /* all names in a folder */
void names_add(struct names *s, const char *name);
bool names_see(struct names *s, const char *name);	      /* false: it is not there */
const char *names_unseen(const struct names *s, size_t *pos); /* *pos starts at 0; NULL: no more */
void names_clear(struct names *s);
void names_done(struct names *s);
