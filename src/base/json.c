#include "base/json.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"

#define DEPTH_MAX 64 /* nothing of ours is deeper; jansson itself would recurse 2048 times */

static bool too_deep(const char *text, size_t n)
{
	bool in_string = false;
	int depth = 0;

	for (size_t i = 0; i < n; i++) {
		char c = text[i];

		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
		} else if (c == '"') {
			in_string = true;
		} else if (c == '{' || c == '[') {
			if (++depth > DEPTH_MAX)
				return true;
		} else if (c == '}' || c == ']') {
			depth--;
		}
	}
	return false;
}

int json_parse(const char *text, size_t n, size_t max, json_t **ret, struct err *err)
{
	json_error_t why;
	json_t *v;

	if (n > max)
		return err_set(
			err, ERR_INVALID, "JSON of %zu bytes is longer than %zu bytes", n, max);
	if (too_deep(text, n))
		return err_set(err, ERR_INVALID, "JSON nested deeper than %d levels", DEPTH_MAX);
	v = json_loadb(text, n, JSON_REJECT_DUPLICATES, &why);
	if (!v)
		return err_set(err, ERR_INVALID, "bad JSON in line %d: %s", why.line, why.text);
	*ret = v;
	return 0;
}

char *json_text(const json_t *v)
{
	char *s = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);

	if (!s)
		abort();
	return s;
}

static int refuse(struct err *err, const struct json_field *f, const char *what)
{
	return err_set(err, ERR_INVALID, "field \"%s\" %s", f->name, what);
}

static int read_str(const json_t *v, const struct json_field *f, char **out, struct err *err)
{
	const char *s = json_string_value(v);
	size_t n = json_string_length(v);

	if (!s)
		return refuse(err, f, "is not a string");
	if (n > f->max)
		return err_set(err, ERR_INVALID, "field \"%s\" is longer than %llu bytes", f->name,
			(unsigned long long)f->max);
	if (strlen(s) != n)
		return refuse(err, f, "contains a NUL");
	free(*out);
	*out = xstrdup(s);
	return 0;
}

static int read_number(const json_t *v, const struct json_field *f, uint64_t *out, struct err *err)
{
	json_int_t i = json_integer_value(v);

	if (!json_is_integer(v))
		return refuse(err, f, "is not a whole number");
	if (i < 0 || (uint64_t)i < f->min || (uint64_t)i > f->max)
		return err_set(err, ERR_INVALID, "field \"%s\" is %lld, not from %llu to %llu",
			f->name, (long long)i, (unsigned long long)f->min,
			(unsigned long long)f->max);
	*out = (uint64_t)i;
	return 0;
}

static int read_field(json_t *v, const struct json_field *f, void *out, struct err *err)
{
	uint64_t number;
	int r;

	switch (f->kind) {
	case JSON_KIND_STR: return read_str(v, f, out, err);
	case JSON_KIND_U64: return read_number(v, f, out, err);
	case JSON_KIND_U32:
		r = read_number(v, f, &number, err);
		if (r < 0)
			return r;
		if (number > UINT32_MAX)
			return refuse(err, f, "is over 32 bits");
		*(uint32_t *)out = (uint32_t)number;
		return 0;
	case JSON_KIND_BOOL:
		if (!json_is_boolean(v))
			return refuse(err, f, "is neither true nor false");
		*(bool *)out = json_is_true(v);
		return 0;
	case JSON_KIND_ANY:
		json_decref(*(json_t **)out);
		*(json_t **)out = json_incref(v);
		return 0;
	default: return err_set(err, ERR_INTERNAL, "field \"%s\" has no kind", f->name);
	}
}

static const struct json_field *find_field(const struct json_field *fields, const char *name)
{
	for (const struct json_field *f = fields; f->name; f++)
		if (strcmp(f->name, name) == 0)
			return f;
	return NULL;
}

static int check_known(const json_t *obj, const struct json_field *fields, struct err *err)
{
	const char *name;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)obj, name,
		v) if (!find_field(fields, name)) return err_set(err, ERR_INVALID,
		"unknown field \"%.64s\"", name);
	return 0;
}

int json_read(const json_t *obj, const struct json_field *fields, unsigned flags, void *out,
	struct err *err)
{
	int r;

	if (!json_is_object(obj))
		return err_set(err, ERR_INVALID, "not a JSON object");
	if (!(flags & JSON_LOOSE)) {
		r = check_known(obj, fields, err);
		if (r < 0)
			return r;
	}
	for (const struct json_field *f = fields; f->name; f++) {
		json_t *v = json_object_get(obj, f->name);

		if (!v && !(f->flags & JSON_REQUIRED))
			continue;
		if (!v)
			return refuse(err, f, "is missing");
		r = read_field(v, f, (char *)out + f->offset, err);
		if (r < 0)
			return r;
	}
	return 0;
}

const char *json_get_str(const json_t *obj, const char *name)
{
	return json_string_value(json_object_get(obj, name));
}

uint64_t json_get_u64(const json_t *obj, const char *name, uint64_t dflt)
{
	const json_t *v = json_object_get(obj, name);

	return json_is_integer(v) && json_integer_value(v) >= 0 ? (uint64_t)json_integer_value(v)
								: dflt;
}

bool json_get_bool(const json_t *obj, const char *name, bool dflt)
{
	const json_t *v = json_object_get(obj, name);

	return json_is_boolean(v) ? json_is_true(v) : dflt;
}

static void put(json_t *obj, const char *name, json_t *v)
{
	if (!v || json_object_set_new(obj, name, v) < 0)
		abort(); /* out of memory, or obj is not an object: a bug */
}

void json_put_str(json_t *obj, const char *name, const char *value)
{
	json_t *v;

	if (!value)
		return;
	v = json_string(value);
	if (!v) { /* JSON is UTF-8; names on disk need not be */
		_cleanup_free_ char *shown = str_escape(value, strlen(value));

		v = json_string(shown);
	}
	put(obj, name, v);
}

void json_put_u64(json_t *obj, const char *name, uint64_t value)
{
	put(obj, name, json_integer((json_int_t)MIN(value, (uint64_t)INT64_MAX)));
}

void json_put_bool(json_t *obj, const char *name, bool value)
{
	put(obj, name, json_boolean(value));
}
