#include "unit.h"

#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "runtime/lxc_config.h"
#include "runtime/lxc_render.h"

/* lxc/NAME.conf is read as LXC would, and must give the model of lxc/NAME.json. */
static const char *const golden[] = {"busybox", "debian", "userns", "lxc2", "network", "nasty"};

static const struct lxc_place here = {.lxcpath = "/var/lib/lxc", .name = "web"};
static const struct lxc_place here_v2 = {.lxcpath = "/var/lib/lxc", .name = "web", .unified = true};

static char *read_file(const char *name, const char *suffix)
{
	_cleanup_free_ char *path = xasprintf("%s/lxc/%s.%s", TEST_DATA, name, suffix);
	struct err err = ERR_INIT;
	char *text = NULL;

	assert_ok(file_read(path, 1 << 20, &text, NULL, &err), &err);
	return text;
}

static struct container *parse_at(const char *text, const struct lxc_place *place)
{
	struct container *c = NULL;
	struct err err = ERR_INIT;

	assert_ok(lxc_config_parse(text, strlen(text), place, &c, &err), &err);
	return c;
}

static struct container *parse(const char *text)
{
	return parse_at(text, &here);
}

static void assert_same(const char *row, const json_t *got, const json_t *want)
{
	_cleanup_free_ char *text = json_text(got);

	if (!json_equal(got, want))
		fail_msg("row \"%s\": %s", row, text);
}

static void test_golden(void **state)
{
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(golden); i++) {
		_cleanup_free_ char *text = read_file(golden[i], "conf");
		_cleanup_free_ char *expected = read_file(golden[i], "json");
		_cleanup_container_ struct container *c = parse(text);
		_cleanup_json_ json_t *got = container_json(c), *want = NULL;

		assert_ok(json_parse(expected, strlen(expected), 1 << 20, &want, &err), &err);
		assert_same(golden[i], got, want);
	}
}

/* What a destination does: model over the wire, paths of its own, text, and what LXC would read
 * then is the same container. */
static void test_round_trip(void **state)
{
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(golden); i++) {
		_cleanup_free_ char *text = read_file(golden[i], "conf"), *rendered = NULL;
		_cleanup_container_ struct container *c = parse(text), *there = NULL, *again = NULL;
		_cleanup_json_ json_t *wire = container_json(c), *back = NULL, *twice = NULL;

		assert_ok(container_from_json(wire, &there, &err), &err);
		for (size_t j = 0; j < there->volumes.n; j++)
			there->volumes.v[j].path = xasprintf(
				"/srv/b pool/web/%s", there->volumes.v[j].name);
		option_vec_free(&there->refused);
		back = container_json(there);
		rendered = lxc_render(there);
		again = parse(rendered);
		option_vec_free(&again->refused); /* a "phys" interface is noted again */
		twice = container_json(again);
		assert_same(golden[i], twice, back);
		for (size_t j = 0; j < there->volumes.n; j++)
			assert_string_equal(again->volumes.v[j].path, there->volumes.v[j].path);
	}
}

