/*
 * NETIF: interfaces of a container's own, each with a peer on the node that is in a bridge or was
 * routed by a script of the administrator's.
 */
#include <string.h>

#include "base/str.h"
#include "convert/map.h"
#include "convert/ve_net.h"

static bool name_taken(const struct container *c, const char *name)
{
	for (size_t i = 0; i < c->netifs.n; i++)
		if (str_eq(c->netifs.v[i].name, name))
			return true;
	return false;
}

/* The interface that was venet gives way: nothing inside relies on its new name. */
static void make_way(struct conversion *c, const char *name, const struct ve_netif_vec *v)
{
	struct netif *venet = c->ct->netifs.n ? &c->ct->netifs.v[0] : NULL;

	if (!venet || !str_eq(venet->name, name))
		return;
	for (unsigned i = 0; i < 128; i++) {
		_cleanup_free_ char *other = xasprintf("eth%u", i);
		bool wanted = false;

		for (size_t j = 0; j < v->n; j++)
			wanted = wanted || str_eq(v->v[j].name, other);
		if (wanted || name_taken(c->ct, other))
			continue;
		free(venet->name);
		venet->name = TAKE_PTR(other);
		return;
	}
}

/* The kernel gives bits of the first byte a meaning: one of a group is no address of a host. */
static bool hwaddr_usable(const char *hwaddr)
{
	return hwaddr && !(strtoul(hwaddr, NULL, 16) & 1);
}

static void add(
	struct conversion *c, struct ve_param *p, const struct ve_netif *from, const char *bridge)
{
	struct netif *n = netif_vec_push(&c->ct->netifs);

	*n = (struct netif){
		.type = NETIF_VETH,
		.index = (uint32_t)(c->ct->netifs.n - 1),
		.up = true,
		.name = xstrdup(from->name),
		.link = xstrdup(from->bridge ? from->bridge : bridge),
		.hwaddr = hwaddr_usable(from->hwaddr) ? xstrdup(from->hwaddr) : NULL,
	};
	for (size_t i = 0; from->addresses && from->addresses[i]; i++)
		if (!ve_address_any(from->addresses[i]))
			strv_push(&n->addresses, from->addresses[i]);
	for (size_t i = 0; from->gateways && from->gateways[i]; i++)
		strv_push(&n->gateways, from->gateways[i]);
	ve_result(p, "lxc.net.%u.name = %s", n->index, n->name);
	ve_result(p, "lxc.net.%u.link = %s", n->index, n->link);
	if (n->hwaddr)
		ve_result(p, "lxc.net.%u.hwaddr = %s", n->index, n->hwaddr);
	for (size_t i = 0; n->addresses && n->addresses[i]; i++)
		ve_result(p, "lxc.net.%u.ipv%d.address = %s", n->index,
			strchr(n->addresses[i], ':') ? 6 : 4, n->addresses[i]);
}

/* What is not kept of an interface, as clauses. */
static void add_remarks(struct str *s, const struct ve_netif *n, const char *bridge)
{
	if (!n->bridge)
		str_addf(s, "; %s was in no bridge on the OpenVZ node, it is in %s now", n->name,
			bridge);
	if (n->mac_filter || n->ip_filter)
		str_addf(s, "; nothing keeps %s from using other addresses", n->name);
	if (n->hwaddr && !hwaddr_usable(n->hwaddr))
		str_addf(s, "; %s gets another hardware address", n->name);
	for (size_t i = 0; n->others && n->others[i]; i++)
		str_addf(s, "; %s is not kept", n->others[i]);
}

static void map_interfaces(struct conversion *c, struct ve_param *p, const char *bridge)
{
	_cleanup_(ve_netif_done) struct ve_netif_vec v = {0};
	_cleanup_(str_done) struct str remarks = STR_INIT;

	if (!ve_netif_read(p->value, &v))
		return;
	for (size_t i = 0; i < v.n; i++)
		make_way(c, v.v[i].name, &v);
	for (size_t i = 0; i < v.n; i++) {
		if (name_taken(c->ct, v.v[i].name) || c->ct->netifs.n == CONTAINER_NETIFS_MAX) {
			str_addf(&remarks, "; %s is there already", v.v[i].name);
			continue;
		}
		add(c, p, &v.v[i], bridge);
		add_remarks(&remarks, &v.v[i], bridge);
	}
	if (!v.n)
		ve_say(p, VE_EXACT, "is no interface");
	else
		ve_say(p, remarks.len ? VE_PARTIAL : VE_APPROXIMATE,
			"needs bridges of these names on the destination, or its [bridges]%s",
			remarks.len ? remarks.buf : "");
}

void map_netif(struct conversion *c, const struct convert_options *o)
{
	struct ve_param *p = ve_get(&c->ve, "NETIF");

	if (p)
		map_interfaces(c, p, o->bridge ? o->bridge : "lxcbr0");
	ve_lose(ve_get(&c->ve, "NETDEV"), "took an interface of the OpenVZ node's hardware");
	ve_say(ve_get(&c->ve, "VETH"), VE_NONE, "is what NETIF was called before OpenVZ 3");
}
