/*
 * A growable string, and the few string questions everybody asks.
 *
 *	_cleanup_(str_done) struct str s = STR_INIT;
 *	str_addf(&s, "%s=%d", k, v);
 *	char *owned = str_take(&s);
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

struct str {
	char *buf;  /* always NUL-terminated once something was added; NULL before */
	size_t len; /* without the NUL */
	size_t cap;
};

#define STR_INIT                                                                                   \
	{                                                                                          \
		NULL, 0, 0                                                                         \
	}

void str_add(struct str *s, const char *text);
void str_addn(struct str *s, const void *bytes, size_t n);
void str_addc(struct str *s, char c);
void str_addf(struct str *s, const char *fmt, ...) _printf_(2, 3);
void str_trunc(struct str *s, size_t len);
char *str_take(struct str *s); /* never NULL; s is empty afterwards */
void str_done(struct str *s);

bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);
bool str_eq(const char *a, const char *b); /* NULL equals NULL only */
/* Splits a copy of s at any of seps; empty fields are kept only if keep_empty. NULL-terminated, see
 * strv_free. */
char **str_split(const char *s, const char *seps, bool keep_empty);
/* Words separated by blanks; no quoting rules at all. */
char **str_words(const char *s);
char *str_join(char *const *v, const char *sep);
char *str_trim(char *s); /* in place: leading and trailing white space */
/* Printable copy: control characters and bytes that are not UTF-8 become \xNN. */
char *str_escape(const char *s, size_t n);

size_t strv_len(char *const *v);
void strv_free(char **v);
void strv_freep(char ***v);
bool strv_has(char *const *v, const char *s);
void strv_push(char ***v, const char *s); /* copies s */
#define _cleanup_strv_ _cleanup_(strv_freep)