static void test_syntax(void **state)
{
	static const struct {
		const char *text, *hostname; /* NULL: is nobody's line */
	} rows[] = {
		{"lxc.uts.name=a", "a"},
		{" \tlxc.uts.name \t=\t a \t", "a"},
		{"lxc.uts.name = a\rlxc.arch = x", "a"},
		{"lxc.uts.name = \"a\"", "a"},
		{"lxc.uts.name = 'a'", "a"},
		{"lxc.uts.name = a\nlxc.uts.name = b", "b"},
		{"lxc.uts.name = a\nlxc.uts.name =", NULL},
		{"lxc.uts.name = \"a'", NULL},
		{"#lxc.uts.name = a", NULL},
		{" # lxc.uts.name = a", NULL},
		{"LXC.uts.name = a", NULL},
		{"uts.name = a", NULL},
		{"", NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_container_ struct container *c = parse(rows[i].text);

		assert_row(str_eq(c->hostname, rows[i].hostname), rows[i].text);
	}
}

static void test_ignored(void **state)
{
	_cleanup_container_ struct container *c = parse(
		"# a comment\n\n \t\nnonsense\nlxc.uts.name = a\n  xc.cap.drop = sys_time\n");
	_cleanup_(str_done) struct str many = STR_INIT;

	assert_int_equal(strv_len(c->ignored), 2);
	assert_string_equal(c->ignored[0], "line 4 (nonsense)");
	assert_string_equal(c->ignored[1], "line 6 (xc.cap.drop = sys_time)");
	for (unsigned i = 0; i < 1000; i++)
		str_add(&many, "x\n");
	container_free(c);
	c = parse(many.buf);
	assert_int_equal(strv_len(c->ignored), CONTAINER_IGNORED_MAX);
}

static void test_broken(void **state)
{
	static const char *const rows[] = {"lxc.uts.name", "lxc.x\n", "lxc.idmap = u 0 100000",
		"lxc.idmap = u 0 100000 65536\nlxc.idmap = u 5 300000 1"};
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct container *c = NULL;

		assert_row(
			lxc_config_parse(rows[i], strlen(rows[i]), &here, &c, &err) == -ERR_INVALID,
			rows[i]);
		assert_row(!c && strstr(err.text, "line "), rows[i]);
		err_clear(&err);
	}
}

static void test_too_long(void **state)
{
	_cleanup_(str_done) struct str s = STR_INIT;
	struct container *c = NULL;
	struct err err = ERR_INIT;

	for (int i = 0; i <= CONTAINER_OPTIONS_MAX; i++)
		str_add(&s, "lxc.group = a\n");
	assert_fails(lxc_config_parse(s.buf, s.len, &here, &c, &err), ERR_INVALID, &err);
	while (s.len <= LXC_CONFIG_MAX)
		str_add(&s, "# a\n");
	assert_fails(lxc_config_parse(s.buf, s.len, &here, &c, &err), ERR_INVALID, &err);
	assert_null(c);
}

/* Both versions are read; the one that this node runs is in force. */
static void test_limits(void **state)
{
	static const struct {
		const char *text;
		uint64_t memory, swap, quota, period, weight, pids, memory_v2;
	} rows[] = {
#define NO LIMIT_NONE
		{"", NO, NO, NO, NO, NO, NO, NO},
		{"lxc.cgroup.memory.limit_in_bytes = -1", NO, NO, NO, NO, NO, NO, NO},
		{"lxc.cgroup2.memory.max = max", NO, NO, NO, NO, NO, NO, NO},
		{"lxc.cgroup.memory.limit_in_bytes = 9223372036854771712", NO, NO, NO, NO, NO, NO,
			NO},
		{"lxc.cgroup.memory.limit_in_bytes = 1G\nlxc.cgroup2.memory.max = 2G", 1 << 30, NO,
			NO, NO, NO, NO, UINT64_C(2) << 30},
		{"lxc.cgroup2.memory.max = 2G", UINT64_C(2) << 30, NO, NO, NO, NO, NO,
			UINT64_C(2) << 30},
		{"lxc.cgroup2.memory.max = 2G\nlxc.cgroup2.memory.max =", NO, NO, NO, NO, NO, NO,
			NO},
		{"lxc.cgroup.memory.limit_in_bytes = 1M\nlxc.cgroup.memory.memsw.limit_in_bytes = "
		 "1M",
			1 << 20, 0, NO, NO, NO, NO, 1 << 20},
		{"lxc.cgroup2.memory.swap.max = 0", NO, 0, NO, NO, NO, NO, NO},
		{"lxc.cgroup.cpu.cfs_quota_us = 5000", NO, NO, 5000, 100000, NO, NO, NO},
		{"lxc.cgroup.cpu.cfs_period_us = 5000", NO, NO, NO, NO, NO, NO, NO},
		{"lxc.cgroup2.cpu.max = 5000 20000", NO, NO, 5000, 20000, NO, NO, NO},
		{"lxc.cgroup2.cpu.max = max 20000", NO, NO, NO, NO, NO, NO, NO},
		{"lxc.cgroup.cpu.shares = 1024", NO, NO, NO, NO, 100, NO, NO},
		{"lxc.cgroup.cpu.shares = 2", NO, NO, NO, NO, 1, NO, NO},
		{"lxc.cgroup.cpu.shares = 262144", NO, NO, NO, NO, 10000, NO, NO},
		{"lxc.cgroup2.cpu.weight = 7\nlxc.cgroup2.pids.max = 9", NO, NO, NO, NO, 7, 9, NO},
#undef NO
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_container_ struct container *c = parse(rows[i].text);
		_cleanup_container_ struct container *v2 = parse_at(rows[i].text, &here_v2);
		const struct limits *l = &c->limits;

		assert_row(l->memory == rows[i].memory && l->swap == rows[i].swap, rows[i].text);
		assert_row(l->cpu_quota == rows[i].quota && l->cpu_period == rows[i].period,
			rows[i].text);
		assert_row(
			l->cpu_weight == rows[i].weight && l->pids == rows[i].pids, rows[i].text);
		assert_row(v2->limits.memory == rows[i].memory_v2, rows[i].text);
	}
}

