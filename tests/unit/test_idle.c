#include "unit.h"

#include "move/idle.h"
#include "node.h"

#define S      USEC_PER_SEC
#define HOUR   (3600 * S)
#define EXPIRE (24 * HOUR)

/* One look after the other. */
static void test_advance(void **state)
{
	static const struct {
		const char *what, *boot;
		usec_t now;
		uint64_t changed;
		usec_t sum;
	} rows[] = {
		{"the first look", "A", 10 * HOUR, 1000, 0},
		{"an hour later", "A", 11 * HOUR, 1000, HOUR},
		{"and ten more", "A", 21 * HOUR, 1000, 11 * HOUR},
		{"something has come", "A", 22 * HOUR, 80000, 0},
		{"whatever the wall clock says of it", "A", 23 * HOUR, 80000, HOUR},
		{"also if it went back", "A", 24 * HOUR, 500, 0},
		{"long", "A", 47 * HOUR + 1800 * S, 500, 23 * HOUR + 1800 * S},
		{"a boot: an hour is left", "B", 5 * S, 500, 23 * HOUR},
		{"counted from there", "B", 65 * S, 500, 23 * HOUR + 60 * S},
		{"a boot again, and the hour begins anew", "C", 9 * S, 500, 23 * HOUR},
		{"down for years is nothing", "D", 9 * S, 500, 23 * HOUR},
		{"until the hour is over", "D", 9 * S + HOUR, 500, 24 * HOUR},
		{"a clock that cannot go back does", "D", 3 * S, 500, 24 * HOUR},
	};
	struct idle i = {0};

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(rows); k++) {
		idle_advance(&i, rows[k].boot, rows[k].now, rows[k].changed, EXPIRE);
		assert_row(i.sum == rows[k].sum, rows[k].what);
	}
	idle_advance(&i, "E", 0, 500, 60 * S);
	assert_int_equal(i.sum, 0); /* a short time begins anew with each boot */
}

static void test_kept(void **state)
{
	struct transfer *t = transfer_new(TRANSFER_DESTINATION, "web");
	struct err err = ERR_INIT;
	usec_t sum = 1, again = 0;

	(void)state;
	assert_int_equal(idle_read(t, EXPIRE), 0);
	assert_ok(idle_look(t, EXPIRE, &sum, &err), &err);
	assert_int_equal(sum, 0);
	usleep(2000);
	assert_ok(idle_look(t, EXPIRE, &again, &err), &err);
	assert_true(again >= 2000);
	assert_true(idle_read(t, EXPIRE) >= again);
	t->changed += 86400 * 365; /* as after a step of the clock */
	assert_int_equal(idle_read(t, EXPIRE), 0);
	transfer_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_advance),
		node_test(test_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
