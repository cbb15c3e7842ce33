/*
 * Passphrases as they are stored: salted and stretched (yescrypt through crypt(3)), never the text.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

#define PASSPHRASE_MAX 256 /* bytes */

/* *ret is the caller's. */
int passphrase_digest(const char *text, char **ret, struct err *err) _must_use_;
/* Takes as long for a wrong one as for the right one. */
bool passphrase_matches(const char *digest, const char *text);
