/*
 * lxc.net.N.* and the model's network interfaces.
 */
#pragma once

#include "model/container.h"
#include "runtime/lxc_line.h"

/* Takes a line into c->netifs. key begins with "lxc.net". */
enum lxc_verdict lxc_net_read(
	struct container *c, const char *key, const char *value, const char **reason);
/* After the last line: what only makes sense for other types goes, types that take something of
 * the host are noted in c->refused. */
void lxc_net_finish(struct container *c);
void lxc_net_render(const struct netif *n, struct str *out);
/* Why an interface of this type reaches out of the container, or NULL. */
const char *lxc_net_type_reason(enum netif_type type);
/* "lxc.net.3.veth.pair": points at "veth.pair" and sets the number; NULL for another key. */
const char *lxc_net_subkey(const char *key, uint32_t *ret_index);
