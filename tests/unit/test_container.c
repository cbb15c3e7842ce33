#include "unit.h"

#include "base/json.h"
#include "base/str.h"
#include "model/container.h"
#include "model/wire.h"

/* A container that has all there is, and what its wire form must be. */
static const char full[] =
	"{\"name\":\"web\",\"arch\":\"amd64\",\"hostname\":\"web.example.org\","
	"\"idmap\":{\"ranges\":[\"u 0 100000 65536\",\"g 0 100000 65536\"],\"unshifted\":true},"
	"\"netifs\":[{\"type\":\"veth\",\"index\":0,\"name\":\"eth0\",\"link\":\"br0\","
	"\"veth_mode\":\"router\",\"hwaddr\":\"00:16:3e:01:02:03\",\"mtu\":1500,\"up\":true,"
	"\"addresses\":[\"10.0.0.2/24\",\"fd00::2/64\"],\"gateways\":[\"10.0.0.1\",\"auto6\"]},"
	"{\"type\":\"empty\",\"index\":7}],"
	"\"limits\":{\"memory\":536870912,\"swap\":0,\"cpu_quota\":50000,\"cpu_period\":100000,"
	"\"cpu_weight\":50,\"pids\":100,\"cpuset\":\"0-1,3\"},"
	"\"volumes\":[{\"name\":\"rootfs\",\"mountpoint\":\"\"},"
	"{\"name\":\"srv-data\",\"mountpoint\":\"srv/data\",\"options\":\"ro,nosuid\"}],"
	"\"autostart\":true,\"autostart_delay\":5,\"autostart_order\":3,"
	"\"includes\":[\"common.conf\",\"common.conf.d\"],"
	"\"options\":[{\"key\":\"lxc.tty.max\",\"value\":\"4\"},"
	"{\"key\":\"lxc.environment\",\"value\":\"\"}],"
	"\"refused\":[{\"key\":\"lxc.hook.start\",\"value\":\"/bin/x\",\"reason\":\"runs\"}],"
	"\"origin\":{\"runtime\":\"openvz\",\"systemd\":219,\"without\":[\"udev\"],"
	"\"nameservers\":[\"192.0.2.53\"],\"domains\":[\"example.org\"]}}";

static int read_text(const char *text, struct container **ret, struct err *err)
{
	_cleanup_json_ json_t *v = NULL;
	int r = json_parse(text, strlen(text), 1 << 20, &v, err);

	return r < 0 ? r : container_from_json(v, ret, err);
}

static void test_round_trip(void **state)
{
	_cleanup_container_ struct container *c = NULL, *again = NULL;
	_cleanup_json_ json_t *expected = NULL, *v = NULL;
	_cleanup_free_ char *text = NULL;
	struct err err = ERR_INIT;

	assert_ok(read_text(full, &c, &err), &err);
	v = container_json(c);
	assert_ok(json_parse(full, strlen(full), 1 << 20, &expected, &err), &err);
	text = json_text(v);
	if (!json_equal(v, expected))
		fail_msg("%s", text);
	assert_ok(read_text(text, &again, &err), &err);
	assert_string_equal(again->volumes.v[1].options, "ro,nosuid");
	assert_null(again->volumes.v[1].path);
	assert_int_equal(again->limits.swap, 0);
	assert_string_equal(container_volume(again, "srv-data")->mountpoint, "srv/data");
	assert_null(container_volume(again, "data"));
	assert_false(container_privileged(again));
}

static void test_smallest(void **state)
{
	_cleanup_container_ struct container *c = NULL;
	struct err err = ERR_INIT;

	assert_ok(read_text("{\"name\":\"a\",\"volumes\":[{\"name\":\"rootfs\",\"mountpoint\":"
			    "\"\"}]}",
			  &c, &err),
		&err);
	assert_true(c->limits.memory == LIMIT_NONE && !limits_any(&c->limits));
	assert_true(container_privileged(c));
	assert_null(c->hostname);
}

