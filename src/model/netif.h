/*
 * A network interface of a container. Bridge names belong to a node; each node's config maps the
 * names that arrive.
 *
 * Wire form: an object with the fields that are set, by the names below; type by its name.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/vec.h"

enum netif_type { NETIF_EMPTY, NETIF_VETH, NETIF_MACVLAN, NETIF_IPVLAN, NETIF_PHYS, NETIF_NONE };

#define NETIF_INDEX_MAX	    65535
#define NETIF_ADDRESSES_MAX 64

struct netif {
	enum netif_type type;
	uint32_t index;	 /* as the runtime numbers them */
	char *name;	 /* inside: "eth0", may be NULL */
	char *link;	 /* bridge or parent device, may be NULL */
	char *veth_mode; /* "bridge" or "router", may be NULL */
	char *hwaddr;	 /* "00:16:3e:..", x for digits drawn at each start; may be NULL; kept on
			  * a move, dropped on a clone */
	uint32_t mtu;	 /* 0: not said */
	bool up;
	char **addresses; /* "10.0.0.2/24", "fd00::2/64" */
	char **gateways;  /* at most one of each family: an address; "auto" or "dev" for IPv4,
			   * "auto6" or "dev6" for IPv6 */
};
VEC(netif_vec, struct netif);

const char *netif_type_name(enum netif_type t);
int netif_type_from_name(const char *name); /* -1: there is none of that name */
bool netif_name_ok(const char *s);	    /* what the kernel takes as a name */
bool netif_hwaddr_ok(const char *s);
bool netif_address_ok(const char *s);	 /* with its prefix length */
int netif_gateway_family(const char *s); /* 4 or 6, 0 if it is no gateway */
json_t *netif_json(const struct netif *n);
int netif_from_json(const json_t *v, struct netif *ret, struct err *err) _must_use_;
void netif_done(struct netif *n);
