/*
 * `receive skel`: the destination looks at what is coming, refuses by name what it can't or won't
 * have, and reserves name and place. Nothing is changed before every check has passed.
 */
#pragma once

#include "move/receiving.h"

/* pool_word: as on the command line, NULL or "-" for the default. *ret is the answer. */
int staging_run(struct receiving *r, const char *pool_word, const json_t *skel, json_t **ret,
	struct err *err) _must_use_;
