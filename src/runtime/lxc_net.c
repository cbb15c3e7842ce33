#include "runtime/lxc_net.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/alloc.h"
#include "base/num.h"

const char *lxc_net_type_reason(enum netif_type type)
{
	if (type == NETIF_PHYS)
		return "takes a network interface away from the host";
	if (type == NETIF_NONE)
		return "uses the host's own network";
	return NULL;
}

const char *lxc_net_subkey(const char *key, uint32_t *ret_index)
{
	struct err err = ERR_INIT;
	char digits[8];
	size_t n;

	if (!str_starts(key, "lxc.net."))
		return NULL;
	key += strlen("lxc.net.");
	n = strspn(key, "0123456789");
	if (n == 0 || n >= sizeof(digits) || (key[n] && key[n] != '.'))
		return NULL;
	memcpy(digits, key, n);
	digits[n] = '\0';
	if (num_u32(digits, NETIF_INDEX_MAX, ret_index, &err) < 0)
		return NULL;
	return key[n] ? key + n + 1 : key + n;
}

static struct netif *find(struct container *c, uint32_t index)
{
	for (size_t i = 0; i < c->netifs.n; i++)
		if (c->netifs.v[i].index == index)
			return &c->netifs.v[i];
	if (c->netifs.n == CONTAINER_NETIFS_MAX)
		return NULL;
	*netif_vec_push(&c->netifs) = (struct netif){.index = index};
	return &c->netifs.v[c->netifs.n - 1];
}

static void forget(struct container *c, uint32_t index)
{
	for (size_t i = 0; i < c->netifs.n; i++) {
		if (c->netifs.v[i].index != index)
			continue;
		netif_done(&c->netifs.v[i]);
		memmove(&c->netifs.v[i], &c->netifs.v[i + 1],
			(c->netifs.n - i - 1) * sizeof(struct netif));
		c->netifs.n--;
		return;
	}
}

static bool is_v6(const char *address)
{
	return strchr(address, ':') || strcmp(address, "auto6") == 0 ||
	       strcmp(address, "dev6") == 0;
}

/* Removes those of one family. */
static void clear_family(char **list, bool v6)
{
	size_t kept = 0;

	for (size_t i = 0; list && list[i]; i++) {
		if (is_v6(list[i]) == v6)
			free(list[i]);
		else
			list[kept++] = list[i];
	}
	if (list)
		list[kept] = NULL;
}

/* LXC's guess for an address without a prefix length: that of its old network class. */
static unsigned class_prefix(const char *address)
{
	struct in_addr a;

	if (inet_pton(AF_INET, address, &a) != 1)
		return 0;
	return ntohl(a.s_addr) >> 31 == 0 ? 8 : ntohl(a.s_addr) >> 30 == 2 ? 16 : 24;
}

/* "10.0.0.2/24 10.0.0.255": is the broadcast address the one that LXC would work out by itself? */
static bool usual_broadcast(const char *address, const char *broadcast)
{
	_cleanup_free_ char *host = xstrndup(address, strcspn(address, "/"));
	unsigned prefix = (unsigned)atoi(address + strlen(host) + 1);
	struct in_addr a, b;

	if (inet_pton(AF_INET, host, &a) != 1 || inet_pton(AF_INET, broadcast, &b) != 1)
		return false;
	if (prefix >= 31)
		return b.s_addr == INADDR_ANY;
	return b.s_addr == (a.s_addr | htonl(INADDR_BROADCAST >> prefix));
}

static const char *add_address(struct netif *n, const char *value, bool v6)
{
	_cleanup_strv_ char **words = str_words(value);
	_cleanup_free_ char *address = NULL;
	size_t count = strv_len(words);

	if (count < 1 || count > (v6 ? 1 : 2))
		return LXC_BAD_VALUE;
	address = strchr(words[0], '/')
			  ? xstrdup(words[0])
			  : xasprintf("%s/%u", words[0], v6 ? 64 : class_prefix(words[0]));
	if (!netif_address_ok(address) || is_v6(address) != v6)
		return LXC_BAD_VALUE;
	if (count == 2 && !usual_broadcast(address, words[1]))
		return "has a broadcast address that does not follow from its prefix";
	if (strv_len(n->addresses) == NETIF_ADDRESSES_MAX)
		return "is one address too many";
	if (!strv_has(n->addresses, address))
		strv_push(&n->addresses, address);
	return NULL;
}

static const char *read_address(struct netif *n, const char *value, bool v6)
{
	if (value[0])
		return add_address(n, value, v6);
	clear_family(n->addresses, v6);
	return NULL;
}

static const char *read_gateway(struct netif *n, const char *value, bool v6)
{
	_cleanup_free_ char *gateway = NULL;
	bool word = strcmp(value, "auto") == 0 || strcmp(value, "dev") == 0;

	gateway = word && v6 ? xasprintf("%s6", value) : xstrdup(value);
	if (value[0] && netif_gateway_family(gateway) != (v6 ? 6 : 4))
		return LXC_BAD_VALUE;
	clear_family(n->gateways, v6); /* LXC knows one of each */
	if (value[0])
		strv_push(&n->gateways, gateway);
	return NULL;
}

static const char *replace(char **field, const char *value, bool ok)
{
	if (value[0] && !ok)
		return LXC_BAD_VALUE;
	free(*field);
	*field = value[0] ? xstrdup(value) : NULL;
	return NULL;
}

