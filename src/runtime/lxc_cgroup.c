#include "runtime/lxc_cgroup.h"

#include <string.h>

#include "base/alloc.h"
#include "base/num.h"

#define CPU_PERIOD     100000 /* the kernel's default, microseconds */
#define SHARES_NORMAL  1024
#define SHARES_MAX     262144
#define WEIGHT_NORMAL  100
#define WEIGHT_MAX     10000
#define KERNEL_NO_MORE (UINT64_C(1) << 62) /* the kernel shows "no limit" as something above */

void lxc_cgroup_init(struct lxc_cgroup *g)
{
	limits_init(&g->v1.limits);
	limits_init(&g->v2.limits);
	g->v1.memsw = g->v2.memsw = LIMIT_NONE;
}

void lxc_cgroup_done(struct lxc_cgroup *g)
{
	limits_done(&g->v1.limits);
	limits_done(&g->v2.limits);
}

/* Numbers: an empty value takes an earlier line back, "max" and -1 are no limit. */
static bool read_number(const char *value, uint64_t min, uint64_t max, uint64_t *field)
{
	struct err err = ERR_INIT;
	uint64_t v = LIMIT_NONE;

	if (!value[0] || strcmp(value, "max") == 0 || strcmp(value, "-1") == 0) {
		*field = LIMIT_NONE;
		return true;
	}
	if (num_size(value, &v, &err) < 0 || v < min)
		return false;
	if (v >= KERNEL_NO_MORE)
		v = LIMIT_NONE;
	else if (v > max)
		return false;
	*field = v;
	return true;
}

static bool read_memory(struct cgroup_values *g, const char *value)
{
	return read_number(value, 1, UINT64_MAX, &g->limits.memory);
}

static bool read_memsw(struct cgroup_values *g, const char *value)
{
	return read_number(value, 1, UINT64_MAX, &g->memsw);
}

static bool read_swap(struct cgroup_values *g, const char *value)
{
	return read_number(value, 0, UINT64_MAX, &g->limits.swap);
}

static bool read_quota(struct cgroup_values *g, const char *value)
{
	return read_number(value, 1000, INT64_MAX / 1000, &g->limits.cpu_quota);
}

static bool read_period(struct cgroup_values *g, const char *value)
{
	return read_number(value, 1000, 1000000, &g->limits.cpu_period);
}

static bool read_shares(struct cgroup_values *g, const char *value)
{
	uint64_t shares;

	if (!read_number(value, 2, SHARES_MAX, &shares))
		return false;
	if (shares != LIMIT_NONE) {
		shares = (shares * WEIGHT_NORMAL + SHARES_NORMAL / 2) / SHARES_NORMAL;
		shares = MIN(MAX(shares, UINT64_C(1)), (uint64_t)WEIGHT_MAX);
	}
	g->limits.cpu_weight = shares;
	return true;
}

static bool read_weight(struct cgroup_values *g, const char *value)
{
	return read_number(value, 1, WEIGHT_MAX, &g->limits.cpu_weight);
}

static bool read_pids(struct cgroup_values *g, const char *value)
{
	return read_number(value, 1, UINT64_MAX, &g->limits.pids);
}

/* "QUOTA [PERIOD]" of cpu.max */
static bool read_cpu_max(struct cgroup_values *g, const char *value)
{
	_cleanup_strv_ char **words = str_words(value);
	size_t n = strv_len(words);

	if (n > 2 || (n > 0 && !read_quota(g, words[0])) || (n > 1 && !read_period(g, words[1])))
		return false;
	if (n == 0)
		g->limits.cpu_quota = LIMIT_NONE;
	if (n < 2)
		g->limits.cpu_period = LIMIT_NONE;
	return true;
}

static bool read_cpuset(struct cgroup_values *g, const char *value)
{
	if (value[0] && !cpuset_ok(value))
		return false;
	free(g->limits.cpuset);
	g->limits.cpuset = value[0] ? xstrdup(value) : NULL;
	return true;
}

struct file {
	const char *name;
	bool (*read)(struct cgroup_values *g, const char *value);
};

static const struct file files_v1[] = {
	{"memory.limit_in_bytes", read_memory},
	{"memory.memsw.limit_in_bytes", read_memsw},
	{"cpu.cfs_quota_us", read_quota},
	{"cpu.cfs_period_us", read_period},
	{"cpu.shares", read_shares},
	{"pids.max", read_pids},
	{"cpuset.cpus", read_cpuset},
	{NULL, NULL},
};

static const struct file files_v2[] = {
	{"memory.max", read_memory},
	{"memory.swap.max", read_swap},
	{"cpu.max", read_cpu_max},
	{"cpu.weight", read_weight},
	{"pids.max", read_pids},
	{"cpuset.cpus", read_cpuset},
	{NULL, NULL},
};

