/*
 * A network interface of a container. Bridge names belong to a node; each node's config maps the names that arrive.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "base/err.h"
#include "base/vec.h"

enum netif_type { NETIF_EMPTY, NETIF_VETH, NETIF_MACVLAN, NETIF_IPVLAN, NETIF_PHYS, NETIF_NONE };

struct netif {
	enum netif_type type;
	uint32_t index;	   /* as the runtime numbers them */
	char *name;	   /* inside: "eth0", may be NULL */
	char *link;	   /* bridge or parent device, may be NULL */
	char *veth_mode;   /* "bridge" or "router", may be NULL */
	char *hwaddr;	   /* "00:16:3e:..", may be NULL; kept on a move, dropped on a clone */
	uint32_t mtu;	   /* 0: not said */
	bool up;
	char **addresses;  /* "10.0.0.2/24", "fd00::2/64" */
	char **gateways;   /* addresses, "auto" or "dev" */
};
VEC(netif_vec, struct netif);

const char *netif_type_name(enum netif_type t);
json_t *netif_json(const struct netif *n);
int netif_from_json(const json_t *v, struct netif *ret, struct err *err) _must_use_;
void netif_done(struct netif *n);