static const char *read_mtu(struct netif *n, const char *value)
{
	struct err err = ERR_INIT;
	uint32_t mtu = 0;

	if (value[0] && (num_u32(value, 65535, &mtu, &err) < 0 || mtu < 68))
		return LXC_BAD_VALUE;
	n->mtu = mtu;
	return NULL;
}

static const char *read_type(struct netif *n, const char *value)
{
	int type = netif_type_from_name(value);

	if (strcmp(value, "vlan") == 0)
		return "makes a VLAN interface, which Wherry does not carry";
	if (type < 0)
		return LXC_BAD_VALUE;
	n->type = (enum netif_type)type;
	return NULL;
}

static const char *read_mode(struct netif *n, const char *value)
{
	bool ok = strcmp(value, "bridge") == 0 || strcmp(value, "router") == 0;

	return replace(&n->veth_mode, value, ok);
}

static const char *read_flags(struct netif *n, const char *value)
{
	n->up = value[0] != '\0'; /* LXC takes any value for "up" */
	return NULL;
}

static const char *read_link(struct netif *n, const char *value)
{
	return replace(&n->link, value, netif_name_ok(value));
}

static const char *read_name(struct netif *n, const char *value)
{
	return replace(&n->name, value, netif_name_ok(value));
}

static const char *read_hwaddr(struct netif *n, const char *value)
{
	return replace(&n->hwaddr, value, netif_hwaddr_ok(value));
}

static const char *read_address4(struct netif *n, const char *value)
{
	return read_address(n, value, false);
}

static const char *read_address6(struct netif *n, const char *value)
{
	return read_address(n, value, true);
}

static const char *read_gateway4(struct netif *n, const char *value)
{
	return read_gateway(n, value, false);
}

static const char *read_gateway6(struct netif *n, const char *value)
{
	return read_gateway(n, value, true);
}

/* What the model has a field for; NULL when taken, else the reason. */
static const struct subkey {
	const char *name;
	const char *(*read)(struct netif *n, const char *value);
} subkeys[] = {
	{"type", read_type},
	{"flags", read_flags},
	{"link", read_link},
	{"name", read_name},
	{"hwaddr", read_hwaddr},
	{"mtu", read_mtu},
	{"veth.mode", read_mode},
	{"ipv4.address", read_address4},
	{"ipv6.address", read_address6},
	{"ipv4.gateway", read_gateway4},
	{"ipv6.gateway", read_gateway6},
};

static const struct subkey *find_subkey(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(subkeys); i++)
		if (strcmp(subkeys[i].name, name) == 0)
			return &subkeys[i];
	return NULL;
}

static void clear_all(struct container *c)
{
	for (size_t i = 0; i < c->netifs.n; i++)
		netif_done(&c->netifs.v[i]);
	c->netifs.n = 0;
}

enum lxc_verdict lxc_net_read(
	struct container *c, const char *key, const char *value, const char **reason)
{
	const struct subkey *known;
	const char *sub;
	struct netif *n;
	uint32_t index;

	*reason = LXC_BAD_VALUE;
	if (strcmp(key, "lxc.net") == 0) {
		if (!value[0])
			clear_all(c);
		return value[0] ? LXC_REFUSED : LXC_TAKEN;
	}
	sub = lxc_net_subkey(key, &index);
	if (!sub)
		return LXC_OTHER;
	if (!sub[0]) {
		forget(c, index);
		return value[0] ? LXC_REFUSED : LXC_TAKEN;
	}
	known = find_subkey(sub);
	if (!known)
		return LXC_OTHER;
	n = find(c, index);
	*reason = n ? known->read(n, value) : "is of one network interface too many";
	return *reason ? LXC_REFUSED : LXC_TAKEN;
}

void lxc_net_finish(struct container *c)
{
	for (size_t i = 0; i < c->netifs.n; i++) {
		struct netif *n = &c->netifs.v[i];
		const char *reason = lxc_net_type_reason(n->type);
		_cleanup_free_ char *key = xasprintf("lxc.net.%u.type", n->index);

		if (n->type != NETIF_VETH) {
			free(n->veth_mode);
			n->veth_mode = NULL;
		}
		if (reason)
			option_add(&c->refused, key, netif_type_name(n->type), reason);
	}
}

static void put(struct str *out, const struct netif *n, const char *sub, const char *value)
{
	_cleanup_free_ char *key = xasprintf("lxc.net.%u.%s", n->index, sub);

	if (value)
		lxc_line_add(out, key, value);
}

void lxc_net_render(const struct netif *n, struct str *out)
{
	_cleanup_free_ char *mtu = n->mtu ? xasprintf("%u", n->mtu) : NULL;

	put(out, n, "type", netif_type_name(n->type)); /* first: others depend on it */
	put(out, n, "veth.mode", n->veth_mode);
	put(out, n, "link", n->link);
	put(out, n, "flags", n->up ? "up" : NULL);
	put(out, n, "name", n->name);
	put(out, n, "hwaddr", n->hwaddr);
	put(out, n, "mtu", mtu);
	for (size_t i = 0; n->addresses && n->addresses[i]; i++)
		put(out, n, is_v6(n->addresses[i]) ? "ipv6.address" : "ipv4.address",
			n->addresses[i]);
	for (size_t i = 0; n->gateways && n->gateways[i]; i++) {
		const char *g = n->gateways[i];
		_cleanup_free_ char *word = is_v6(g) && !strchr(g, ':') ? xstrndup(g, strlen(g) - 1)
									: NULL;

		put(out, n, is_v6(g) ? "ipv6.gateway" : "ipv4.gateway", word ? word : g);
	}
}
