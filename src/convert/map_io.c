/*
 * Priority and limits of input and output.
 */
#include "convert/map.h"

#include "base/alloc.h"
#include "base/num.h"

/* Of the priorities 0 to 7; 4 is normal on OpenVZ, 100 here. */
static const unsigned weights[] = {64, 73, 82, 92, 100, 110, 120, 128};
#define PRIORITY_NORMAL 4

static void map_priority(struct conversion *c)
{
	struct ve_param *p = ve_get(&c->ve, "IOPRIO");
	_cleanup_free_ char *value = NULL;

	if (!p)
		return;
	if (p->number >= ARRAY_SIZE(weights)) {
		ve_say(p, VE_INVALID, "is not from 0 to 7");
	} else if (p->number == PRIORITY_NORMAL) {
		ve_say(p, VE_EXACT, "is the normal one");
	} else {
		value = xasprintf("%u", weights[p->number]);
		ve_say(p, VE_APPROXIMATE,
			"weighs where the destination's kernel shares out its disks");
		map_option(c, p, "lxc.cgroup2.io.weight", value);
	}
}

/* A limit is of a device of the destination, by its number: nobody can know it here. */
static void map_limits(struct conversion *c)
{
	struct ve_param *bytes = ve_get(&c->ve, "IOLIMIT"), *ops = ve_get(&c->ve, "IOPSLIMIT");
	uint64_t limit = bytes ? bytes->pair.limit : 0;

	if (limit && limit != VE_UNLIMITED) {
		ve_lose(bytes, "is of a disk by its number on the destination: to keep it, put in "
			       "that of its "
			       "pool");
		ve_result(bytes, "lxc.cgroup2.io.max = MAJOR:MINOR rbps=%llu wbps=%llu",
			(unsigned long long)limit, (unsigned long long)limit);
	} else {
		ve_say(bytes, VE_EXACT, "is no limit");
	}
	if (ops && ops->number) {
		ve_lose(ops,
			"is of a disk by its number on the destination: to keep it, put in that of "
			"its pool");
		ve_result(ops, "lxc.cgroup2.io.max = MAJOR:MINOR riops=%llu wiops=%llu",
			(unsigned long long)ops->number, (unsigned long long)ops->number);
	} else {
		ve_say(ops, VE_EXACT, "is no limit");
	}
}

void map_io(struct conversion *c, const struct convert_options *o)
{
	map_priority(c);
	map_limits(c);
}