/* A weight survives any number of trips, whichever version is read on the way. */
static void test_weights(void **state)
{
	for (unsigned weight = 1; weight <= 10000; weight += weight < 300 ? 1 : 97) {
		_cleanup_container_ struct container *c = container_new("web"), *again = NULL;
		_cleanup_free_ char *text = NULL;
		char *line;

		volume_add(c, "rootfs", "", "/x", NULL);
		c->limits.cpu_weight = weight;
		text = lxc_render(c);
		line = strstr(text, "lxc.cgroup2.cpu.weight");
		assert_non_null(line);
		line[0] = '#';
		again = parse(text);
		assert_int_equal(again->limits.cpu_weight, weight);
	}
}

static void test_volumes(void **state)
{
	static const struct {
		const char *entry, *name, *mountpoint, *options; /* NULL name: refused */
	} rows[] = {
		{"/var/lib/lxc/web/data srv/data none bind 0 0", "srv-data", "srv/data", NULL},
		{"/p/web/a\\040b srv/My\\040Data/ none bind,ro", "srv-my-data", "srv/My Data",
			"ro"},
		{"/p/web/data //srv//data none bind,create=dir,optional", NULL, NULL, NULL},
		{"/p/web/data /p/web/rootfs/srv none bind", "srv", "srv", NULL},
		{"/p/web/data config none bind", "volume", "config", NULL},
		{"/p/web/data rootfs none bind", "rootfs-2", "rootfs", NULL},
		{"/p/web/data _._ none bind", "volume", "_._", NULL},
		{"/p/web/data a/very/long/path/that/does/not/fit/into/a/name none bind",
			"a-very-long-path-that-does-n",
			"a/very/long/path/that/does/not/fit/into/a/name", NULL},
		{"/p/web/rootfs srv none bind", NULL, NULL, NULL},
		{"/p/web/rootfs/etc srv none bind", NULL, NULL, NULL},
		{"/p/web/../db/data srv none bind", NULL, NULL, NULL},
		{"/p/db/data srv none bind", NULL, NULL, NULL},
		{"/p/web2/data srv none bind", NULL, NULL, NULL},
		{"/p/web srv none bind", NULL, NULL, NULL},
		{"/p/web/data srv/../.. none bind", NULL, NULL, NULL},
		{"/p/web/data srv none rbind", NULL, NULL, NULL},
		{"/p/web/data srv none bind,create=file", NULL, NULL, NULL},
		{"/p/web/data srv none bind,rshared", NULL, NULL, NULL},
		{"/p/web/data srv none bind,idmap=/proc/1/ns/user", NULL, NULL, NULL},
		{"/p/web/data srv\\012x none bind", NULL, NULL, NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *text = xasprintf(
			"lxc.mount.entry = %s\nlxc.rootfs.path = dir:/p/web/rootfs", rows[i].entry);
		_cleanup_container_ struct container *c = parse(text);

		assert_row(c->options.n == 0, rows[i].entry);
		assert_row(c->refused.n == !rows[i].name, rows[i].entry);
		assert_row(c->volumes.n == 1 + !!rows[i].name, rows[i].entry);
		if (!rows[i].name)
			continue;
		assert_string_equal(c->volumes.v[1].name, rows[i].name);
		assert_string_equal(c->volumes.v[1].mountpoint, rows[i].mountpoint);
		assert_row(str_eq(c->volumes.v[1].options, rows[i].options), rows[i].entry);
	}
}

/* Beside a root that lies in nobody's folder in particular, there may be anything. */
static void test_foreign_folder(void **state)
{
	_cleanup_container_ struct container *c = parse(
		"lxc.rootfs.path = /srv/rootfs\nlxc.mount.entry = /srv/db srv none bind\n");

	assert_int_equal(c->volumes.n, 1);
	assert_int_equal(c->refused.n, 1);
}

/* A volume's ids must be mapped like the root's, and no file may travel twice. */
static void test_volumes_together(void **state)
{
	static const char map[] = "lxc.rootfs.path = /p/web/rootfs\nlxc.idmap = u 0 100000 65536\n"
				  "lxc.rootfs.options = idmap=container\n";
	static const struct {
		const char *entry;
		size_t volumes;
	} rows[] = {
		{"lxc.mount.entry = /p/web/a a none bind,idmap=container\n", 2},
		{"lxc.mount.entry = /p/web/a a none bind\n", 1},
		{"lxc.mount.entry = /p/web/a a none bind,idmap=container\n"
		 "lxc.mount.entry = /p/web/a b none bind,idmap=container\n",
			2},
		{"lxc.mount.entry = /p/web/a a none bind,idmap=container\n"
		 "lxc.mount.entry = /p/web/a/b b none bind,idmap=container\n",
			2},
		{"lxc.mount.entry = /p/web/a a none bind,idmap=container\n"
		 "lxc.mount.entry = /p/web/b a none bind,idmap=container\n",
			2},
		{"lxc.mount.entry = /p/web/a s/A none bind,idmap=container\n"
		 "lxc.mount.entry = /p/web/b s/a none bind,idmap=container\n"
		 "lxc.mount.entry = /p/web/c s-a none bind,idmap=container\n",
			4},
		{"lxc.mount.entry = /p/web/a a none bind,idmap=container\nlxc.mount.entry =\n", 1},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *text = xasprintf("%s%s", map, rows[i].entry);
		_cleanup_container_ struct container *c = parse(text);

		assert_row(c->volumes.n == rows[i].volumes, rows[i].entry);
		assert_row(c->idmap.unshifted, rows[i].entry);
	}
}

/* What is mounted over the place of a volume comes before it. */
static void test_order_of_mounts(void **state)
{
	_cleanup_container_ struct container *c = container_new("web");
	_cleanup_free_ char *text = NULL;
	const char *below, *volume, *above;

	volume_add(c, "rootfs", "", "/p:q/web/rootfs", NULL);
	volume_add(c, "data", "run/data", "/p/web/data", NULL);
	option_add(&c->options, "lxc.mount.entry", "tmpfs run/data/tmp tmpfs rw 0 0", NULL);
	option_add(&c->options, "lxc.mount.entry", "tmpfs run tmpfs rw 0 0", NULL);
	text = lxc_render(c);
	below = strstr(text, "tmpfs run tmpfs");
	volume = strstr(text, "/p/web/data run/data");
	above = strstr(text, "tmpfs run/data/tmp");
	assert_true(below && volume && above && below < volume && volume < above);
	assert_has(text, "lxc.rootfs.path = dir:/p:q/web/rootfs\n");
}

#define GUARD LXC_GUARD_KEY " = " LXC_GUARD_PROGRAM

static void test_guard(void **state)
{
	static const struct {
		const char *text, *on;
	} rows[] = {
		{"", GUARD "\n"},
		{"a", "a\n" GUARD},
		{"a\n", "a\n" GUARD "\n"},
		{"\r\n# x\n\n lxc.hook =\n\n", "\r\n# x\n\n lxc.hook =\n\n" GUARD "\n"},
		{LXC_GUARD_KEY " = /bin/true", LXC_GUARD_KEY " = /bin/true\n" GUARD},
	};
	size_t n;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *on = lxc_render_guard(
			rows[i].text, strlen(rows[i].text), true, &n);
		_cleanup_free_ char *twice = NULL, *off = NULL, *never = NULL;

		assert_string_equal(on, rows[i].on);
		assert_int_equal(n, strlen(on));
		twice = lxc_render_guard(on, strlen(on), true, &n);
		assert_string_equal(twice, rows[i].on);
		off = lxc_render_guard(on, strlen(on), false, &n);
		assert_string_equal(off, rows[i].text);
		assert_int_equal(n, strlen(rows[i].text));
		never = lxc_render_guard(off, strlen(off), false, &n);
		assert_string_equal(never, rows[i].text);
	}
}

