/*
 * The text of an LXC configuration file from the model: plain LXC, which boots without Wherry; and
 * the guard line in a user's text.
 *
 * Includes come first, as every template has it; a line that stood before an include which
 * overrides it would win then (LXC's own tools write none).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "model/container.h"

/* The caller's. Every volume must have its path; options are written as they are, so they must have
 * been judged (lxc_option.h). */
char *lxc_render(const struct container *c);

/* The guard: LXC asks this program at each start whether this node owns the container. */
#define LXC_GUARD_KEY	  "lxc.hook.pre-start"
#define LXC_GUARD_PROGRAM WHERRY_LIBDIR "/lxc-pre-start"

/* The text with the guard as its last line (an earlier one could be cleared by a later line), or
 * without any; every other byte as it was. The caller's. */
char *lxc_render_guard(const char *text, size_t n, bool on, size_t *ret_n);
