#include "unit.h"

#include "base/json.h"
#include "model/idmap.h"

static void make(struct idmap *m, const char *const *texts)
{
	struct err err = ERR_INIT;

	for (size_t i = 0; texts[i]; i++)
		assert_ok(idmap_add(m, texts[i], &err), &err);
}

static void test_add(void **state)
{
	static const char *const bad[] = {"", "u", "u 0 100000", "u 0 100000 65536 1", "x 0 1 1",
		"uu 0 1 1", "u -1 1 1", "u 0 1 0", "u 0 4294967294 2", "u 4294967294 0 2",
		"u 0 0 4294967296", "u 0 99999999999 1", "u 0x0 1 1", "u 5 500000 1",
		"u 500000 100005 1", "u 0 165535 1", "u 65535 900000 10"};
	static const char *const good[] = {"u 65536 165536 1", "g 0 0 4294967295",
		" u\t70000  200000 10 ", "u 4294967294 1 1"};
	struct idmap m = {0};
	struct err err = ERR_INIT;

	assert_ok(idmap_add(&m, "u 0 100000 65536", &err), &err);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_row(idmap_add(&m, bad[i], &err) == -ERR_INVALID, bad[i]);
		assert_int_equal(m.ranges.n, 1);
	}
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_row(idmap_add(&m, good[i], &err) == 0, good[i]);
	idmap_done(&m);
	assert_ok(idmap_add(&m, "b 0 100000 65536", &err), &err);
	assert_int_equal(m.ranges.n, 2);
	assert_true(!m.ranges.v[0].is_gid && m.ranges.v[1].is_gid);
	assert_fails(idmap_add(&m, "b 1 1 1", &err), ERR_INVALID, &err);
	idmap_done(&m);
}

static void test_too_many(void **state)
{
	struct idmap m = {0};
	struct err err = ERR_INIT;
	char text[64];

	for (unsigned i = 0; i < IDMAP_RANGES_MAX; i++) {
		snprintf(text, sizeof(text), "u %u %u 1", 2 * i, 100000 + 3 * i);
		assert_ok(idmap_add(&m, text, &err), &err);
	}
	assert_fails(idmap_add(&m, "g 0 0 1", &err), ERR_INVALID, &err);
	idmap_done(&m);
}

static void test_shift(void **state)
{
	static const char *const texts[] = {"u 0 100000 1000", "u 1000 1000 1",
		"u 1001 101001 64535", "g 0 200000 65536", NULL};
	static const struct {
		bool gid;
		uint32_t ct, disk;
	} rows[] = {{false, 0, 100000}, {false, 999, 100999}, {false, 1000, 1000},
		{false, 1001, 101001}, {false, 65535, 165535}, {true, 0, 200000},
		{true, 65535, 265535}};
	struct idmap m = {0};
	uint32_t id = 7;

	make(&m, texts);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(idmap_to_disk(&m, rows[i].gid, rows[i].ct, &id), 0);
		assert_int_equal(id, rows[i].disk);
		assert_int_equal(idmap_from_disk(&m, rows[i].gid, rows[i].disk, &id), 0);
		assert_int_equal(id, rows[i].ct);
	}
	id = 7;
	assert_int_equal(idmap_to_disk(&m, false, 65536, &id), -1);
	assert_int_equal(idmap_to_disk(&m, true, 4294967294u, &id), -1);
	assert_int_equal(idmap_from_disk(&m, false, 0, &id), -1);
	assert_int_equal(idmap_from_disk(&m, false, 101000, &id), -1);
	assert_int_equal(idmap_from_disk(&m, true, 100000, &id), -1);
	assert_int_equal(id, 7);
	assert_false(idmap_identity_on_disk(&m));
	m.unshifted = true;
	assert_int_equal(idmap_to_disk(&m, false, 70000, &id), 0);
	assert_int_equal(id, 70000);
	assert_int_equal(idmap_to_host(&m, false, 5, &id), 0);
	assert_int_equal(id, 100005);
	assert_true(idmap_identity_on_disk(&m));
	idmap_done(&m);
	assert_int_equal(idmap_from_disk(&m, false, 4294967294u, &id), 0);
	assert_int_equal(id, 4294967294u);
}

