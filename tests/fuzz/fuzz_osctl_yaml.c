/* The configuration in an osctl archive: any text, as both of its files. */
#include <string.h>

#include "archive/osctl_config.h"
#include "archive/yaml.h"
#include "base/attr.h"
#include "base/json.h"
#include "fuzz.h"

static void on_note(void *ctx, const char *what)
{
	(void)ctx;
	fuzz_must(!strpbrk(what, "\n\033"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	_cleanup_container_ struct container *c = NULL;
	_cleanup_json_ json_t *v = NULL, *again = NULL;
	_cleanup_free_ char *text = NULL;
	struct err err = ERR_INIT;

	if (yaml_parse((const char *)data, n, &v, &err) < 0) {
		fuzz_must(err.code != ERR_NONE && err.text[0]);
		return 0;
	}
	if (osctl_config_read("web", v, v, on_note, NULL, &c, &err) < 0)
		return 0;
	again = osctl_config_json(c, on_note, NULL);
	text = yaml_text(again);
	json_decref(v);
	v = NULL;
	fuzz_must(yaml_parse(text, strlen(text), &v, &err) >= 0);
	fuzz_must(json_equal(v, again));
	return 0;
}
