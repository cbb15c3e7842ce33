#include "archive/yaml.h"

#include <ctype.h>
#include <string.h>
#include <yaml.h>

#include "base/alloc.h"
#include "base/json.h"
#include "base/num.h"
#include "base/str.h"

#define DEPTH_MAX  32
#define VALUES_MAX 20000

struct reading {
	yaml_parser_t p;
	size_t values;
	struct err *err;
};

static int bad(struct reading *y, const char *what)
{
	return err_set(y->err, ERR_INVALID, "line %zu: %s", y->p.mark.line + 1, what);
}

static int next(struct reading *y, yaml_event_t *ev)
{
	if (!yaml_parser_parse(&y->p, ev))
		return bad(y, y->p.problem ? y->p.problem : "not YAML");
	if (++y->values > VALUES_MAX)
		return bad(y, "too long");
	return 0;
}

static json_t *plain(const char *s, size_t n)
{
	struct err ignored = ERR_INIT;
	uint64_t v;

	if (n == 0 || str_eq(s, "~") || str_eq(s, "null") || str_eq(s, "Null"))
		return json_null();
	if (str_eq(s, "true") || str_eq(s, "false"))
		return json_boolean(str_eq(s, "true"));
	if (num_u64(s, INT64_MAX, &v, &ignored) >= 0)
		return json_integer((json_int_t)v);
	return json_stringn(s, n);
}

static int scalar(struct reading *y, const yaml_event_t *ev, json_t **ret)
{
	const char *s = (const char *)ev->data.scalar.value;
	size_t n = ev->data.scalar.length;

	if (strlen(s) != n)
		return bad(y, "text with a zero byte");
	*ret = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE ? plain(s, n) : json_stringn(s, n);
	return *ret ? 0 : bad(y, "text that is not UTF-8");
}

static int value(struct reading *y, const yaml_event_t *ev, unsigned depth, json_t **ret);

static int sequence(struct reading *y, unsigned depth, json_t **ret)
{
	json_t *a = json_array();
	int r = 0;

	while (r >= 0) {
		yaml_event_t ev;
		json_t *v = NULL;
		bool end;

		r = next(y, &ev);
		if (r < 0)
			break;
		end = ev.type == YAML_SEQUENCE_END_EVENT;
		if (!end)
			r = value(y, &ev, depth, &v);
		yaml_event_delete(&ev);
		if (end) {
			*ret = a;
			return 0;
		}
		if (r >= 0)
			json_array_append_new(a, v);
	}
	json_decref(a);
	return r;
}

static int pair(struct reading *y, const yaml_event_t *key, unsigned depth, json_t *o)
{
	const char *name = (const char *)key->data.scalar.value;
	yaml_event_t ev;
	json_t *v = NULL;
	int r;

	if (key->type != YAML_SCALAR_EVENT || strlen(name) != key->data.scalar.length)
		return bad(y, "a key that is no text");
	if (json_object_get(o, name))
		return bad(y, "a key twice");
	r = next(y, &ev);
	if (r < 0)
		return r;
	r = value(y, &ev, depth, &v);
	yaml_event_delete(&ev);
	if (r >= 0 && json_object_set_new(o, name, v) < 0)
		r = bad(y, "a key that is not UTF-8");
	return r;
}

static int mapping(struct reading *y, unsigned depth, json_t **ret)
{
	json_t *o = json_object();
	int r = 0;

	while (r >= 0) {
		yaml_event_t ev;
		bool end;

		r = next(y, &ev);
		if (r < 0)
			break;
		end = ev.type == YAML_MAPPING_END_EVENT;
		if (!end)
			r = pair(y, &ev, depth, o);
		yaml_event_delete(&ev);
		if (end) {
			*ret = o;
			return 0;
		}
	}
	json_decref(o);
	return r;
}

static int value(struct reading *y, const yaml_event_t *ev, unsigned depth, json_t **ret)
{
	if (depth == DEPTH_MAX)
		return bad(y, "too deep");
	switch (ev->type) {
	case YAML_SCALAR_EVENT: return scalar(y, ev, ret);
	case YAML_SEQUENCE_START_EVENT: return sequence(y, depth + 1, ret);
	case YAML_MAPPING_START_EVENT: return mapping(y, depth + 1, ret);
	case YAML_ALIAS_EVENT: return bad(y, "an alias, which is not read");
	default: return bad(y, "not a value");
	}
}

static int document(struct reading *y, json_t **ret)
{
	static const yaml_event_type_t head[] = {
		YAML_STREAM_START_EVENT, YAML_DOCUMENT_START_EVENT};
	json_t *v = NULL;
	yaml_event_t ev;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(head); i++) {
		r = next(y, &ev);
		if (r < 0)
			return r;
		if (ev.type != head[i])
			r = bad(y, "it is empty");
		yaml_event_delete(&ev);
	}
	if (r >= 0)
		r = next(y, &ev);
	if (r < 0)
		return r;
	r = value(y, &ev, 0, &v);
	yaml_event_delete(&ev);
	if (r >= 0)
		*ret = v;
	return r;
}

int yaml_parse(const char *text, size_t n, json_t **ret, struct err *err)
{
	struct reading y = {.err = err};
	int r;

	if (n > YAML_TEXT_MAX)
		return err_set(err, ERR_INVALID, "longer than %u bytes", YAML_TEXT_MAX);
	if (!yaml_parser_initialize(&y.p))
		abort();
	yaml_parser_set_input_string(&y.p, (const unsigned char *)text, n);
	r = document(&y, ret);
	yaml_parser_delete(&y.p);
	return r;
}

/* Writing: JSON's own quoting is YAML's too. */

static void put(struct str *s, const json_t *v, unsigned indent, bool in_list);

static void put_indent(struct str *s, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		str_add(s, "  ");
}

static void put_inline(struct str *s, const json_t *v)
{
	char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);

	str_addf(s, " %s\n", text);
	free(text);
}

static bool is_block(const json_t *v)
{
	return (json_is_object(v) && json_object_size(v)) ||
	       (json_is_array(v) && json_array_size(v));
}

static void put_after(struct str *s, const json_t *v, unsigned indent)
{
	if (!is_block(v)) {
		put_inline(s, v);
		return;
	}
	str_addc(s, '\n');
	put(s, v, indent, false);
}

static void put(struct str *s, const json_t *v, unsigned indent, bool in_list)
{
	const char *key;
	const json_t *item;
	size_t i;

	if (json_is_array(v)) {
		json_array_foreach(v, i, item)
		{
			put_indent(s, indent);
			str_addc(s, '-');
			if (json_is_object(item) && json_object_size(item)) {
				str_addc(s, ' ');
				put(s, item, indent + 1, true);
			} else {
				put_after(s, item, indent + 1);
			}
		}
		return;
	}
	json_object_foreach((json_t *)(uintptr_t)v, key, item)
	{
		if (!in_list)
			put_indent(s, indent);
		in_list = false;
		str_addf(s, "%s:", key);
		put_after(s, item, indent + 1);
	}
}

char *yaml_text(const json_t *v)
{
	struct str s = STR_INIT;

	str_add(&s, "---\n");
	put(&s, v, 0, false);
	return str_take(&s);
}
