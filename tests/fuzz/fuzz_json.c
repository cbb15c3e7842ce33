/* A message from anywhere: parsed, read by a table, written and read again. */
#include <string.h>

#include "base/json.h"
#include "fuzz.h"

struct thing {
	char *name;
	uint64_t size;
	uint32_t id;
	bool on;
	json_t *extra;
};

static const struct json_field fields[] = {
	JSON_STR(struct thing, name, "name", JSON_REQUIRED, 8),
	JSON_U64(struct thing, size, "size", 0, 10, 1000),
	JSON_U32(struct thing, id, "id", 0, 0, UINT64_MAX),
	JSON_BOOL(struct thing, on, "on", 0),
	JSON_ANY(struct thing, extra, "extra", 0),
	JSON_END,
};

static void read_it(const json_t *v, unsigned flags)
{
	struct thing t = {.size = 10};
	struct err err = ERR_INIT;
	int r = json_read(v, fields, flags, &t, &err);

	fuzz_must(r == 0 || (r < 0 && err.code == ERR_INVALID && err.text[0]));
	fuzz_must(!strpbrk(err.text, "\n\033"));
	fuzz_must(r < 0 || (t.name && strlen(t.name) <= 8));
	fuzz_must(t.size >= 10 && t.size <= 1000);
	free(t.name);
	json_decref(t.extra);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	_cleanup_json_ json_t *v = NULL, *again = NULL;
	_cleanup_free_ char *text = NULL;
	struct err err = ERR_INIT;

	if (json_parse((const char *)data, n, 65536, &v, &err) < 0) {
		fuzz_must(!v && err.code == ERR_INVALID && err.text[0]);
		return 0;
	}
	read_it(v, 0);
	read_it(v, JSON_LOOSE);
	text = json_text(v);
	fuzz_must(!strchr(text, '\n'));
	fuzz_must(json_parse(text, strlen(text), SIZE_MAX, &again, &err) == 0);
	fuzz_must(json_equal(v, again));
	return 0;
}
