/*
 * The engine names its steps as `wherry ct send` does. Who migrates from OpenVZ has other names for
 * them, and no daemon: what the engine says is said in those.
 */
#pragma once

#include "base/err.h"

char *words_text(const char *text); /* the caller's */
void words_err(struct err *err);