static void test_paths_stay_home(void **state)
{
	_cleanup_container_ struct container *c = container_new("web");
	_cleanup_json_ json_t *v = NULL;
	_cleanup_free_ char *text = NULL;

	volume_add(c, "rootfs", "", "/srv/secret/web/rootfs", NULL);
	v = container_json(c);
	text = json_text(v);
	assert_null(strstr(text, "secret"));
}

/* Replaces from (which must be in the text) by to. */
static char *with(const char *text, const char *from, const char *to)
{
	const char *at = strstr(text, from);
	struct str s = STR_INIT;

	if (!at)
		fail_msg("%s is not in the text", from);
	str_addn(&s, text, (size_t)(at - text));
	str_add(&s, to);
	str_add(&s, at + strlen(from));
	return str_take(&s);
}

static void test_hostile(void **state)
{
	static const struct {
		const char *from, *to;
	} rows[] = {
		{"\"name\":\"web\"", "\"name\":\"../web\""},
		{"\"name\":\"web\"", "\"name\":\"-web\""},
		{"\"name\":\"web\"", "\"name\":\"\""},
		{"\"name\":\"web\"", "\"name\":\"we\\u0000b\""},
		{"\"name\":\"web\"", "\"name\":7"},
		{"\"name\":\"web\"", "\"nom\":\"web\""},
		{"amd64", "../amd"},
		{"web.example.org", "web\\nlxc.hook.start = /bin/x"},
		{"web.example.org", "web example"},
		{"\"u 0 100000 65536\"", "\"u 0 100000 99999999999\""},
		{"\"type\":\"veth\"", "\"type\":\"tap\""},
		{"\"index\":7", "\"index\":0"},
		{"\"index\":7", "\"index\":-1"},
		{"\"index\":7", "\"index\":65536"},
		{"\"eth0\"", "\"eth0/../x\""},
		{"\"eth0\"", "\"..\""},
		{"\"eth0\"", "\"eth0 eth1\""},
		{"\"eth0\"", "\"abcdefghijklmnop\""},
		{"\"br0\"", "\"br0\\nlxc.x\""},
		{"\"router\"", "\"vepa\""},
		{"\"type\":\"veth\"", "\"type\":\"macvlan\""},
		{"00:16:3e:01:02:03", "00:16:3e:01:02"},
		{"00:16:3e:01:02:03", "00:16:3e:01:02:0g"},
		{"00:16:3e:01:02:03", "00-16-3e-01-02-03"},
		{"1500", "70000"},
		{"10.0.0.2/24", "10.0.0.2"},
		{"10.0.0.2/24", "10.0.0.2/33"},
		{"10.0.0.2/24", "10.0.0.2.3/24"},
		{"fd00::2/64", "fd00::2/129"},
		{"fd00::2/64", "fd00::2%eth0/64"},
		{"\"10.0.0.1\"", "\"auto\",\"dev\""},
		{"\"10.0.0.1\"", "\"10.0.0.1;x\""},
		{"\"auto6\"", "\"fe80::1\",\"fe80::2\""},
		{"536870912", "0"},
		{"536870912", "-1"},
		{"536870912", "1.5"},
		{"\"cpu_period\":100000,", ""},
		{"\"cpu_quota\":50000", "\"cpu_quota\":999"},
		{"\"cpu_weight\":50", "\"cpu_weight\":10001"},
		{"0-1,3", "0-1,3,"},
		{"0-1,3", "3-1"},
		{"0-1,3", "0-1 3"},
		{"0-1,3", "4294967296"},
		{"\"rootfs\"", "\"root\""},
		{"\"mountpoint\":\"\"", "\"mountpoint\":\"x\""},
		{"srv-data", "rootfs"},
		{"srv-data", "Srv"},
		{"srv-data", "config"},
		{"srv-data", "../x"},
		{"srv-data", ""},
		{"srv/data", "/srv/data"},
		{"srv/data", "srv/../../data"},
		{"srv/data", "srv//data"},
		{"srv/data", "srv/data/"},
		{"srv/data", "./srv"},
		{"srv/data", ""},
		{"srv/data", "srv\\ndata"},
		{"ro,nosuid", "ro\\nx"},
		{"\"autostart_delay\":5", "\"autostart_delay\":4294967296"},
		{"\"common.conf\"", "\"../common.conf\""},
		{"\"common.conf\"", "\"/etc/passwd\""},
		{"\"common.conf\"", "\".conf\""},
		{"lxc.tty.max", "lxc.tty.max = 1\\nlxc.hook.start"},
		{"lxc.tty.max", "lxc tty"},
		{"lxc.tty.max", ""},
		{"\"value\":\"4\"", "\"value\":\"4\\nlxc.hook.start = /x\""},
		{"\"value\":\"4\"", "\"value\":\"4\\u0085x\""},
		{"\"value\":\"4\"", "\"value\":4"},
		{"\"value\":\"4\"", "\"value\":\"4\",\"reason\":\"x\""},
		{",\"reason\":\"runs\"", ""},
		{"\"reason\":\"runs\"", "\"reason\":\"\\u001b[2J\""},
		{"\"autostart\":true", "\"autostart\":1"},
		{"\"autostart\":true", "\"path\":\"/etc\""},
		{"\"mountpoint\":\"srv/data\"", "\"mountpoint\":\"srv/data\",\"path\":\"/etc\""},
		{"\"volumes\":[", "\"volumes\":[],\"x\":["},
	};
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *text = with(full, rows[i].from, rows[i].to);
		struct container *c = NULL;

		assert_row(read_text(text, &c, &err) == -ERR_INVALID, rows[i].to);
		assert_row(!c && err.text[0], rows[i].to);
		err_clear(&err);
	}
}

