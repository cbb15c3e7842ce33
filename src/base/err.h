/*
 * The error value: a code and one sentence, owned by the caller, on its stack. No allocation, no
 * free, nothing to leak.
 *
 *	struct err err = ERR_INIT;
 *	if (pool_open(name, &pool, &err) < 0)
 *		return err_prefix(&err, "send %s", ct);
 *
 * Every function that can fail returns a negative number (the negated code) and has set *err.
 * The first writer names the cause; err_prefix puts context in front on the way up. The text is
 * for people: it names the thing, the host, the cause and what to do next, and has no newline.
 * Codes cross processes and hosts by name, never as numbers.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>

#include "base/attr.h"

enum err_code {
	ERR_NONE = 0,
	ERR_INTERNAL,	 /* a bug of ours, or the system gave out */
	ERR_INVALID,	 /* bad input: arguments, names, config */
	ERR_NOT_FOUND,	 /* unknown container, pool, key, job */
	ERR_EXISTS,	 /* there is one of that name already */
	ERR_BUSY,	 /* locked by another job */
	ERR_STATE,	 /* wrong order of steps, wrong state for that */
	ERR_DENIED,	 /* not root, not allowed for this key */
	ERR_AUTH,	 /* key not authorised, host key unknown or changed */
	ERR_UNREACHABLE, /* no connection, connection lost, daemon not running */
	ERR_TIMEOUT,	 /* a deadline passed */
	ERR_PROTOCOL,	 /* the peer or a stream broke the rules, or speaks another version */
	ERR_CORRUPT,	 /* a digest does not match */
	ERR_UNSUPPORTED, /* the target cannot express that */
	ERR_NO_SPACE,	 /* bytes, inodes or quota */
	ERR_IO,		 /* a system call on files failed */
	ERR_CANCELLED,	 /* the operator said so */
	ERR_UNKNOWN,	 /* the outcome is not known: nothing may be deleted because of it */
	ERR_HEALTH,	 /* the container did not come up */
	ERR_CODE_MAX
};

struct err {
	enum err_code code;
	char text[1024];
};

#define ERR_INIT                                                                                   \
	{                                                                                          \
		ERR_NONE, ""                                                                       \
	}

/* Each returns -code. err_errno appends ": strerror" and picks the code from errno. */
int err_set(struct err *err, enum err_code code, const char *fmt, ...) _printf_(3, 4);
int err_errno(struct err *err, const char *fmt, ...) _printf_(2, 3);
int err_prefix(struct err *err, const char *fmt, ...) _printf_(2, 3);

void err_clear(struct err *err);
/* Copies src over dst and returns -code: to carry a saved first error past a cleanup. */
int err_copy(struct err *dst, const struct err *src);

const char *err_name(enum err_code code);      /* "not-found" */
enum err_code err_from_name(const char *name); /* ERR_INTERNAL if unknown */
enum err_code err_from_errno(int errnum);
int err_exit_status(enum err_code code);     /* the program's exit status, 0 for ERR_NONE */
const char *err_explain(enum err_code code); /* for the manual: what this exit status means */
