#include "runtime/lxc_render.h"

#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "runtime/lxc_cgroup.h"
#include "runtime/lxc_config.h"
#include "runtime/lxc_line.h"
#include "runtime/lxc_mount.h"
#include "runtime/lxc_net.h"
#include "runtime/lxc_volume.h"

static void render_root(const struct container *c, struct str *out)
{
	const char *path = c->volumes.v[0].path;
	_cleanup_free_ char *options = lxc_root_options(c);

	/* LXC finds out the type of a plain path, and would cut one at its first colon. */
	lxc_line_addf(out, "lxc.rootfs.path", "%s%s", strchr(path, ':') ? "dir:" : "", path);
	if (options)
		lxc_line_add(out, "lxc.rootfs.options", options);
}

/* Before anything of it is looked at, the container's filesystems are mounted. */
static void render_mounters(const struct container *c, struct str *out)
{
	for (size_t i = 0; i < c->volumes.n; i++)
		if (c->volumes.v[i].mounted) {
			_cleanup_free_ char *line = lxc_volume_mounter(&c->volumes.v[i]);

			lxc_line_add(out, LXC_GUARD_KEY, line);
		}
}

static void render_idmap(const struct container *c, struct str *out)
{
	for (size_t i = 0; i < c->idmap.ranges.n; i++) {
		_cleanup_free_ char *text = idrange_text(&c->idmap.ranges.v[i]);

		lxc_line_add(out, "lxc.idmap", text);
	}
}

static void render_start(const struct container *c, struct str *out)
{
	if (c->autostart)
		lxc_line_add(out, "lxc.start.auto", "1");
	if (c->autostart_delay)
		lxc_line_addf(out, "lxc.start.delay", "%u", c->autostart_delay);
	if (c->autostart_order)
		lxc_line_addf(out, "lxc.start.order", "%u", c->autostart_order);
}

/* Is it mounted where a volume is mounted below? Then it must be there first. */
static bool below_volume(const struct container *c, const struct option *o)
{
	_cleanup_(lxc_mount_done) struct mount_entry m = {0};
	size_t n;

	if (strcmp(o->key, "lxc.mount.entry") != 0 || !lxc_mount_parse(o->value, NULL, &m))
		return false;
	n = strlen(m.target);
	for (size_t i = 1; i < c->volumes.n; i++)
		if (strncmp(c->volumes.v[i].mountpoint, m.target, n) == 0 &&
			c->volumes.v[i].mountpoint[n] == '/')
			return true;
	return false;
}

/* An interface's type that a key's owner allowed is in the interface already. */
static bool said_already(const struct container *c, const struct option *o)
{
	uint32_t index;
	const char *sub = lxc_net_subkey(o->key, &index);

	if (!sub || strcmp(sub, "type") != 0)
		return false;
	for (size_t i = 0; i < c->netifs.n; i++)
		if (c->netifs.v[i].index == index &&
			strcmp(netif_type_name(c->netifs.v[i].type), o->value) == 0)
			return true;
	return false;
}

static void render_options(const struct container *c, bool before, struct str *out)
{
	for (size_t i = 0; i < c->options.n; i++) {
		const struct option *o = &c->options.v[i];

		if (below_volume(c, o) == before && !said_already(c, o))
			lxc_line_add(out, o->key, o->value);
	}
}

char *lxc_render(const struct container *c)
{
	struct str out = STR_INIT;

	str_add(&out,
		"# Written by Wherry when the container arrived: plain LXC, yours to edit.\n");
	for (size_t i = 0; c->includes && c->includes[i]; i++)
		lxc_line_addf(&out, "lxc.include", "%s/%s%s", LXC_SHARED_CONFIG, c->includes[i],
			str_ends(c->includes[i], ".d") ? "/" : "");
	if (c->hostname)
		lxc_line_add(&out, "lxc.uts.name", c->hostname);
	if (c->arch)
		lxc_line_add(&out, "lxc.arch", c->arch);
	render_root(c, &out);
	render_mounters(c, &out);
	render_idmap(c, &out);
	for (size_t i = 0; i < c->netifs.n; i++)
		lxc_net_render(&c->netifs.v[i], &out);
	lxc_cgroup_render(&c->limits, &out);
	render_start(c, &out);
	render_options(c, true, &out);
	for (size_t i = 1; i < c->volumes.n; i++) {
		_cleanup_free_ char *entry = lxc_volume_entry(c, &c->volumes.v[i]);

		lxc_line_add(&out, "lxc.mount.entry", entry);
	}
	render_options(c, false, &out);
	return str_take(&out);
}

/* The guard line, however it is spaced. */
static bool is_guard(const char *line, size_t n)
{
	_cleanup_free_ char *copy = xstrndup(line, n);
	char *equals = strchr(copy, '=');

	if (!equals)
		return false;
	*equals = '\0';
	return strcmp(str_trim(copy), LXC_GUARD_KEY) == 0 &&
	       strcmp(str_trim(equals + 1), LXC_GUARD_PROGRAM) == 0;
}

/* A text without a newline at its end gets one before the guard, and the guard none after it: so it
 * can be seen that this newline was ours. */
char *lxc_render_guard(const char *text, size_t n, bool on, size_t *ret_n)
{
	static const char guard[] = LXC_GUARD_KEY " = " LXC_GUARD_PROGRAM;
	struct str out = STR_INIT;
	bool open_end;

	for (size_t at = 0, len; at < n; at += len) {
		const char *newline = memchr(text + at, '\n', n - at);

		len = newline ? (size_t)(newline - text) - at + 1 : n - at;
		if (!is_guard(text + at, len - !!newline))
			str_addn(&out, text + at, len);
		else if (!newline && out.len)
			str_trunc(&out, out.len - 1);
	}
	open_end = out.len && out.buf[out.len - 1] != '\n';
	if (on) {
		str_addf(&out, "%s%s%s", open_end ? "\n" : "", guard, open_end ? "" : "\n");
	}
	*ret_n = out.len;
	return str_take(&out);
}
