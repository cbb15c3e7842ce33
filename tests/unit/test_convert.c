/*
 * Configurations of OpenVZ: how lines and values are read, and what becomes of the files in
 * tests/data/veconf.
 */
#include "unit.h"

#include <dirent.h>

#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "convert/convert.h"
#include "convert/report.h"
#include "convert/veconf.h"
#include "runtime/lxc_config.h"

static char *data_path(const char *name)
{
	return xasprintf("%s/../data/veconf/%s", TEST_DATA, name);
}

static char *read_data(const char *name, size_t *ret_n)
{
	_cleanup_free_ char *path = data_path(name);
	struct err err = ERR_INIT;
	char *text = NULL;

	assert_ok(file_read(path, VECONF_MAX, &text, ret_n, &err), &err);
	return text;
}

static void test_lines(void **state)
{
	static const struct {
		const char *text, *name, *value, *newer; /* name NULL: no line; "": a problem */
	} rows[] = {
		{"A=\"x\"", "A", "x", NULL},
		{"A=x", "A", "x", NULL},
		{"A=\"\"", "A", "", NULL},
		{"A=", "A", "", NULL},
		{" \tA=x \t", "A", "x", NULL},
		{"A=x y ", "A", "x y", NULL},
		{"A=\"x\" y", "A", "x", "\"x\" y"},
		{"A=\"x\"y\"", "A", "x\"y", NULL},
		{"A=\"x=y\"", "A", "x=y", NULL},
		{"A=\"x\" # \"y\"", "A", "x\" # \"y", "x"},
		{"A=x # y", "A", "x # y", "x"},
		{"A=x#y", "A", "x#y", NULL},
		{"A='x'", "A", "'x'", "x"},
		{"A='x", "A", "'x", NULL},
		{"A=\\$x\\\\", "A", "$x\\", NULL},
		{"A=x\\", "A", "x", NULL},
		{"A=$(x)", "A", "$(x)", NULL},
		{"A_1=x", "A_1", "x", NULL},
		{"a=x", "a", "x", NULL},
		{"A= \"x\"", "A", " \"x\"", "x"},
		{"A=\"x", "", "", NULL},
		{"A =x", "", "", NULL},
		{"1A=x", "", "", NULL},
		{"=x", "", "", NULL},
		{"A", "", "", NULL},
		{"export A=x", "", "", NULL},
		{"A=\"\x1b[2J\"", "", "", NULL},
		{"A=\"\xff\"", "", "", NULL},
		{"", NULL, NULL, NULL},
		{"   ", NULL, NULL, NULL},
		{"#A=x", NULL, NULL, NULL},
		{"  # A=x", NULL, NULL, NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(veconf_done) struct ve_line_vec v = {0};
		struct err err = ERR_INIT;

		assert_ok(veconf_parse(rows[i].text, strlen(rows[i].text), &v, &err), &err);
		assert_row(v.n == !!rows[i].name, rows[i].text);
		if (!v.n)
			continue;
		assert_row(!v.v[0].problem == !!rows[i].name[0], rows[i].text);
		if (v.v[0].problem)
			continue;
		assert_string_equal(v.v[0].name, rows[i].name);
		assert_row(str_eq(v.v[0].value, rows[i].value), rows[i].text);
		assert_row(str_eq(v.v[0].newer, rows[i].newer), rows[i].text);
	}
}

static void test_line_numbers(void **state)
{
	static const char text[] = "\n# x\nA=1\r\n\nB=2\0C=3\nD=4";
	_cleanup_(veconf_done) struct ve_line_vec v = {0};
	struct err err = ERR_INIT;

	assert_ok(veconf_parse(text, sizeof(text) - 1, &v, &err), &err);
	assert_int_equal(v.n, 3);
	assert_int_equal(v.v[0].line, 3);
	assert_string_equal(v.v[0].value, "1");
	assert_int_equal(v.v[1].line, 5);
	assert_non_null(v.v[1].problem); /* the byte 0 */
	assert_int_equal(v.v[2].line, 6);
	assert_string_equal(v.v[2].value, "4");
}

static void test_too_much(void **state)
{
	_cleanup_free_ char *lines = xmalloc(VECONF_MAX + 1);
	_cleanup_(veconf_done) struct ve_line_vec v = {0};
	struct err err = ERR_INIT;

	memset(lines, 'A', VECONF_MAX + 1);
	assert_fails(veconf_parse(lines, VECONF_MAX + 1, &v, &err), ERR_INVALID, &err);
	assert_ok(veconf_parse(lines, VECONF_MAX, &v, &err), &err);
	assert_int_equal(v.n, 1);
	assert_true(strlen(v.v[0].value) <= VECONF_LINE_MAX);
	veconf_done(&v);
	for (size_t i = 0; i < VECONF_MAX; i += 2)
		memcpy(lines + i, "A\n", 2);
	assert_fails(veconf_parse(lines, VECONF_MAX, &v, &err), ERR_INVALID, &err);
}

#define NO VE_UNLIMITED

static void test_amounts(void **state)
{
	static const struct {
		const char *text;
		enum ve_unit unit;
		bool ok;
		uint64_t barrier, limit;
	} rows[] = {
		{"0:1048576", VE_PAGES, true, 0, 1048576},
		{"0:1G", VE_PAGES, true, 0, 262144},
		{"32g", VE_PAGES, true, 8388608, 8388608},
		{"4096B", VE_PAGES, true, 1, 1},
		{"3P", VE_PAGES, true, 3, 3},
		{"3P", VE_BYTES, true, 12288, 12288},
		{"2G:2.2G", VE_KIB, true, 2097152, 2306867},
		{"1T", VE_KIB, true, 1073741824, 1073741824},
		{"2000000.9", VE_BYTES, true, 2000000, 2000000},
		{"1.", VE_BYTES, true, 1, 1},
		{"200K", VE_INODES, true, 204800, 204800},
		{"2147483647", VE_PAGES, true, NO, NO},
		{"2147483647", VE_COUNT, true, NO, NO},
		{"2147483647", VE_KIB, true, 2147483647, 2147483647},
		{"9223372036854775807", VE_COUNT, true, NO, NO},
		{"4611686018427387903", VE_BYTES, true, NO, NO},
		{"999999999999999999", VE_BYTES, true, NO, NO},
		{"99999999999999999999999", VE_BYTES, false, 0, 0},
		{"18446744073709551616", VE_COUNT, false, 0, 0},
		{"9999999P", VE_BYTES, true, 40959995904, 40959995904},
		{"99999999999T", VE_BYTES, false, 0, 0},
		{"unlimited", VE_KIB, true, NO, NO},
		{"5:unlimited", VE_COUNT, true, 5, NO},
		{"unlimited:5", VE_COUNT, true, 5, 5},
		{"9:5", VE_COUNT, true, 5, 5},
		{"0:0G", VE_PAGES, true, 0, 0},
		{"5K", VE_COUNT, false, 0, 0},
		{"5P", VE_INODES, false, 0, 0},
		{"5KB", VE_BYTES, false, 0, 0},
		{"K", VE_BYTES, false, 0, 0},
		{".5G", VE_BYTES, false, 0, 0},
		{"5 ", VE_BYTES, false, 0, 0},
		{" 5", VE_BYTES, false, 0, 0},
		{"-5", VE_BYTES, false, 0, 0},
		{"+5", VE_BYTES, false, 0, 0},
		{"5:", VE_BYTES, false, 0, 0},
		{":5", VE_BYTES, false, 0, 0},
		{"5:6:7", VE_BYTES, false, 0, 0},
		{"Unlimited", VE_BYTES, false, 0, 0},
		{"", VE_BYTES, false, 0, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct ve_pair p = {0};

		assert_row(
			ve_pair_read(rows[i].text, rows[i].unit, &p) == rows[i].ok, rows[i].text);
		if (!rows[i].ok)
			continue;
		assert_row(p.barrier == rows[i].barrier, rows[i].text);
		assert_row(p.limit == rows[i].limit, rows[i].text);
	}
}

static void test_numbers(void **state)
{
	static const char *const bad[] = {"", "1.0", "1K", "-1", " 1", "99999999999999999999"};
	uint64_t v;

	assert_true(ve_number_read("500000", &v));
	assert_int_equal(v, 500000);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_row(!ve_number_read(bad[i], &v), bad[i]);
}

/* "101" of "vz7__101.conf" */
static char *name_in(const char *file)
{
	const char *base = strstr(file, "__") + 2;

	return xstrndup(base, strcspn(base, "."));
}

/* The whole account of a file, or why it is refused. */
static char *account(const char *file, const char *global_file)
{
	size_t n, m = 0;
	_cleanup_free_ char *conf = read_data(file, &n), *name = name_in(file);
	_cleanup_free_ char *global = global_file ? read_data(global_file, &m) : NULL;
	struct convert_source src = {conf, n, global, m};
	_cleanup_conversion_ struct conversion *c = NULL;
	struct convert_options o = {.name = name};
	struct err err = ERR_INIT;

	if (convert_config(&src, &o, &c, &err) < 0)
		return xasprintf("%s: %s\n", err_name(err.code), err.text);
	return report_text(c);
}

static void assert_golden(const char *name, const char *got)
{
	_cleanup_free_ char *rel = xasprintf("expected/%s.txt", name), *path = data_path(rel);
	_cleanup_free_ char *want = NULL;
	struct err err = ERR_INIT;

	if (getenv("UPDATE"))
		assert_ok(file_replace(path, got, strlen(got), 0644, &err), &err);
	want = read_data(rel, NULL);
	if (!str_eq(got, want))
		fail_msg("%s: now it is\n%s", name, got);
}

/* Calls back for every configuration in the folder. */
static void each_file(void (*fn)(const char *file))
{
	_cleanup_free_ char *path = data_path(".");
	_cleanup_closedir_ DIR *dir = opendir(path);
	struct dirent *d;
	size_t n = 0;

	assert_non_null(dir);
	while ((d = readdir(dir))) {
		if (!strstr(d->d_name, "__"))
			continue;
		fn(d->d_name);
		n++;
	}
	assert_true(n >= 28);
}

static void check_golden(const char *file)
{
	_cleanup_free_ char *got = account(file, NULL);

	assert_golden(file, got);
}

static void test_golden(void **state)
{
	_cleanup_free_ char *merged = account("vz7__ve-basic.conf-sample", "vz7__vz.conf");

	each_file(check_golden);
	assert_golden("merged", merged);
}

static struct conversion *convert(const char *text, const struct convert_options *o)
{
	struct convert_source src = {text, strlen(text), NULL, 0};
	struct conversion *c = NULL;
	struct err err = ERR_INIT;

	assert_ok(convert_config(&src, o, &c, &err), &err);
	return c;
}

/* Every line is in the report, once, with a class and a reason or a result. */
static void check_complete(const char *file)
{
	size_t n;
	_cleanup_free_ char *conf = read_data(file, &n), *name = name_in(file);
	_cleanup_(veconf_done) struct ve_line_vec lines = {0};
	_cleanup_conversion_ struct conversion *c = NULL;
	struct convert_source src = {conf, n, NULL, 0};
	struct convert_options o = {.name = name};
	struct err err = ERR_INIT;

	if (str_eq(name, "0"))
		return;
	assert_ok(veconf_parse(conf, n, &lines, &err), &err);
	assert_ok(convert_config(&src, &o, &c, &err), &err);
	assert_int_equal(lines.n, c->ve.params.n);
	for (size_t i = 0; i < lines.n; i++) {
		const struct ve_param *p = &c->ve.params.v[i];

		assert_int_equal(p->line, lines.v[i].line);
		assert_row(p->said, p->name);
		assert_row(p->reason || p->results, p->name);
	}
}

static void test_complete(void **state)
{
	each_file(check_complete);
}

/* No parameter in the table is forgotten by the nouns, whatever its value. */
static void test_every_rule_is_mapped(void **state)
{
	static const char *const values[] = {"1000", "yes", "5", "on:off", "x:on", "10.0.0.1", "/a",
		"simfs", "all", "full", "none", "web", "ifname=eth0", "unlimited", "c:1:3:rw",
		"fuse:rw"};

	for (const struct ve_rule *r = NULL; (r = ve_rule_next(r));) {
		bool any = false;

		for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
			_cleanup_free_ char *text = xasprintf("%s=\"%s\"\n", r->name, values[i]);
			_cleanup_conversion_ struct conversion *c = convert(
				text, &(struct convert_options){.name = "101"});

			assert_row(c->ve.params.v[0].said, text);
			any = any || c->ve.params.v[0].class != VE_INVALID;
		}
		assert_row(any, r->name);
	}
}

/* What goes to LXC reads back as the same container, and travels. */
static void check_lxc(const char *file)
{
	size_t n;
	_cleanup_free_ char *conf = read_data(file, &n), *text = NULL;
	_cleanup_conversion_ struct conversion *c = NULL;
	_cleanup_container_ struct container *again = NULL, *wire = NULL;
	struct convert_source src = {conf, n, NULL, 0};
	struct convert_options o = {.name = "101", .routed = true};
	struct lxc_place place = {.lxcpath = "/var/lib/lxc", .name = "101", .unified = true};
	_cleanup_json_ json_t *a = NULL, *b = NULL;
	struct err err = ERR_INIT;

	assert_ok(convert_config(&src, &o, &c, &err), &err);
	text = report_lxc(c);
	assert_ok(lxc_config_parse(text, strlen(text), &place, &again, &err), &err);
	option_vec_free(&c->ct->refused);
	assert_row(again->refused.n == 0, file);
	a = container_json(c->ct);
	assert_ok(container_from_json(a, &wire, &err), &err);
	b = container_json(again);
	/* Their order may differ: mounts come last. */
	assert_int_equal(c->ct->options.n, again->options.n);
	json_object_del(a, "options");
	json_object_del(b, "options");
	if (!json_equal(a, b)) {
		_cleanup_free_ char *x = json_text(a), *y = json_text(b);

		printf("# %s\n# %s\n", x, y);
		fail_msg("%s", file);
	}
}

static void test_lxc(void **state)
{
	each_file(check_lxc);
}

static void test_options(void **state)
{
	static const char text[] = "IP_ADDRESS=\"192.0.2.1 2001:db8::1\"\nCPULIMIT=\"50%\"\n";
	_cleanup_conversion_ struct conversion *c = convert(
		text, &(struct convert_options){.name = "web",
			      .routed = true,
			      .netif_name = "supereth0",
			      .netif_hwaddr = "00:11:22:33:44:55",
			      .cpus = 8,
			      .unprivileged = true});
	_cleanup_conversion_ struct conversion *d = convert(
		text, &(struct convert_options){.name = "101", .bridge = "bestbridge0"});
	const struct netif *n = &c->ct->netifs.v[0];

	assert_string_equal(c->ct->name, "web");
	assert_string_equal(n->name, "supereth0");
	assert_string_equal(n->hwaddr, "00:11:22:33:44:55");
	assert_string_equal(n->veth_mode, "router");
	assert_null(n->link);
	assert_string_equal(n->addresses[0], "192.0.2.1/32");
	assert_string_equal(n->addresses[1], "2001:db8::1/128");
	assert_int_equal(c->ct->limits.cpu_quota, 400000);
	assert_false(container_privileged(c->ct));
	assert_int_equal(conversion_lost(c), 0);
	assert_string_equal(d->ct->netifs.v[0].link, "bestbridge0");
	assert_string_equal(d->ct->netifs.v[0].gateways[0], "auto");
	assert_int_equal(conversion_lost(d), 1); /* 50% of how many? */
	assert_int_equal(d->ct->limits.cpu_quota, LIMIT_NONE);
}

static void test_refused(void **state)
{
	struct convert_source src = {"NUMPROC=5\n", 10, NULL, 0}, shell = {"a=1\n", 4, NULL, 0};
	struct conversion *c = NULL;
	struct err err = ERR_INIT;

	assert_fails(convert_config(&src, &(struct convert_options){.name = "0"}, &c, &err),
		ERR_INVALID, &err);
	assert_fails(convert_config(&src, &(struct convert_options){.name = "../x"}, &c, &err),
		ERR_INVALID, &err);
	assert_fails(convert_config(&shell, &(struct convert_options){.name = "101"}, &c, &err),
		ERR_INVALID, &err);
	assert_null(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_line_numbers),
		cmocka_unit_test(test_too_much),
		cmocka_unit_test(test_amounts),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_complete),
		cmocka_unit_test(test_every_rule_is_mapped),
		cmocka_unit_test(test_lxc),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