static void test_compare(void **state)
{
	static const char *const whole[] = {"u 0 100000 65536", "g 0 100000 65536", NULL};
	static const char *const cut[] = {
		"g 0 100000 65536", "u 100 100100 65436", "u 0 100000 100", NULL};
	static const char *const elsewhere[] = {"u 0 300000 65536", "g 0 300000 65536", NULL};
	static const char *const longer[] = {"u 0 100000 70000", "g 0 100000 65536", NULL};
	static const char *const no_group[] = {"u 0 100000 65536", NULL};
	static const char *const holed[] = {
		"u 0 100000 100", "u 101 100101 65435", "g 0 100000 65536", NULL};
	static const struct {
		const char *name;
		const char *const *a, *const *b;
		bool same, covers;
	} rows[] = {{"itself", whole, whole, true, true}, {"cut", whole, cut, true, true},
		{"elsewhere", whole, elsewhere, false, true},
		{"longer", longer, whole, false, true}, {"shorter", whole, longer, false, false},
		{"no group", no_group, whole, false, false},
		{"more than no group", whole, no_group, false, true},
		{"hole", holed, whole, false, false}};
	struct idmap none = {0};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct idmap a = {0}, b = {0};

		make(&a, rows[i].a);
		make(&b, rows[i].b);
		assert_row(idmap_same_on_disk(&a, &b) == rows[i].same, rows[i].name);
		assert_row(idmap_same_on_disk(&b, &a) == rows[i].same, rows[i].name);
		assert_row(idmap_covers(&a, &b) == rows[i].covers, rows[i].name);
		assert_row(idmap_covers(&none, &a) && !idmap_covers(&a, &none), rows[i].name);
		assert_row(!idmap_same_on_disk(&a, &none), rows[i].name);
		a.unshifted = true;
		assert_row(idmap_same_on_disk(&a, &none), rows[i].name);
		assert_row(!idmap_same_on_disk(&a, &b), rows[i].name);
		idmap_done(&a);
		idmap_done(&b);
	}
	assert_true(idmap_covers(&none, &none));
}

static void test_json(void **state)
{
	static const char *const bad[] = {"[]", "{\"ranges\": {}}", "{\"ranges\": [1]}",
		"{\"ranges\": [\"u 0 0\"]}", "{\"ranges\": [\"u 0 0 10\", \"u 5 50 1\"]}",
		"{\"unshifted\": 1}", "{\"x\": 1}", "{\"ranges\": [\"u 0 0 1\\n\"]}"};
	static const char *const texts[] = {"u 0 100000 65536", "g 5 7 9", NULL};
	struct idmap m = {0}, back = {0}, copy;
	struct err err = ERR_INIT;
	json_t *v;

	make(&m, texts);
	m.unshifted = true;
	v = idmap_json(&m);
	assert_ok(idmap_from_json(v, &back, &err), &err);
	idmap_copy(&copy, &back);
	idmap_done(&back);
	assert_int_equal(copy.ranges.n, 2);
	assert_true(copy.unshifted && copy.ranges.v[1].is_gid);
	assert_int_equal(copy.ranges.v[1].host, 7);
	idmap_done(&copy);
	idmap_done(&m);
	json_decref(v);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_json_ json_t *b = NULL;

		assert_ok(json_parse(bad[i], strlen(bad[i]), 4096, &b, &err), &err);
		assert_row(idmap_from_json(b, &m, &err) == -ERR_INVALID, bad[i]);
		assert_row(m.ranges.n == 0, bad[i]);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_shift),
		cmocka_unit_test(test_compare),
		cmocka_unit_test(test_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
