#include "unit.h"

#include "base/num.h"
#include "link/squeeze.h"

/*
 * A link and a processor in numbers: what a piece costs at each level. Compression and link work
 * one after the other, as they do for one writer whose buffers are full.
 */
struct world {
	double link;		   /* bytes per second */
	double cpu[PACE_LEVELS];   /* content bytes per second, of levels 0, 1, 3, 6 */
	double ratio[PACE_LEVELS]; /* wire over content */
};

static int index_of(int level)
{
	static const int levels[PACE_LEVELS] = {0, 1, 3, 6};

	for (int i = 0; i < PACE_LEVELS; i++)
		if (levels[i] == level)
			return i;
	fail_msg("level %d", level);
	return 0;
}

/* Content bytes per second over so many pieces. */
static double run(struct pace *p, const struct world *w, unsigned pieces)
{
	const uint64_t n = 256 << 10;
	double total = 0;

	for (unsigned i = 0; i < pieces; i++) {
		int at = index_of(pace_level(p));
		double busy = (double)n / w->cpu[at], wire = (double)n * w->ratio[at] / w->link;
		double blocked = wire > busy ? wire - busy : 0, time = busy + blocked;

		total += time;
		pace_add(p, n, (uint64_t)((double)n * w->ratio[at]), (usec_t)(time * 1e6) + 1,
			(usec_t)(blocked * 1e6));
	}
	return (double)n * pieces / total;
}

static const double usual_cpu[PACE_LEVELS] = {4e9, 400e6, 200e6, 60e6};

static struct world world(double link, double r1, double r3, double r6)
{
	struct world w = {.link = link, .ratio = {1, r1, r3, r6}};

	memcpy(w.cpu, usual_cpu, sizeof(w.cpu));
	return w;
}

static void test_fast_link(void **state)
{
	struct world w = world(700e6, 0.45, 0.4, 0.37);
	struct pace p;

	pace_init(&p);
	assert_true(run(&p, &w, 20000) > 0.9 * w.link);
	assert_int_equal(pace_level(&p), 0);
}

static void test_slow_link(void **state)
{
	struct world w = world(10e6, 0.45, 0.4, 0.3);
	struct pace p;

	pace_init(&p);
	assert_true(run(&p, &w, 5000) > 1.9 * w.link);
	assert_true(pace_level(&p) >= 1);
}

static void test_incompressible(void **state)
{
	struct world w = world(10e6, 1, 1, 1);
	struct pace p;

	pace_init(&p);
	assert_true(run(&p, &w, 5000) > 0.95 * w.link);
	assert_int_equal(pace_level(&p), 0);
}

/* In between: compressing is the bottleneck, but still faster than the link without it. */
static void test_medium_link(void **state)
{
	struct world w = world(200e6, 0.45, 0.4, 0.37);
	struct pace p;

	pace_init(&p);
	assert_true(run(&p, &w, 20000) > 1.5 * w.link);
	assert_int_equal(pace_level(&p), 1);
}

/* A machine so busy that times mean little: what saves nothing is not kept by chance. */
static void test_noise(void **state)
{
	struct world w = world(10e6, 1, 1, 1);
	unsigned squeezed = 0;
	struct pace p;

	pace_init(&p);
	for (int i = 0; i < 1000; i++) {
		w.link = 1e6 * (double)(1 + i * 7919 % 100);
		run(&p, &w, 100);
		squeezed += pace_level(&p) > 0;
	}
	assert_true(squeezed < 100);
}

static void test_link_changes(void **state)
{
	struct world slow = world(10e6, 0.45, 0.4, 0.3), fast = world(2e9, 0.45, 0.4, 0.3);
	struct pace p;

	pace_init(&p);
	run(&p, &slow, 2000);
	run(&p, &fast, 5000);
	assert_true(run(&p, &fast, 5000) > 1e9);
	run(&p, &slow, 2000);
	assert_true(run(&p, &slow, 2000) > 1.9 * slow.link);
}

static void test_pieces(void **state)
{
	enum { N = 100000 };
	_cleanup_free_ char *text = xcalloc(N, 1), *noise = xmalloc(N);
	struct squeeze *z = squeeze_new();
	struct expand *x = expand_new(N), *small = expand_new(N - 1);
	const void *out, *back;
	size_t n, m;

	for (int i = 0; i < N; i++)
		noise[i] = (char)(rand() >> 11);
	assert_null(squeeze_run(z, 3, noise, N, &n));
	out = squeeze_run(z, 3, text, N, &n);
	assert_non_null(out);
	assert_true(n < 1000);
	back = expand_run(x, out, n, &m);
	assert_non_null(back);
	assert_int_equal(m, N);
	assert_memory_equal(back, text, N);
	assert_null(expand_run(small, out, n, &m)); /* a bomb */
	assert_null(expand_run(x, out, n - 1, &m));
	assert_null(expand_run(x, noise, N, &m));
	assert_null(expand_run(x, noise, 0, &m));
	squeeze_free(z);
	expand_free(x);
	expand_free(small);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fast_link),
		cmocka_unit_test(test_slow_link),
		cmocka_unit_test(test_incompressible),
		cmocka_unit_test(test_medium_link),
		cmocka_unit_test(test_noise),
		cmocka_unit_test(test_link_changes),
		cmocka_unit_test(test_pieces),
	};

	return cmocka_run_group_tests_name("squeeze", tests, NULL, NULL);
}
