/*
 * The parts of OpenVZ's network parameters: addresses, and the interfaces of NETIF.
 *
 *	for (size_t i = 0; words[i]; i++)
 *		char *address = ve_address(words[i]);	// "10.0.0.2/32", NULL if it is none
 */
#pragma once

#include <stdbool.h>

#include "base/vec.h"

/* With the prefix length that it has, or that of a single host; a dotted mask is understood. */
char *ve_address(const char *text);
bool ve_address_any(const char *address); /* "0.0.0.0/.." or "::/..", which is none at all */

/* Words of IP_ADDRESS, NAMESERVER, SEARCHDOMAIN: blank-separated; "" is none, "inherit" stands
 * alone. */
bool ve_addresses_ok(const char *s);
bool ve_nameservers_ok(const char *s);
bool ve_domains_ok(const char *s);

/* "ifname=eth0,mac=00:18:51:00:00:01,bridge=br0;ifname=..." */
struct ve_netif {
	char *name;
	char *hwaddr, *host_name, *host_hwaddr, *bridge; /* may be NULL */
	bool mac_filter, ip_filter, dhcp;
	char **addresses; /* Virtuozzo's */
	char **gateways;
	char **others; /* keys that say something else, as they came */
};
VEC(ve_netif_vec, struct ve_netif);

bool ve_netif_ok(const char *s);
bool ve_netif_read(const char *s, struct ve_netif_vec *ret);
void ve_netif_done(struct ve_netif_vec *v);
