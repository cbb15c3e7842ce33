/* A configuration of OpenVZ: whatever it is, every line is accounted for, and what becomes of it
 * can be sent and read by LXC. The file may have a vz.conf behind a line of four dashes. */
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "convert/convert.h"
#include "convert/report.h"
#include "fuzz.h"
#include "runtime/lxc_config.h"

static const struct lxc_place here = {.lxcpath = "/var/lib/lxc", .name = "101", .unified = true};

static void check_params(const struct conversion *c)
{
	for (size_t i = 0; i < c->ve.params.n; i++) {
		const struct ve_param *p = &c->ve.params.v[i];

		fuzz_must(p->said);
		fuzz_must(p->reason || p->results);
		fuzz_must(!p->lost || p->class == VE_NONE || p->class == VE_PARTIAL);
	}
}

static void check_container(const struct conversion *c)
{
	_cleanup_container_ struct container *wire = NULL, *read = NULL;
	_cleanup_json_ json_t *v = container_json(c->ct);
	_cleanup_free_ char *text = report_lxc(c);
	struct err err = ERR_INIT;

	fuzz_must(container_from_json(v, &wire, &err) == 0);
	fuzz_must(lxc_config_parse(text, strlen(text), &here, &read, &err) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const char *text = (const char *)data, *cut = memmem(data, n, "----\n", 5);
	struct convert_source src = {text, cut ? (size_t)(cut - text) : n, NULL, 0};
	struct convert_options o = {
		.name = "101", .routed = n & 1, .unprivileged = n & 2, .cpus = 4};
	_cleanup_conversion_ struct conversion *c = NULL;
	_cleanup_free_ char *report = NULL;
	_cleanup_json_ json_t *json = NULL;
	struct err err = ERR_INIT;

	if (cut) {
		src.global = cut + 5;
		src.global_n = n - src.conf_n - 5;
	}
	if (convert_config(&src, &o, &c, &err) < 0) {
		fuzz_must(!c && err.code == ERR_INVALID);
		return 0;
	}
	check_params(c);
	check_container(c);
	report = report_text(c);
	json = report_json(c);
	fuzz_must(strstr(report, "Consumed config items:") == report && json);
	return 0;
}
