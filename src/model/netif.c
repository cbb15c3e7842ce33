#include "model/netif.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <net/if.h>
#include <string.h>

#include "base/alloc.h"
#include "base/json.h"
#include "base/num.h"
#include "base/str.h"
#include "model/wire.h"

static const char *const type_names[] = {
	[NETIF_EMPTY] = "empty",
	[NETIF_VETH] = "veth",
	[NETIF_MACVLAN] = "macvlan",
	[NETIF_IPVLAN] = "ipvlan",
	[NETIF_PHYS] = "phys",
	[NETIF_NONE] = "none",
};

const char *netif_type_name(enum netif_type t)
{
	return type_names[t];
}

int netif_type_from_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(type_names); i++)
		if (strcmp(type_names[i], name) == 0)
			return (int)i;
	return -1;
}

bool netif_name_ok(const char *s)
{
	size_t n = strnlen(s, IFNAMSIZ);

	if (n == 0 || n >= IFNAMSIZ || strcmp(s, ".") == 0 || strcmp(s, "..") == 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isascii(s[i]) || !isgraph((unsigned char)s[i]) || s[i] == '/')
			return false;
	return true;
}

bool netif_hwaddr_ok(const char *s)
{
	if (strlen(s) != strlen("00:16:3e:00:00:00"))
		return false;
	for (int i = 0; s[i]; i++)
		if (i % 3 == 2 ? s[i] != ':' : !strchr("0123456789abcdefABCDEFxX", s[i]))
			return false;
	return true;
}

/* 4 or 6, or 0 */
static int family_of(const char *address)
{
	struct in6_addr a;

	if (inet_pton(AF_INET, address, &a) == 1)
		return 4;
	return inet_pton(AF_INET6, address, &a) == 1 ? 6 : 0;
}

bool netif_address_ok(const char *s)
{
	struct err err = ERR_INIT;
	char address[INET6_ADDRSTRLEN];
	const char *slash = strchr(s, '/');
	uint32_t prefix;
	int family;

	if (!slash || (size_t)(slash - s) >= sizeof(address))
		return false;
	memcpy(address, s, (size_t)(slash - s));
	address[slash - s] = '\0';
	family = family_of(address);
	return family && num_u32(slash + 1, family == 4 ? 32 : 128, &prefix, &err) == 0;
}

int netif_gateway_family(const char *s)
{
	if (strcmp(s, "auto") == 0 || strcmp(s, "dev") == 0)
		return 4;
	if (strcmp(s, "auto6") == 0 || strcmp(s, "dev6") == 0)
		return 6;
	return family_of(s);
}

json_t *netif_json(const struct netif *n)
{
	json_t *obj = json_object();

	json_put_str(obj, "type", netif_type_name(n->type));
	json_put_u64(obj, "index", n->index);
	json_put_str(obj, "name", n->name);
	json_put_str(obj, "link", n->link);
	json_put_str(obj, "veth_mode", n->veth_mode);
	json_put_str(obj, "hwaddr", n->hwaddr);
	if (n->mtu)
		json_put_u64(obj, "mtu", n->mtu);
	if (n->up)
		json_put_bool(obj, "up", true);
	wire_put_strv(obj, "addresses", n->addresses);
	wire_put_strv(obj, "gateways", n->gateways);
	return obj;
}

struct wire {
	struct netif n;
	char *type;
	json_t *addresses, *gateways;
};

static const struct json_field fields[] = {
	JSON_STR(struct wire, type, "type", JSON_REQUIRED, 16),
	JSON_U32(struct wire, n.index, "index", JSON_REQUIRED, 0, NETIF_INDEX_MAX),
	JSON_STR(struct wire, n.name, "name", 0, IFNAMSIZ - 1),
	JSON_STR(struct wire, n.link, "link", 0, IFNAMSIZ - 1),
	JSON_STR(struct wire, n.veth_mode, "veth_mode", 0, 16),
	JSON_STR(struct wire, n.hwaddr, "hwaddr", 0, 17),
	JSON_U32(struct wire, n.mtu, "mtu", 0, 68, 65535),
	JSON_BOOL(struct wire, n.up, "up", 0),
	JSON_ANY(struct wire, addresses, "addresses", 0),
	JSON_ANY(struct wire, gateways, "gateways", 0),
	JSON_END,
};

static int bad(struct err *err, const char *what, const char *value)
{
	return err_set(err, ERR_INVALID, "\"%.64s\" is not %s", value, what);
}

static int check_names(const struct netif *n, struct err *err)
{
	if (n->name && !netif_name_ok(n->name))
		return bad(err, "a name of a network interface", n->name);
	if (n->link && !netif_name_ok(n->link))
		return bad(err, "a name of a bridge", n->link);
	if (n->hwaddr && !netif_hwaddr_ok(n->hwaddr))
		return bad(err, "a hardware address", n->hwaddr);
	if (n->veth_mode && (n->type != NETIF_VETH || (strcmp(n->veth_mode, "bridge") != 0 &&
							      strcmp(n->veth_mode, "router") != 0)))
		return bad(err, "a mode of this type of interface", n->veth_mode);
	return 0;
}

static int check_addresses(const struct netif *n, struct err *err)
{
	int have = 0;

	for (size_t i = 0; n->addresses && n->addresses[i]; i++)
		if (!netif_address_ok(n->addresses[i]))
			return bad(err, "an address with its prefix length", n->addresses[i]);
	for (size_t i = 0; n->gateways && n->gateways[i]; i++) {
		int family = netif_gateway_family(n->gateways[i]);
		int bit = family == 4 ? 1 : 2;

		if (!family)
			return bad(err, "a gateway", n->gateways[i]);
		if (have & bit)
			return err_set(err, ERR_INVALID, "two gateways for IPv%d", family);
		have |= bit;
	}
	return 0;
}

static int read_wire(const json_t *v, struct wire *w, struct err *err)
{
	int r = json_read(v, fields, 0, w, err), type;

	if (r < 0)
		return r;
	type = netif_type_from_name(w->type);
	if (type < 0)
		return bad(err, "a type of network interface", w->type);
	w->n.type = (enum netif_type)type;
	if ((r = wire_strv(w->addresses, "addresses", NETIF_ADDRESSES_MAX, 64, &w->n.addresses,
		     err)) < 0 ||
		(r = wire_strv(w->gateways, "gateways", 2, 64, &w->n.gateways, err)) < 0 ||
		(r = check_names(&w->n, err)) < 0)
		return r;
	return check_addresses(&w->n, err);
}

int netif_from_json(const json_t *v, struct netif *ret, struct err *err)
{
	struct wire w = {0};
	int r = read_wire(v, &w, err);

	free(w.type);
	json_decref(w.addresses);
	json_decref(w.gateways);
	if (r < 0) {
		netif_done(&w.n);
		return r;
	}
	*ret = w.n;
	return 0;
}

void netif_done(struct netif *n)
{
	free(n->name);
	free(n->link);
	free(n->veth_mode);
	free(n->hwaddr);
	strv_free(n->addresses);
	strv_free(n->gateways);
	*n = (struct netif){0};
}
