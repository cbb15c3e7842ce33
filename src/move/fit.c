#include "move/fit.h"

#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "convert/fixup.h"
#include "runtime/cgroup.h"

#define UNIFIED_OK 232 /* the first systemd that boots with version 2 of control groups */

int fit_check(const struct container *c, struct err *err)
{
	if (!c->origin || !c->origin->systemd || c->origin->systemd >= UNIFIED_OK ||
		!cgroup_unified())
		return 0;
	return err_set(err, ERR_UNSUPPORTED,
		"container '%s' has systemd %u inside, which cannot boot on this node: it has "
		"version 2 "
		"of control groups only (boot it with systemd.unified_cgroup_hierarchy=0, or "
		"upgrade the "
		"container first)",
		c->name, c->origin->systemd);
}

/* Files and words of the container's: printable, before anybody reads them. */
static void say(struct move_ctx *m, const struct fix_change_vec *v, const char *how)
{
	for (size_t i = 0; i < v->n; i++) {
		_cleanup_free_ char *path = str_escape(v->v[i].path, strlen(v->v[i].path));

		move_say(m, "%s (%s): /%s: %s", how, v->v[i].name, path, v->v[i].what);
	}
}

int fit_guest(struct move_ctx *m, const struct container *c, struct volume *root, json_t **ret,
	struct err *err)
{
	_cleanup_(fixup_result_done) struct fixup_result res = {0};
	_cleanup_close_ int fd = -1;
	struct fixup_options o = {.unified = cgroup_unified()};
	int r;

	if (!c->origin)
		return 0;
	o.without = c->origin->without;
	o.nameservers = c->origin->nameservers;
	o.domains = c->origin->domains;
	o.unprivileged = !container_privileged(c);
	r = volume_root(root, &fd, err);
	if (r >= 0)
		r = fixup_apply(fd, &o, &res, err);
	if (r >= 0 && syncfs(fd) < 0)
		r = err_errno(err, "write what was changed to disk");
	if (r < 0)
		return err_prefix(
			err, "change what %s left in container '%s'", c->origin->runtime, c->name);
	say(m, &res.changes, "changed inside");
	say(m, &res.failed, "could not be changed inside");
	for (size_t i = 0; i < res.findings.n; i++)
		move_say(m, "to look after: %s", res.findings.v[i].text);
	*ret = fixup_json(&res);
	return 0;
}
