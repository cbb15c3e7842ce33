#include "model/wire.h"

#include <ctype.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"

bool text_ok(const char *s, size_t longest)
{
	_cleanup_free_ char *shown = NULL;
	size_t n = s ? strnlen(s, longest + 1) : 0;

	if (n == 0 || n > longest)
		return false;
	shown = str_escape(s, n);
	return strcmp(shown, s) == 0;
}

bool name_ok(const char *s, size_t longest, const char *also)
{
	size_t n = s ? strnlen(s, longest + 1) : 0;

	if (n == 0 || n > longest || !isalnum((unsigned char)s[0]) || !isascii(s[0]))
		return false;
	for (size_t i = 1; i < n; i++)
		if (!isascii(s[i]) || (!isalnum((unsigned char)s[i]) && !strchr(also, s[i])))
			return false;
	return true;
}

int wire_strv(const json_t *v, const char *field, size_t most, size_t longest, char ***ret,
	struct err *err)
{
	_cleanup_strv_ char **list = NULL;
	size_t n = json_array_size(v);

	if (v && !json_is_array(v))
		return err_set(err, ERR_INVALID, "field \"%s\" is not a list", field);
	if (n > most)
		return err_set(
			err, ERR_INVALID, "field \"%s\" has more than %zu entries", field, most);
	for (size_t i = 0; i < n; i++) {
		const json_t *item = json_array_get(v, i);
		const char *s = json_string_value(item);

		if (!s || strlen(s) != json_string_length(item) || !text_ok(s, longest))
			return err_set(err, ERR_INVALID,
				"entry %zu of field \"%s\" is not a text of 1 to %zu printable "
				"bytes",
				i + 1, field, longest);
		strv_push(&list, s);
	}
	*ret = TAKE_PTR(list);
	return 0;
}

void wire_put(json_t *obj, const char *field, json_t *v)
{
	if (!v || json_object_set_new(obj, field, v) < 0)
		abort(); /* out of memory */
}

void wire_put_strv(json_t *obj, const char *field, char *const *v)
{
	json_t *list;

	if (!v || !v[0])
		return;
	list = json_array();
	for (size_t i = 0; v[i]; i++)
		if (json_array_append_new(list, json_string(v[i])) < 0)
			abort();
	wire_put(obj, field, list);
}
