#include "convert/ve_net.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/num.h"
#include "base/str.h"
#include "model/netif.h"
#include "model/wire.h"

static int family_of(const char *s)
{
	struct in6_addr a;

	return inet_pton(AF_INET, s, &a) == 1 ? 4 : inet_pton(AF_INET6, s, &a) == 1 ? 6 : 0;
}

/* "255.255.255.0" is 24; -1 if it is no mask. */
static int mask_length(const char *s)
{
	struct in_addr a;
	uint32_t mask;
	int n = 0;

	if (inet_pton(AF_INET, s, &a) != 1)
		return -1;
	mask = ntohl(a.s_addr);
	while (n < 32 && mask & (UINT32_C(1) << (31 - n)))
		n++;
	return n == 32 || (mask << n) == 0 ? n : -1;
}

char *ve_address(const char *text)
{
	_cleanup_free_ char *host = xstrndup(text, strcspn(text, "/")), *address = NULL;
	const char *prefix = text[strlen(host)] ? text + strlen(host) + 1 : NULL;
	int family = family_of(host), mask = prefix ? mask_length(prefix) : -1;

	if (!family)
		return NULL;
	if (!prefix)
		address = xasprintf("%s/%d", host, family == 4 ? 32 : 128);
	else if (family == 4 && mask >= 0)
		address = xasprintf("%s/%d", host, mask);
	else
		address = xstrdup(text);
	return netif_address_ok(address) ? TAKE_PTR(address) : NULL;
}

bool ve_address_any(const char *address)
{
	_cleanup_free_ char *host = xstrndup(address, strcspn(address, "/"));
	struct in6_addr a = {0};
	static const struct in6_addr zero;

	return inet_pton(strchr(host, ':') ? AF_INET6 : AF_INET, host, &a) == 1 &&
	       memcmp(&a, &zero, sizeof(a)) == 0;
}

bool ve_addresses_ok(const char *s)
{
	_cleanup_strv_ char **words = str_words(s);

	for (size_t i = 0; words[i]; i++) {
		_cleanup_free_ char *address = ve_address(words[i]);

		if (!address)
			return false;
	}
	return true;
}

bool ve_nameservers_ok(const char *s)
{
	_cleanup_strv_ char **words = str_words(s);

	if (str_eq(s, "inherit"))
		return true;
	for (size_t i = 0; words[i]; i++)
		if (!family_of(words[i]))
			return false;
	return true;
}

bool ve_domains_ok(const char *s)
{
	_cleanup_strv_ char **words = str_words(s);

	for (size_t i = 0; words[i]; i++)
		if (!name_ok(words[i], 253, "_.-"))
			return false;
	return true;
}

void ve_netif_done(struct ve_netif_vec *v)
{
	for (size_t i = 0; i < v->n; i++) {
		struct ve_netif *n = &v->v[i];

		free(n->name);
		free(n->hwaddr);
		free(n->host_name);
		free(n->host_hwaddr);
		free(n->bridge);
		strv_free(n->addresses);
		strv_free(n->gateways);
		strv_free(n->others);
	}
	ve_netif_vec_done(v);
}

/* The first one counts. */
static bool set(char **field, const char *value)
{
	if (!*field)
		*field = xstrdup(value);
	return true;
}

static bool read_name(struct ve_netif *n, const char *value)
{
	return netif_name_ok(value) && set(&n->name, value);
}

static bool read_hwaddr(struct ve_netif *n, const char *value)
{
	return netif_hwaddr_ok(value) && !strpbrk(value, "xX") && set(&n->hwaddr, value);
}

static bool read_host_hwaddr(struct ve_netif *n, const char *value)
{
	return netif_hwaddr_ok(value) && set(&n->host_hwaddr, value);
}

static bool read_host_name(struct ve_netif *n, const char *value)
{
	return netif_name_ok(value) && set(&n->host_name, value);
}

static bool read_bridge(struct ve_netif *n, const char *value)
{
	return netif_name_ok(value) && set(&n->bridge, value);
}

static bool read_mac_filter(struct ve_netif *n, const char *value)
{
	n->mac_filter = str_eq(value, "on");
	return true;
}

static bool read_ip_filter(struct ve_netif *n, const char *value)
{
	n->ip_filter = str_eq(value, "on") || str_eq(value, "yes");
	return true;
}

static bool read_dhcp(struct ve_netif *n, const char *value)
{
	n->dhcp = n->dhcp || str_eq(value, "yes");
	return true;
}

static bool read_addresses(struct ve_netif *n, const char *value, const char *seps)
{
	_cleanup_strv_ char **words = str_split(value, seps, false);

	for (size_t i = 0; words[i]; i++) {
		_cleanup_free_ char *address = ve_address(words[i]);

		if (!address || strv_len(n->addresses) >= NETIF_ADDRESSES_MAX)
			return false;
		if (!strv_has(n->addresses, address))
			strv_push(&n->addresses, address);
	}
	return true;
}

static bool read_ip(struct ve_netif *n, const char *value)
{
	return read_addresses(n, value, ":");
}

/* One address only: the separator of a list is also that of its parts. */
static bool read_ip6(struct ve_netif *n, const char *value)
{
	return read_addresses(n, value, "");
}

static bool read_gateway(struct ve_netif *n, const char *value)
{
	int family = family_of(value);

	for (size_t i = 0; n->gateways && n->gateways[i]; i++)
		if (family_of(n->gateways[i]) == family)
			return true;
	if (family)
		strv_push(&n->gateways, value);
	return family || !*value;
}

static const struct {
	const char *name;
	bool (*read)(struct ve_netif *n, const char *value);
} keys[] = {
	{"ifname", read_name},
	{"mac", read_hwaddr},
	{"host_mac", read_host_hwaddr},
	{"host_ifname", read_host_name},
	{"bridge", read_bridge},
	{"mac_filter", read_mac_filter},
	{"ip_filter", read_ip_filter},
	{"dhcp", read_dhcp},
	{"dhcp6", read_dhcp},
	{"ip", read_ip},
	{"ip6", read_ip6},
	{"gw", read_gateway},
	{"gw6", read_gateway},
};

static bool read_key(struct ve_netif *n, const char *word)
{
	const char *equals = strchr(word, '=');

	for (size_t i = 0; equals && i < ARRAY_SIZE(keys); i++)
		if (strncmp(word, keys[i].name, (size_t)(equals - word)) == 0 &&
			!keys[i].name[equals - word])
			return keys[i].read(n, equals + 1);
	if (!text_ok(word, 256))
		return false;
	strv_push(&n->others, word);
	return true;
}

static bool read_one(struct ve_netif *n, const char *s)
{
	_cleanup_strv_ char **words = str_split(s, ", \t", false);

	for (size_t i = 0; words[i]; i++)
		if (!read_key(n, words[i]))
			return false;
	return n->name != NULL;
}

bool ve_netif_read(const char *s, struct ve_netif_vec *ret)
{
	_cleanup_strv_ char **parts = str_split(s, ";", false);
	_cleanup_(ve_netif_done) struct ve_netif_vec v = {0};

	for (size_t i = 0; parts[i]; i++) {
		if (!parts[i][strspn(parts[i], " \t")])
			continue;
		*ve_netif_vec_push(&v) = (struct ve_netif){0};
		if (v.n > 64 || !read_one(&v.v[v.n - 1], parts[i]))
			return false;
	}
	if (ret) {
		*ret = v;
		v = (struct ve_netif_vec){0};
	}
	return true;
}

bool ve_netif_ok(const char *s)
{
	return ve_netif_read(s, NULL);
}
