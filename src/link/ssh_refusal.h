/*
 * What ssh says on stderr when it fails, as one sentence of ours with a code. The text is hostile
 * in part (banners, the other side's stderr): it decides about words only.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

/* where: the host, for the sentence. fingerprint: of an unknown host key, "TYPE SHA256:...", or
 * NULL. Always fails; what is not known here is a lost connection, with ssh's last line. */
int ssh_refusal(
	const char *text, const char *where, const char *fingerprint, struct err *err) _must_use_;
bool ssh_refusal_is_unknown_key(const char *text);
/* Of the host key, in what `ssh -v` says; the caller's, NULL if it is not there. */
char *ssh_refusal_fingerprint(const char *text);
/* The last line of text, which changes. */
char *ssh_refusal_last_line(char *text);
