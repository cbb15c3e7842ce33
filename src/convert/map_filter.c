/*
 * Firewall and traffic shaping: which of the node's tables a container may use, and how fast it may
 * send.
 */
#include <string.h>

#include "base/str.h"
#include "convert/map.h"
#include "model/wire.h"

/* The kernel's names of today. */
static const struct {
	const char *old, *now;
} renamed[] = {
	{"ip_conntrack", "nf_conntrack"},
	{"ip_conntrack_ftp", "nf_conntrack_ftp"},
	{"ip_conntrack_irc", "nf_conntrack_irc"},
	{"ip_conntrack_netbios_ns", "nf_conntrack_netbios_ns"},
	{"ip_nat_ftp", "nf_nat_ftp"},
	{"ip_nat_irc", "nf_nat_irc"},
	{"ipt_state", "xt_conntrack"},
	{"xt_state", "xt_conntrack"},
	{"ipt_conntrack", "xt_conntrack"},
	{"ipt_limit", "xt_limit"},
	{"ipt_multiport", "xt_multiport"},
	{"ipt_owner", "xt_owner"},
	{"ipt_recent", "xt_recent"},
	{"ipt_helper", "xt_helper"},
	{"ipt_length", "xt_length"},
	{"ipt_LOG", "xt_LOG"},
	{"ipt_MARK", "xt_mark"},
	{"ipt_mark", "xt_mark"},
	{"ipt_TCPMSS", "xt_TCPMSS"},
	{"ipt_tcpmss", "xt_tcpmss"},
	{"ipt_tos", "xt_dscp"},
	{"ipt_TOS", "xt_DSCP"},
	{"ipt_ttl", "xt_hl"},
	{"ipt_REDIRECT", "xt_REDIRECT"},
};

static const char *module_now(const char *old)
{
	for (size_t i = 0; i < ARRAY_SIZE(renamed); i++)
		if (str_eq(renamed[i].old, old))
			return renamed[i].now;
	return old;
}

static void map_netfilter(struct conversion *c)
{
	static const char *const stateful[] = {"nf_conntrack", "nf_nat"};
	struct ve_param *p = ve_get(&c->ve, "NETFILTER");
	bool full = p && (str_eq(p->value, "full") || str_eq(p->value, "stateful"));

	if (p && !full && !str_eq(p->value, "stateless") && !str_eq(p->value, "disabled")) {
		ve_say(p, VE_INVALID, "is not one of disabled, stateless, stateful and full");
		return;
	}
	ve_say(p, VE_APPROXIMATE, "is not restricted: it has all tables, of its own network only");
	for (size_t i = 0; full && i < ARRAY_SIZE(stateful); i++)
		map_module(c, p, stateful[i]);
}

static void map_iptables(struct conversion *c)
{
	struct ve_param *p = ve_get(&c->ve, "IPTABLES");
	_cleanup_strv_ char **words = p ? str_split(p->value, " \t,", false) : NULL;

	if (!p)
		return;
	for (size_t i = 0; words[i]; i++) {
		if (!name_ok(words[i], 64, "_-")) {
			ve_say(p, VE_INVALID, "is not a list of kernel modules");
			return;
		}
		map_module(c, p, module_now(words[i]));
	}
	ve_say(p, VE_PARTIAL,
		"is not restricted; old programs inside need these modules on the "
		"destination");
}

/* Kbit/s of a class of traffic. Off for all containers unless the node switched it on. */
static void map_rate(struct conversion *c)
{
	struct ve_param *on = ve_get(&c->ve, "TRAFFIC_SHAPING"), *p = NULL;
	bool off = on && !on->yes;

	ve_say(on, VE_EXACT, "says whether RATE counts");
	while ((p = ve_next(&c->ve, "RATE", p))) {
		if (off || !*p->value)
			ve_say(p, VE_NONE, "has no effect: %s",
				off ? "TRAFFIC_SHAPING is no" : "it is empty");
		else
			ve_lose(p,
				"is not kept: limit the interface on the destination, with tc(8)");
	}
	ve_say(ve_get(&c->ve, "RATEBOUND"), VE_NONE, "says what RATE means, which is not kept");
	ve_say(ve_get(&c->ve, "RATEMPU"), VE_NONE, "says what RATE means, which is not kept");
}

void map_filter(struct conversion *c, const struct convert_options *o)
{
	map_netfilter(c);
	map_iptables(c);
	map_rate(c);
}
