/*
 * Processors: weight, limit, number and which.
 */
#include <string.h>

#include "base/num.h"
#include "base/str.h"
#include "convert/map.h"

#define PERIOD	   100000 /* microseconds, in which a quota is given */
#define UNITS_MIN  8
#define UNITS_MAX  500000 /* OpenVZ's; weight = UNITS_MAX / units */
#define WEIGHT_MAX 10000

static void set_weight(struct conversion *c, struct ve_param *p, uint64_t units)
{
	uint64_t weight = (units + 5) / 10; /* so that the normal 1000 is the normal 100 */

	weight = MIN(MAX(weight, UINT64_C(1)), (uint64_t)WEIGHT_MAX);
	c->ct->limits.cpu_weight = weight;
	ve_say(p, units == 1000 ? VE_EXACT : VE_APPROXIMATE,
		units == 1000 ? "is the normal weight on both"
		: units > WEIGHT_MAX * UINT64_C(10)
			? "is more than the highest weight here"
			: "weighs against what runs on the destination");
	ve_result(p, "lxc.cgroup2.cpu.weight = %llu", (unsigned long long)weight);
}

static void map_weight(struct conversion *c)
{
	struct ve_param *units = ve_get(&c->ve, "CPUUNITS"), *weight = ve_get(&c->ve, "CPUWEIGHT");

	if (units && units->number >= UNITS_MIN && units->number <= UNITS_MAX)
		set_weight(c, units, units->number);
	else
		ve_say(units, VE_INVALID, "is not from %d to %d", UNITS_MIN, UNITS_MAX);
	if (!weight)
		return;
	if (units)
		ve_say(weight, VE_NONE, "has no effect beside CPUUNITS");
	else if (weight->number == 0 || weight->number > UNITS_MAX)
		ve_say(weight, VE_INVALID, "is not from 1 to %d", UNITS_MAX);
	else
		set_weight(c, weight, UNITS_MAX / weight->number);
}

static void set_quota(struct conversion *c, struct ve_param *p, uint64_t quota)
{
	struct limits *l = &c->ct->limits;

	l->cpu_quota = MIN(l->cpu_quota, quota);
	l->cpu_period = PERIOD;
	ve_result(p, "lxc.cgroup2.cpu.max = %llu %d", (unsigned long long)quota, PERIOD);
}

/* "50" is half of one processor, "50%" half of all that the source's node has. */
static void map_limit(struct conversion *c, uint32_t node_cpus)
{
	struct ve_param *p = ve_get(&c->ve, "CPULIMIT");
	uint64_t percent = p ? strtoull(p->value, NULL, 10) : 0;
	bool share = p && strchr(p->value, '%');

	if (!p)
		return;
	if (percent == 0) {
		ve_say(p, VE_EXACT, "is no limit");
	} else if (share && node_cpus == 0) {
		ve_lose(p,
			"is a share of the OpenVZ node, whose number of processors is not known: "
			"say it with --source-cpus");
	} else {
		set_quota(c, p, percent * 1000 * (share ? node_cpus : 1));
		ve_say(p, VE_EXACT, NULL);
	}
}

static void map_count(struct conversion *c)
{
	struct ve_param *p = ve_get(&c->ve, "CPUS");
	uint64_t before = c->ct->limits.cpu_quota;

	if (!p)
		return;
	if (p->number == 0) {
		ve_say(p, VE_EXACT, "is no limit");
	} else if (p->number > CPU_MAX) {
		ve_say(p, VE_INVALID, "is more than there can be");
	} else if (before != LIMIT_NONE && before <= p->number * PERIOD) {
		ve_say(p, VE_APPROXIMATE,
			"allows no less than CPULIMIT; with LXCFS that limit is "
			"seen as the number of processors");
	} else {
		set_quota(c, p, p->number * PERIOD);
		ve_say(p, VE_APPROXIMATE, "is time of so many processors, on any of them");
	}
}

static void map_mask(struct conversion *c)
{
	struct ve_param *cpus = ve_get(&c->ve, "CPUMASK"), *nodes = ve_get(&c->ve, "NODEMASK");

	if (!cpus || str_eq(cpus->value, "all") || str_eq(cpus->value, "auto") || !*cpus->value) {
		ve_say(cpus, VE_EXACT, "is no limit");
	} else if (!cpuset_ok(cpus->value)) {
		ve_say(cpus, VE_INVALID, "is not a list of processors");
	} else {
		c->ct->limits.cpuset = xstrdup(cpus->value);
		ve_say(cpus, VE_APPROXIMATE, "are other processors on the destination");
		ve_result(cpus, "lxc.cgroup2.cpuset.cpus = %s", cpus->value);
	}
	if (nodes && *nodes->value && !str_eq(nodes->value, "all"))
		ve_lose(nodes, "names banks of memory of the OpenVZ node");
	else
		ve_say(nodes, VE_EXACT, "is no limit");
}

void map_cpu(struct conversion *c, const struct convert_options *o)
{
	struct ve_param *mhz = ve_get(&c->ve, "CPULIMIT_MHZ");

	map_weight(c);
	map_limit(c, o->cpus);
	map_count(c);
	map_mask(c);
	if (mhz && mhz->number)
		ve_lose(mhz, "depends on the speed of the processors that it was measured on");
	else
		ve_say(mhz, VE_EXACT, "is no limit");
}
