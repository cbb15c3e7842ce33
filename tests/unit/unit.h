/*
 * What the unit tests share: cmocka with its includes in order, checks of results with their error,
 * and a temporary folder.
 *
 *	static void test_thing(void **state)
 *	{
 *		struct err err = ERR_INIT;
 *
 *		assert_ok(thing_do("x", &err), &err);
 *		assert_fails(thing_do("", &err), ERR_INVALID, &err);
 *	}
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/err.h"

/* A row of a table that fails says which one it was. */
#define assert_row(ok, row)                                                                        \
	do {                                                                                       \
		if (!(ok))                                                                         \
			fail_msg("row \"%s\": %s", row, #ok);                                      \
	} while (0)

#define assert_ok(r, err)                                                                          \
	do {                                                                                       \
		if ((r) < 0)                                                                       \
			fail_msg("%s: %s: %s", #r, err_name((err)->code), (err)->text);            \
	} while (0)

/* The result, the code and the text must agree; the error is cleared for the next call. */
#define assert_fails(r, want, err)                                                                 \
	do {                                                                                       \
		long long got_ = (long long)(r);                                                   \
		if (got_ != -(long long)(want) || (err)->code != (want) || !(err)->text[0])        \
			fail_msg("%s: %lld, %s \"%s\" instead of %s", #r, got_,                    \
				err_name((err)->code), (err)->text, err_name(want));               \
		err_clear(err);                                                                    \
	} while (0)

#define assert_has(text, part)                                                                     \
	do {                                                                                       \
		if (!strstr(text, part))                                                           \
			fail_msg("\"%s\" is not in \"%s\"", part, text);                           \
	} while (0)

/* A new folder below TMPDIR; unit_tmp_free removes it and what is in it. */
static inline char *unit_tmp(void)
{
	const char *base = getenv("TMPDIR");
	char *path = xasprintf("%s/wherry-unit-XXXXXX", base ? base : "/tmp");

	if (!mkdtemp(path))
		abort();
	return path;
}

static inline void unit_tmp_free(char *path)
{
	_cleanup_free_ char *command = xasprintf("rm -rf --one-file-system '%s'", path);

	if (system(command) != 0)
		fprintf(stderr, "%s: not removed\n", path);
	free(path);
}

static inline void unit_tmp_freep(char **path)
{
	if (*path)
		unit_tmp_free(*path);
}
#define _cleanup_tmp_ _cleanup_(unit_tmp_freep)
