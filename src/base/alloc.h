/*
 * Allocation that never fails: out of memory aborts, the journal makes that safe. Sizes that come
 * from outside are bounded by the caller first; products are checked for overflow here.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

#include "base/attr.h"

void *xmalloc(size_t size);
void *xcalloc(size_t n, size_t size);
void *xreallocarray(void *p, size_t n, size_t size);
char *xstrdup(const char *s); /* NULL gives NULL */
char *xstrndup(const char *s, size_t n);
void *xmemdup(const void *p, size_t n);
char *xasprintf(const char *fmt, ...) _printf_(1, 2);
char *xvasprintf(const char *fmt, va_list ap) _printf_(1, 0);

#define xnew(type) ((type *)xcalloc(1, sizeof(type)))
