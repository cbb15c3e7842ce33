/*
 * One word of the command line becomes one argument of a call, by the kind of its option or
 * operand.
 */
#pragma once

#include "cli/command.h"

/* Sets args[key]. A secret in text is overwritten, or asked for when it is "-". */
int value_put(json_t *args, const char *key, enum option_kind kind, char *text,
	struct err *err) _must_use_;
