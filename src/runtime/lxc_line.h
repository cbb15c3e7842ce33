/*
 * What the readers of LXC's configuration share: the verdict on one "key = value" line, and writing
 * one.
 */
#pragma once

#include "base/str.h"

enum lxc_verdict {
	LXC_TAKEN,   /* understood: it is in the model now */
	LXC_OTHER,   /* not a key of this reader */
	LXC_REFUSED, /* *reason says why, one clause that follows the key: "runs a program ..." */
};

#define LXC_BAD_VALUE "has a value that Wherry does not understand"

/* "key = value\n", the value in quotes where LXC would otherwise change it. */
void lxc_line_add(struct str *s, const char *key, const char *value);
void lxc_line_addf(struct str *s, const char *key, const char *fmt, ...) _printf_(3, 4);
