/* The text of a container's configuration: what is read from it can be sent, and what is written
 * from it reads the same. */
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "fuzz.h"
#include "runtime/lxc_config.h"
#include "runtime/lxc_option.h"
#include "runtime/lxc_render.h"

static const struct lxc_place here = {.lxcpath = "/var/lib/lxc", .name = "web"};

static void check_options(const struct container *c)
{
	const char *reason;

	for (size_t i = 0; i < c->options.n; i++)
		fuzz_must(lxc_option_harmless(c->options.v[i].key, c->options.v[i].value, &reason));
	for (size_t i = 0; i < c->refused.n; i++)
		fuzz_must(c->refused.v[i].reason && c->refused.v[i].reason[0]);
}

/* The destination's way: without paths of the source, then with its own. */
static struct container *trip(const struct container *c)
{
	_cleanup_container_ struct container *there = NULL;
	_cleanup_json_ json_t *wire = container_json(c);
	_cleanup_free_ char *text = NULL;
	struct container *again = NULL;
	struct err err = ERR_INIT;

	fuzz_must(container_from_json(wire, &there, &err) == 0);
	for (size_t i = 0; i < there->volumes.n; i++)
		there->volumes.v[i].path = xasprintf("/p/web/%s", there->volumes.v[i].name);
	text = lxc_render(there);
	fuzz_must(lxc_config_parse(text, strlen(text), &here, &again, &err) == 0);
	return again;
}

/* Without what stays behind. The order of options may change on the first trip only. */
static json_t *essence(struct container *c, bool options)
{
	json_t *v;

	option_vec_free(&c->refused);
	v = container_json(c);
	if (!options)
		json_object_del(v, "options");
	return v;
}

static void check_trips(struct container *c)
{
	_cleanup_container_ struct container *once = trip(c), *twice = trip(once);
	_cleanup_json_ json_t *a = essence(c, false), *b = essence(once, false);
	_cleanup_json_ json_t *b_all = essence(once, true), *c_all = essence(twice, true);

	fuzz_must(json_equal(a, b));
	fuzz_must(c->options.n == once->options.n);
	fuzz_must(json_equal(b_all, c_all));
}

static void check_guard(const char *text, size_t n)
{
	size_t on_n, off_n, plain_n;
	_cleanup_free_ char *on = lxc_render_guard(text, n, true, &on_n);
	_cleanup_free_ char *off = lxc_render_guard(on, on_n, false, &off_n);
	_cleanup_free_ char *plain = lxc_render_guard(text, n, false, &plain_n);

	fuzz_must(on_n > plain_n);
	fuzz_must(off_n == plain_n && memcmp(off, plain, off_n) == 0);
	fuzz_must(plain_n < n || memcmp(plain, text, n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	_cleanup_container_ struct container *c = NULL;
	struct err err = ERR_INIT;

	check_guard((const char *)data, n);
	if (lxc_config_parse((const char *)data, n, &here, &c, &err) < 0) {
		fuzz_must(!c && err.code == ERR_INVALID);
		return 0;
	}
	fuzz_must(c->volumes.n >= 1);
	check_options(c);
	check_trips(c);
	return 0;
}
