/*
 * venet: OpenVZ's own network, in which a container has addresses and neither mask, gateway nor
 * hardware address. It becomes an Ethernet interface: on a bridge, whose own address is the
 * gateway; or routed, with a gateway that exists on that link only.
 */
#include <string.h>

#include "base/str.h"
#include "convert/map.h"
#include "convert/ve_net.h"

#define GATEWAY_4 "169.254.1.1"
#define GATEWAY_6 "fe80::1"

static bool has_family(const struct netif *n, bool v6)
{
	for (size_t i = 0; n->addresses && n->addresses[i]; i++)
		if (!strchr(n->addresses[i], ':') == !v6)
			return true;
	return false;
}

/* An address of IPv6 does not exist where IPV6 is no; LXC would fail to set it. */
static void take_word(struct netif *n, struct ve_param *p, const char *word, bool no_v6)
{
	_cleanup_free_ char *address = ve_address(word);
	bool v6 = address && strchr(address, ':');

	if (!address || ve_address_any(address) || (v6 && no_v6))
		return;
	if (strv_has(n->addresses, address) || strv_len(n->addresses) == NETIF_ADDRESSES_MAX)
		return;
	strv_push(&n->addresses, address);
	ve_result(p, "lxc.net.0.ipv%d.address = %s", v6 ? 6 : 4, address);
}

/* Says of a line what it came to: nothing, if it has only the addresses that stand for none. */
static void take_line(struct netif *n, struct ve_param *p, bool routed, bool no_v6)
{
	_cleanup_strv_ char **words = str_words(p->value);

	for (size_t i = 0; words[i]; i++)
		take_word(n, p, words[i], no_v6);
	if (!p->results)
		ve_say(p, VE_EXACT, "is no address, or one that is there already");
	else if (no_v6 && strchr(p->value, ':'))
		ve_say(p, VE_PARTIAL, "has addresses of IPv6, which IPV6=no switches off");
	else
		ve_say(p, VE_APPROXIMATE,
			routed ? "is on a routed interface: the network must send its packets to "
				 "the destination, which must forward them "
				 "(net.ipv4.ip_forward=1)"
			       : "is on a bridge whose own address is the gateway");
}

static void add_gateways(struct netif *n, bool routed)
{
	if (has_family(n, false))
		strv_push(&n->gateways, routed ? GATEWAY_4 : "auto");
	if (has_family(n, true))
		strv_push(&n->gateways, routed ? GATEWAY_6 : "auto6");
}

void map_venet(struct conversion *c, const struct convert_options *o)
{
	struct netif n = {.type = NETIF_VETH, .up = true};
	struct ve_param *p = NULL, *v6 = ve_get(&c->ve, "IPV6");

	while ((p = ve_next(&c->ve, "IP_ADDRESS", p)))
		take_line(&n, p, o->routed, v6 && !v6->yes);
	if (n.addresses) {
		n.name = xstrdup(o->netif_name ? o->netif_name : "eth0");
		n.hwaddr = xstrdup(o->netif_hwaddr);
		n.link = o->routed ? NULL : xstrdup(o->bridge ? o->bridge : "lxcbr0");
		n.veth_mode = o->routed ? xstrdup("router") : NULL;
		add_gateways(&n, o->routed);
		*netif_vec_push(&c->ct->netifs) = n;
	}
	if (v6 && !v6->yes) {
		ve_say(v6, VE_APPROXIMATE, "holds for all its interfaces");
		map_option(c, v6, "lxc.sysctl.net.ipv6.conf.all.disable_ipv6", "1");
	} else {
		ve_say(v6, VE_EXACT, "is so by itself");
	}
}
