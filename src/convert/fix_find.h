/*
 * What no tool can put right, found before the container is stopped.
 */
#pragma once

#include "convert/fixup.h"

int fix_find(int root, const struct guest *g, const struct fixup_options *o,
	struct fixup_finding_vec *ret, struct err *err) _must_use_;
