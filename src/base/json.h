/*
 * JSON: jansson is our value type; these read objects by a table of fields, so that every message
 * is checked the same way: wrong type, missing field, too long, out of range. Unknown fields are
 * refused unless loose.
 *
 *	static const struct json_field fields[] = {
 *		JSON_STR(struct hello, version, "version", JSON_REQUIRED, 64),
 *		JSON_U64(struct hello, epoch, "epoch", 0, 0, UINT64_MAX >> 1),
 *		JSON_END
 *	};
 *	r = json_read(obj, fields, 0, &hello, &err);
 *
 * Strings are copied: the free function of the struct releases them.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define JSON_REQUIRED 1u
#define JSON_LOOSE    1u /* for json_read: unknown fields are ignored */

enum json_kind {
	JSON_KIND_END,
	JSON_KIND_STR,
	JSON_KIND_U64,
	JSON_KIND_U32,
	JSON_KIND_BOOL,
	JSON_KIND_ANY
};

struct json_field {
	const char *name;
	enum json_kind kind;
	unsigned flags;
	size_t offset;
	uint64_t min, max; /* of a number; max of a string: its longest length in bytes */
};

/* clang-format off */
#define JSON_STR(t, m, n, f, longest) {n, JSON_KIND_STR, f, offsetof(t, m), 0, longest}
#define JSON_U64(t, m, n, f, lo, hi)  {n, JSON_KIND_U64, f, offsetof(t, m), lo, hi}
#define JSON_U32(t, m, n, f, lo, hi)  {n, JSON_KIND_U32, f, offsetof(t, m), lo, hi}
#define JSON_BOOL(t, m, n, f)	      {n, JSON_KIND_BOOL, f, offsetof(t, m), 0, 0}
#define JSON_ANY(t, m, n, f)	      {n, JSON_KIND_ANY, f, offsetof(t, m), 0, 0} /* json_t *, new reference */
#define JSON_END		      {NULL, JSON_KIND_END, 0, 0, 0, 0}
/* clang-format on */

/* Strict parse of n bytes, at most max: an object or array, no duplicate keys, no trailing text, 64
 * levels. Bad text is -ERR_INVALID. */
int json_parse(const char *text, size_t n, size_t max, json_t **ret, struct err *err) _must_use_;
char *json_text(const json_t *v); /* compact, one line */
/* out must be zeroed (or carry defaults): absent optional fields are left alone. On failure, free
 * out as usual. */
int json_read(const json_t *obj, const struct json_field *fields, unsigned flags, void *out,
	struct err *err) _must_use_;

/* Shorthands for loose reading of our own stored values; NULL / dflt where absent or of another
 * type. */
const char *json_get_str(const json_t *obj, const char *name);
uint64_t json_get_u64(const json_t *obj, const char *name, uint64_t dflt);
bool json_get_bool(const json_t *obj, const char *name, bool dflt);

/* Setting: value NULL sets nothing; a string that is not UTF-8 is set escaped (str_escape), a
 * number over 2^63-1, which JSON cannot say here, as 2^63-1. */
void json_put_str(json_t *obj, const char *name, const char *value);
void json_put_u64(json_t *obj, const char *name, uint64_t value);
void json_put_bool(json_t *obj, const char *name, bool value);

#define _cleanup_json_ _cleanup_(json_decrefp)
