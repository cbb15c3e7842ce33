/*
 * What the wire forms of the model share: text and lists of text that come from a peer. Text is
 * printable UTF-8 without control characters, so that it can stand in a line of a configuration
 * and in a message to the operator.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

bool text_ok(const char *s, size_t longest); /* not empty, at most longest bytes */
bool name_ok(const char *s, size_t longest, const char *also);

/* Reads a list of at most most strings, each text_ok(s, longest), into *ret, a NULL-terminated
 * vector of the caller's, or NULL for an empty list. v may be NULL. */
int wire_strv(const json_t *v, const char *field, size_t most, size_t longest, char ***ret,
	struct err *err) _must_use_;
/* Sets a list of strings; an empty one sets nothing. */
void wire_put_strv(json_t *obj, const char *field, char *const *v);
void wire_put(json_t *obj, const char *field, json_t *v); /* takes v over */
