/* A container as a peer sends it: what is taken says the same when sent on, and what this node
 * would define from it has no line that reaches out. */
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "fuzz.h"
#include "model/container.h"
#include "runtime/lxc_config.h"
#include "runtime/lxc_mount.h"
#include "runtime/lxc_net.h"
#include "runtime/lxc_option.h"
#include "runtime/lxc_render.h"

static const struct lxc_place here = {.lxcpath = "/var/lib/lxc", .name = "web"};

/* What runtime_define asks before it writes. */
static bool would_define(const struct container *c)
{
	const char *reason;

	for (size_t i = 0; i < c->options.n; i++)
		if (!lxc_option_harmless(c->options.v[i].key, c->options.v[i].value, &reason))
			return false;
	for (size_t i = 0; i < c->netifs.n; i++)
		if (lxc_net_type_reason(c->netifs.v[i].type))
			return false;
	for (size_t i = 0; i < c->volumes.n; i++) {
		const char *text = c->volumes.v[i].options;
		_cleanup_strv_ char **options = str_split(text ? text : "", ",", false);

		for (size_t j = 0; options[j]; j++)
			if (!lxc_mount_option_ok(options[j]))
				return false;
	}
	return true;
}

static void check_taken(const struct container *c)
{
	fuzz_must(container_name_ok(c->name));
	for (size_t i = 0; i < c->volumes.n; i++)
		fuzz_must(volume_name_ok(c->volumes.v[i].name) && !c->volumes.v[i].path &&
			  c->volumes.v[i].mountpoint[0] != '/');
	for (size_t i = 0; i < c->options.n; i++)
		fuzz_must(!strpbrk(c->options.v[i].key, "\n= ") &&
			  !strchr(c->options.v[i].value, '\n'));
}

static void check_written(struct container *c)
{
	_cleanup_container_ struct container *again = NULL;
	_cleanup_free_ char *text = NULL;
	struct err err = ERR_INIT;

	for (size_t i = 0; i < c->volumes.n; i++)
		c->volumes.v[i].path = xasprintf("/p/web/%s", c->volumes.v[i].name);
	text = lxc_render(c);
	fuzz_must(lxc_config_parse(text, strlen(text), &here, &again, &err) == 0);
	fuzz_must(again->refused.n == 0);
	fuzz_must(again->volumes.n == c->volumes.n && again->netifs.n == c->netifs.n);
	fuzz_must(idmap_same_on_disk(&again->idmap, &c->idmap));
	fuzz_must(container_privileged(again) == container_privileged(c));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	_cleanup_container_ struct container *c = NULL, *again = NULL;
	_cleanup_json_ json_t *v = NULL, *wire = NULL, *twice = NULL;
	struct err err = ERR_INIT;

	if (json_parse((const char *)data, n, 1 << 20, &v, &err) < 0)
		return 0;
	if (container_from_json(v, &c, &err) < 0) {
		fuzz_must(!c && err.code == ERR_INVALID && err.text[0]);
		return 0;
	}
	check_taken(c);
	wire = container_json(c);
	fuzz_must(container_from_json(wire, &again, &err) == 0);
	twice = container_json(again);
	fuzz_must(json_equal(wire, twice));
	if (would_define(c))
		check_written(c);
	return 0;
}
