#include "move/adopt.h"

#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/str.h"
#include "runtime/runtime.h"

void adopt_bridges(const struct move_ctx *m, struct container *c)
{
	for (size_t i = 0; i < c->netifs.n; i++) {
		struct netif *n = &c->netifs.v[i];
		char *to;

		if (!n->link)
			continue;
		to = xstrdup(config_bridge(m->cfg, n->link));
		free(n->link);
		n->link = to;
	}
}

/* This node's own range for unprivileged containers, where it has one: their ids on disk are
 * shifted as they come in. */
int adopt_ids(const struct move_ctx *m, struct container *c, struct err *err)
{
	const char *configured = m->cfg->idmap;
	struct idmap ours = {.unshifted = c->idmap.unshifted};
	int r;

	if (container_privileged(c))
		return 0;
	r = configured ? idmap_add(&ours, configured, err) : runtime_idmap(&c->idmap, &ours, err);
	if (r >= 0 && !idmap_covers(&ours, &c->idmap))
		r = err_set(err, ERR_UNSUPPORTED,
			"the destination's id map has no room for every id of container '%s'",
			c->name);
	if (r < 0) {
		idmap_done(&ours);
		return err_prefix(err, configured ? "[receive] idmap" : "id map");
	}
	idmap_done(&c->idmap);
	c->idmap = ours;
	return 0;
}

int adopt_same_ids(struct container *c, struct err *err)
{
	struct idmap ours = {0};
	int r = container_privileged(c) ? 0 : runtime_idmap(&c->idmap, &ours, err);

	if (r >= 0 && !container_privileged(c) && !idmap_same_on_disk(&c->idmap, &ours))
		r = err_set(err, ERR_UNSUPPORTED,
			"the files of container '%s' are of ids that the destination's root may "
			"not use: give them to it in /etc/subuid and /etc/subgid, as on the "
			"source, or have the container copied",
			c->name);
	idmap_done(&ours);
	return r;
}

/* In the range that virtual machines and containers use. It is fixed in the configuration, so that
 * it stays when the container moves. */
char *adopt_new_hwaddr(void)
{
	char token[41];

	state_token(token);
	return xasprintf("00:16:3e:%.2s:%.2s:%.2s", token, token + 2, token + 4);
}

static void collect_hwaddrs(char ***ret)
{
	_cleanup_strv_ char **names = NULL;
	struct err e = ERR_INIT;

	if (runtime_list(&names, &e) < 0)
		log_warning("%s", e.text);
	for (size_t i = 0; names && names[i]; i++) {
		_cleanup_container_ struct container *c = NULL;

		if (runtime_load(names[i], &c, &e) < 0)
			continue;
		for (size_t k = 0; k < c->netifs.n; k++)
			if (c->netifs.v[k].hwaddr)
				strv_push(ret, c->netifs.v[k].hwaddr);
	}
}

static bool taken(char *const *addresses, const char *hwaddr)
{
	for (size_t i = 0; addresses && addresses[i]; i++)
		if (!strcasecmp(addresses[i], hwaddr))
			return true;
	return false;
}

size_t adopt_hwaddrs(struct container *c, bool all)
{
	_cleanup_strv_ char **addresses = NULL;
	size_t changed = 0;

	collect_hwaddrs(&addresses);
	for (size_t i = 0; i < c->netifs.n; i++) {
		struct netif *n = &c->netifs.v[i];

		/* One with an x is drawn at each start. */
		if (!n->hwaddr || strchr(n->hwaddr, 'x') || (!all && !taken(addresses, n->hwaddr)))
			continue;
		free(n->hwaddr);
		n->hwaddr = adopt_new_hwaddr();
		changed++;
	}
	return changed;
}