/* Where somebody added lines after it, the guard goes to the end: a later line could clear it. */
static void test_guard_moves(void **state)
{
	static const char text[] = "a\n  " LXC_GUARD_KEY "=  " LXC_GUARD_PROGRAM " \nlxc.hook =\n";
	_cleanup_free_ char *on = NULL, *off = NULL;
	_cleanup_container_ struct container *c = NULL;
	size_t n;

	on = lxc_render_guard(text, strlen(text), true, &n);
	assert_string_equal(on, "a\nlxc.hook =\n" GUARD "\n");
	off = lxc_render_guard(on, n, false, &n);
	assert_string_equal(off, "a\nlxc.hook =\n");
	c = parse(on);
	for (size_t i = 0; i < c->refused.n; i++)
		assert_null(strstr(c->refused.v[i].key, "hook"));
}

/* What mounts a volume of its own is written again for the volume; another script is a hook. */
static void test_mounters(void **state)
{
	static const char hook[] = "lxc.hook.pre-start = /bin/sh /var/lib/lxc/web/rootfs.mount\n";
	_cleanup_free_ char *text = xasprintf(
		"lxc.rootfs.path = /var/lib/lxc/web/rootfs\n%s", hook);
	_cleanup_free_ char *other = xasprintf("lxc.rootfs.path = /srv/web/rootfs\n%s", hook);
	_cleanup_free_ char *none = xasprintf("%slxc.hook.pre-start =\n", text);
	_cleanup_container_ struct container *c = parse(text), *d = parse(other), *e = parse(none);
	_cleanup_free_ char *again = lxc_render(c);

	assert_true(c->volumes.v[0].mounted);
	assert_int_equal(c->refused.n, 0);
	assert_non_null(strstr(again, hook));
	assert_false(d->volumes.v[0].mounted);
	assert_int_equal(d->refused.n, 1);
	assert_string_equal(d->refused.v[0].key, "lxc.hook.pre-start");
	assert_false(e->volumes.v[0].mounted);
	assert_int_equal(e->refused.n, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_syntax),
		cmocka_unit_test(test_ignored),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_weights),
		cmocka_unit_test(test_volumes),
		cmocka_unit_test(test_mounters),
		cmocka_unit_test(test_foreign_folder),
		cmocka_unit_test(test_volumes_together),
		cmocka_unit_test(test_order_of_mounts),
		cmocka_unit_test(test_guard),
		cmocka_unit_test(test_guard_moves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
