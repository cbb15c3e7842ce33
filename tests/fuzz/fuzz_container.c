/* A container as a peer describes it: what is taken must survive the way out and in again. */
#include <string.h>

#include "base/json.h"
#include "fuzz.h"
#include "model/container.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	_cleanup_json_ json_t *v = NULL, *out = NULL, *again_out = NULL;
	_cleanup_(container_freep) struct container *c = NULL, *again = NULL;
	struct err err = ERR_INIT;

	if (json_parse((const char *)data, n, 1 << 20, &v, &err) < 0)
		return 0;
	if (container_from_json(v, &c, &err) < 0) {
		fuzz_must(!c && err.code != ERR_NONE && err.text[0]);
		return 0;
	}
	fuzz_must(container_name_ok(c->name));
	fuzz_must(c->volumes.n == 0 || volume_name_ok(c->volumes.v[0].name));
	for (size_t i = 0; i < c->volumes.n; i++)
		fuzz_must(c->volumes.v[i].mountpoint[0] != '/' && !c->volumes.v[i].path);
	for (size_t i = 0; i < c->options.n; i++)
		fuzz_must(!strpbrk(c->options.v[i].key, "\n= ") &&
			  !strchr(c->options.v[i].value, '\n'));
	out = container_json(c);
	fuzz_must(container_from_json(out, &again, &err) == 0);
	again_out = container_json(again);
	fuzz_must(json_equal(out, again_out));
	return 0;
}
