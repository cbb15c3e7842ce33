/*
 * When it starts and stops.
 */
#include "convert/map.h"

#include "base/str.h"

/* OpenVZ starts the highest first and those without a number last, LXC the lowest first. */
#define ORDER_LAST 1000000

static void map_order(struct conversion *c)
{
	struct ve_param *p = ve_get(&c->ve, "BOOTORDER");

	if (!p)
		return;
	c->ct->autostart_order = (uint32_t)(ORDER_LAST - MIN(p->number, UINT64_C(999999)));
	ve_say(p, p->number < ORDER_LAST ? VE_EXACT : VE_APPROXIMATE,
		"is turned round: LXC starts the lowest first");
	ve_result(p, "lxc.start.order = %u", c->ct->autostart_order);
}

static void map_start(struct conversion *c)
{
	struct ve_param *on = ve_get(&c->ve, "ONBOOT"), *off = ve_get(&c->ve, "DISABLED");

	c->ct->autostart = on && on->yes && !(off && off->yes);
	ve_say(on, VE_EXACT,
		off && off->yes	   ? "has no effect: DISABLED is yes"
		: c->ct->autostart ? "is started with the node"
				   : "is not started with the node");
	if (c->ct->autostart)
		ve_result(on, "lxc.start.auto = 1");
	ve_say(off, off && off->yes ? VE_PARTIAL : VE_EXACT,
		off && off->yes ? "keeps it from starting by itself, not from being started"
				: "asks for nothing");
}

void map_boot(struct conversion *c, const struct convert_options *o)
{
	static const char *const others[] = {
		"AUTOSTOP", "HA_ENABLE", "HA_PRIO", "OFFLINE_MANAGEMENT", "OFFLINE_SERVICE"};
	struct ve_param *timeout = ve_get(&c->ve, "STOP_TIMEOUT");

	map_start(c);
	map_order(c);
	if (timeout) {
		c->stop_timeout = MIN(timeout->number, UINT64_C(86400));
		ve_say(timeout, VE_PARTIAL,
			"is the destination's to say: [stop] timeout in its wherry.conf");
	}
	ve_say(ve_get(&c->ve, "ALLOWREBOOT"), VE_EXACT, "is so by itself");
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		ve_say(ve_get(&c->ve, others[i]), VE_NONE,
			"is about how the OpenVZ node manages it, not about the container");
}