enum lxc_verdict lxc_cgroup_read(
	struct lxc_cgroup *g, const char *key, const char *value, const char **reason)
{
	bool v2 = str_starts(key, "lxc.cgroup2.");
	const char *name = key + strlen(v2 ? "lxc.cgroup2." : "lxc.cgroup.");

	*reason = LXC_BAD_VALUE;
	if (!v2 && !str_starts(key, "lxc.cgroup."))
		return LXC_OTHER;
	for (const struct file *f = v2 ? files_v2 : files_v1; f->name; f++)
		if (strcmp(f->name, name) == 0)
			return f->read(v2 ? &g->v2 : &g->v1, value) ? LXC_TAKEN : LXC_REFUSED;
	return LXC_OTHER;
}

/* Version 1 limits memory and swap together, and takes that only beside a limit of memory. */
static void split_memsw(struct cgroup_values *v1, struct container *c)
{
	static const char key[] = "lxc.cgroup.memory.memsw.limit_in_bytes";
	uint64_t memory = v1->limits.memory;
	_cleanup_free_ char *text = NULL;

	if (v1->memsw == LIMIT_NONE)
		return;
	text = xasprintf("%llu", (unsigned long long)v1->memsw);
	if (memory == LIMIT_NONE)
		option_add(&c->refused, key, text, "is without effect where memory has no limit");
	else if (v1->memsw < memory)
		option_add(&c->refused, key, text, "is lower than the limit of memory");
	else
		v1->limits.swap = v1->memsw - memory;
}

static uint64_t first_set(uint64_t a, uint64_t b)
{
	return a != LIMIT_NONE ? a : b;
}

void lxc_cgroup_finish(struct lxc_cgroup *g, bool unified, struct container *c)
{
	struct limits *a, *b, *l = &c->limits;

	split_memsw(&g->v1, c);
	a = unified ? &g->v2.limits : &g->v1.limits;
	b = unified ? &g->v1.limits : &g->v2.limits;
	l->memory = first_set(a->memory, b->memory);
	l->swap = first_set(a->swap, b->swap);
	l->cpu_weight = first_set(a->cpu_weight, b->cpu_weight);
	l->pids = first_set(a->pids, b->pids);
	if (a->cpu_quota == LIMIT_NONE)
		a = b; /* a quota and its period belong together */
	l->cpu_quota = a->cpu_quota;
	if (l->cpu_quota != LIMIT_NONE)
		l->cpu_period = first_set(a->cpu_period, CPU_PERIOD);
	a = unified ? &g->v2.limits : &g->v1.limits;
	l->cpuset = xstrdup(a->cpuset ? a->cpuset : b->cpuset);
}

static void put(struct str *out, const char *key, uint64_t v)
{
	if (v != LIMIT_NONE)
		lxc_line_addf(out, key, "%llu", (unsigned long long)v);
}

static uint64_t shares_of(uint64_t weight)
{
	uint64_t shares = (weight * SHARES_NORMAL + WEIGHT_NORMAL / 2) / WEIGHT_NORMAL;

	return weight == LIMIT_NONE ? LIMIT_NONE : MIN(MAX(shares, 2), SHARES_MAX);
}

void lxc_cgroup_render(const struct limits *l, struct str *out)
{
	put(out, "lxc.cgroup.memory.limit_in_bytes", l->memory);
	if (l->memory != LIMIT_NONE && l->swap != LIMIT_NONE)
		put(out, "lxc.cgroup.memory.memsw.limit_in_bytes", l->memory + l->swap);
	put(out, "lxc.cgroup2.memory.max", l->memory);
	put(out, "lxc.cgroup2.memory.swap.max", l->swap);
	if (l->cpu_quota != LIMIT_NONE) {
		put(out, "lxc.cgroup.cpu.cfs_period_us", l->cpu_period);
		put(out, "lxc.cgroup.cpu.cfs_quota_us", l->cpu_quota);
		lxc_line_addf(out, "lxc.cgroup2.cpu.max", "%llu %llu",
			(unsigned long long)l->cpu_quota, (unsigned long long)l->cpu_period);
	}
	put(out, "lxc.cgroup.cpu.shares", shares_of(l->cpu_weight));
	put(out, "lxc.cgroup2.cpu.weight", l->cpu_weight);
	put(out, "lxc.cgroup.pids.max", l->pids);
	put(out, "lxc.cgroup2.pids.max", l->pids);
	if (l->cpuset) {
		lxc_line_add(out, "lxc.cgroup.cpuset.cpus", l->cpuset);
		lxc_line_add(out, "lxc.cgroup2.cpuset.cpus", l->cpuset);
	}
}