static void repeat(struct str *s, const char *item, size_t n)
{
	for (size_t i = 0; i < n; i++)
		str_addf(s, "%s%s", i ? "," : "", item);
}

static void test_bounds(void **state)
{
	static const struct {
		const char *field, *item;
		size_t most;
	} rows[] = {
		{"options", "{\"key\":\"k\",\"value\":\"v\"}", CONTAINER_OPTIONS_MAX},
		{"refused", "{\"key\":\"k\",\"value\":\"v\",\"reason\":\"r\"}",
			CONTAINER_OPTIONS_MAX},
		{"includes", "\"a.conf\"", CONTAINER_INCLUDES_MAX},
	};
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		for (size_t over = 0; over < 2; over++) {
			_cleanup_(str_done) struct str s = STR_INIT;
			_cleanup_container_ struct container *c = NULL;

			str_addf(&s,
				"{\"name\":\"a\",\"volumes\":[{\"name\":\"rootfs\",\"mountpoint\":"
				"\"\"}],\"%s\":[",
				rows[i].field);
			repeat(&s, rows[i].item, rows[i].most + over);
			str_add(&s, "]}");
			assert_row(read_text(s.buf, &c, &err) == (over ? -ERR_INVALID : 0),
				rows[i].field);
			err_clear(&err);
		}
}

static void test_names(void **state)
{
	static const char *const good[] = {"a", "A1", "web-1.example_org", "0"};
	static const char *const bad[] = {"", ".", "..", "-a", "_a", "a/b", "a b", "a\n",
		"\xc3\xa4", "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggggg"};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_row(container_name_ok(good[i]), good[i]);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_row(!container_name_ok(bad[i]), bad[i]);
	assert_true(container_name_ok(
		"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggg"));
	assert_true(
		volume_name_ok("srv-data_1") && !volume_name_ok("Srv") && !volume_name_ok("-a"));
	assert_false(text_ok("a\tb", 9));
	assert_false(text_ok("a\x7f", 9));
	assert_false(text_ok("a\xff", 9));
	assert_true(text_ok("\xc3\xa4\\ \"", 9));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_smallest),
		cmocka_unit_test(test_paths_stay_home),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
