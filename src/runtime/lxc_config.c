#include "runtime/lxc_config.h"

#include <string.h>

#include "base/alloc.h"
#include "base/num.h"
#include "base/str.h"
#include "model/wire.h"
#include "runtime/lxc_cgroup.h"
#include "runtime/lxc_line.h"
#include "runtime/lxc_net.h"
#include "runtime/lxc_option.h"
#include "runtime/lxc_render.h"
#include "runtime/lxc_volume.h"

struct reader {
	const struct lxc_place *place;
	struct container *c;
	struct lxc_cgroup cgroup;
	struct lxc_root root;
	unsigned old_net; /* "lxc.network.type" of LXC 2 begins a new interface each time */
	const char *reason;
	struct err *err; /* set by a reader that fails the whole file */
};

static void reader_done(struct reader *r)
{
	container_free(r->c);
	lxc_cgroup_done(&r->cgroup);
	lxc_root_done(&r->root);
}

static void set(char **field, const char *value)
{
	free(*field);
	*field = value && value[0] ? xstrdup(value) : NULL;
}

/* Readers of one key each; the reason of LXC_REFUSED is LXC_BAD_VALUE unless they set another. */

static enum lxc_verdict read_uts_name(struct reader *r, const char *value)
{
	if (value[0] && !name_ok(value, 64, "_.-"))
		return LXC_REFUSED;
	set(&r->c->hostname, value);
	return LXC_TAKEN;
}

static enum lxc_verdict read_arch(struct reader *r, const char *value)
{
	if (value[0] && !name_ok(value, 32, "_-"))
		return LXC_REFUSED;
	set(&r->c->arch, value);
	return LXC_TAKEN;
}

static enum lxc_verdict read_rootfs_path(struct reader *r, const char *value)
{
	const char *colon = strchr(value, ':');
	_cleanup_free_ char *type = colon ? xstrndup(value, (size_t)(colon - value)) : NULL;

	set(&r->root.type, type);
	set(&r->root.path, colon ? colon + 1 : value);
	return LXC_TAKEN;
}

static enum lxc_verdict read_rootfs_options(struct reader *r, const char *value)
{
	set(&r->root.options, value);
	return LXC_TAKEN;
}

/* A map that is not understood must not pass for none: the container would seem privileged. */
static enum lxc_verdict read_idmap(struct reader *r, const char *value)
{
	if (!value[0])
		idmap_done(&r->c->idmap);
	else if (idmap_add(&r->c->idmap, value, r->err) < 0)
		return LXC_TAKEN; /* r->err fails the file */
	return LXC_TAKEN;
}

static enum lxc_verdict read_start_auto(struct reader *r, const char *value)
{
	if (value[0] && strcmp(value, "0") != 0 && strcmp(value, "1") != 0)
		return LXC_REFUSED;
	r->c->autostart = value[0] == '1';
	return LXC_TAKEN;
}

static enum lxc_verdict read_number(const char *value, uint32_t *field)
{
	struct err err = ERR_INIT;
	uint32_t v = 0;

	if (value[0] && num_u32(value, INT32_MAX, &v, &err) < 0)
		return LXC_REFUSED;
	*field = v;
	return LXC_TAKEN;
}

static enum lxc_verdict read_start_delay(struct reader *r, const char *value)
{
	return read_number(value, &r->c->autostart_delay);
}

static enum lxc_verdict read_start_order(struct reader *r, const char *value)
{
	return read_number(value, &r->c->autostart_order);
}

static enum lxc_verdict read_include(struct reader *r, const char *value)
{
	size_t n = strlen(LXC_SHARED_CONFIG);
	_cleanup_free_ char *name = NULL;

	if (strncmp(value, LXC_SHARED_CONFIG, n) != 0 || value[n] != '/')
		return LXC_OTHER;
	name = xstrdup(value + n + strspn(value + n, "/"));
	while (name[0] && name[strlen(name) - 1] == '/')
		name[strlen(name) - 1] = '\0';
	if (!include_name_ok(name))
		return LXC_OTHER;
	if (!strv_has(r->c->includes, name))
		strv_push(&r->c->includes, name);
	return LXC_TAKEN;
}

static enum lxc_verdict read_mount_entry(struct reader *r, const char *value)
{
	if (value[0]) {
		strv_push(&r->root.mounts, value);
	} else {
		strv_free(r->root.mounts);
		r->root.mounts = NULL;
	}
	return LXC_TAKEN;
}

static enum lxc_verdict read_hook_pre_start(struct reader *r, const char *value)
{
	if (strcmp(value, LXC_GUARD_PROGRAM) == 0)
		return LXC_TAKEN;
	if (!value[0]) { /* takes back what came before */
		strv_free(r->root.mounters);
		r->root.mounters = NULL;
	}
	if (!lxc_volume_mounter_like(value))
		return LXC_OTHER;
	strv_push(&r->root.mounters, value);
	return LXC_TAKEN;
}

static const struct {
	const char *key;
	enum lxc_verdict (*read)(struct reader *r, const char *value);
} keys[] = {
	{"lxc.uts.name", read_uts_name},
	{"lxc.arch", read_arch},
	{"lxc.rootfs.path", read_rootfs_path},
	{"lxc.rootfs.options", read_rootfs_options},
	{"lxc.idmap", read_idmap},
	{"lxc.start.auto", read_start_auto},
	{"lxc.start.delay", read_start_delay},
	{"lxc.start.order", read_start_order},
	{"lxc.include", read_include},
	{"lxc.mount.entry", read_mount_entry},
	{LXC_GUARD_KEY, read_hook_pre_start},
};

static enum lxc_verdict read_key(struct reader *r, const char *key, const char *value)
{
	enum lxc_verdict v;

	r->reason = LXC_BAD_VALUE;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (strcmp(keys[i].key, key) == 0)
			return keys[i].read(r, value);
	v = lxc_net_read(r->c, key, value, &r->reason);
	if (v == LXC_OTHER)
		v = lxc_cgroup_read(&r->cgroup, key, value, &r->reason);
	return v;
}

static void drop_options(struct option_vec *v, const char *key)
{
	size_t kept = 0;

	for (size_t i = 0; i < v->n; i++) {
		if (strcmp(v->v[i].key, key) == 0) {
			free(v->v[i].key);
			free(v->v[i].value);
			free(v->v[i].reason);
		} else {
			v->v[kept++] = v->v[i];
		}
	}
	v->n = kept;
}

static void read_option(struct reader *r, const char *key, const char *value)
{
	if (!value[0]) { /* takes back what came before, here and in includes */
		drop_options(&r->c->options, key);
		drop_options(&r->c->refused, key);
	}
	if (lxc_option_harmless(key, value, &r->reason))
		option_add(&r->c->options, key, value, NULL);
	else
		option_add(&r->c->refused, key, value, r->reason);
}

/* "lxc.network.ipv4" of LXC 2 is "lxc.net.N.ipv4.address". */
static char *rename_network(struct reader *r, const char *sub)
{
	if (strcmp(sub, "type") == 0)
		r->old_net++;
	if (strcmp(sub, "ipv4") == 0 || strcmp(sub, "ipv6") == 0)
		return xasprintf("lxc.net.%u.%s.address", r->old_net - !!r->old_net, sub);
	return xasprintf("lxc.net.%u.%s", r->old_net - !!r->old_net, sub);
}

/* A tab is a blank, but in the environment it may be meant. */
static void blank_tabs(const char *key, char *value)
{
	if (strcmp(key, "lxc.environment") == 0)
		return;
	for (; *value; value++)
		if (*value == '\t')
			*value = ' ';
}

/* A line that could not be shown or sent: only to name it. */
static void refuse_line(struct reader *r, const char *key, const char *value)
{
	_cleanup_free_ char *line = xasprintf("%s = %s", key, value);
	_cleanup_free_ char *shown = str_escape(line, strnlen(line, 256));

	option_add(&r->c->refused, "lxc", shown, "is not a line of plain text, or is too long");
}

static void read_pair(struct reader *r, const char *key, char *value)
{
	static const char *const gone[] = {"lxc.kmsg", "lxc.pivotdir", "lxc.rootfs.backend"};
	_cleanup_free_ char *now = str_starts(key, "lxc.network.")
					   ? rename_network(r, key + strlen("lxc.network."))
					   : lxc_option_rename(key);
	enum lxc_verdict v;

	for (size_t i = 0; i < ARRAY_SIZE(gone); i++)
		if (strcmp(gone[i], key) == 0)
			return;
	key = now ? now : key;
	blank_tabs(key, value);
	if (!option_key_ok(key) || !option_value_ok(value)) {
		refuse_line(r, key, value);
		return;
	}
	v = read_key(r, key, value);
	if (v == LXC_OTHER)
		read_option(r, key, value);
	else if (v == LXC_REFUSED)
		option_add(&r->c->refused, key, value, r->reason);
}

/* Splits as LXC does: blanks are spaces and tabs, a pair of quotes around the value goes, lines
 * that begin with anything but "lxc." are nobody's. False: a line that LXC would not take. */
static bool split_line(char *line, char **ret_key, char **ret_value)
{
	char *equals, *end, *value;

	*ret_key = NULL;
	line += strspn(line, " \t");
	if (!str_starts(line, "lxc."))
		return true;
	equals = strchr(line, '=');
	if (!equals)
		return false;
	for (end = equals; end > line && strchr(" \t", end[-1]); end--)
		;
	*end = '\0';
	value = equals + 1 + strspn(equals + 1, " \t");
	for (end = value + strlen(value); end > value && strchr(" \t", end[-1]); end--)
		;
	*end = '\0';
	if ((value[0] == '"' || value[0] == '\'') && end - value > 1 && end[-1] == value[0]) {
		end[-1] = '\0';
		value++;
	}
	*ret_key = line;
	*ret_value = value;
	return true;
}

/* LXC passes over it, and so does a move: if it was meant to do something, its owner should know.
 * Comments and empty lines are meant to do nothing. */
static void note_ignored(struct reader *r, unsigned number, const char *line)
{
	_cleanup_free_ char *shown = NULL, *text = NULL;

	line += strspn(line, " \t");
	if (!*line || *line == '#' || strv_len(r->c->ignored) == CONTAINER_IGNORED_MAX)
		return;
	shown = str_escape(line, strnlen(line, 64));
	text = xasprintf("line %u (%s)", number, shown);
	strv_push(&r->c->ignored, text);
}

/* What a peer would take. */
static int check_length(const struct container *c, struct err *err)
{
	if (c->options.n <= CONTAINER_OPTIONS_MAX && c->refused.n <= CONTAINER_OPTIONS_MAX &&
		strv_len(c->includes) <= CONTAINER_INCLUDES_MAX)
		return 0;
	return err_set(err, ERR_INVALID, "over %d lines of configuration, or over %d includes",
		CONTAINER_OPTIONS_MAX, CONTAINER_INCLUDES_MAX);
}

static int read_lines(struct reader *r, char *text, struct err *err)
{
	unsigned number = 1;
	char *line = text;

	for (;;) {
		size_t n = strcspn(line, "\r\n");
		char end = line[n], *key, *value;

		line[n] = '\0';
		if (!split_line(line, &key, &value))
			return err_set(
				err, ERR_INVALID, "line %u has no \"=\": %.64s", number, line);
		if (key)
			read_pair(r, key, value);
		else
			note_ignored(r, number, line);
		if (err->code || check_length(r->c, err) < 0)
			return err_prefix(err, "line %u", number);
		if (!end)
			return 0;
		number += end == '\n';
		line += n + 1;
	}
}

static int finish(struct reader *r, struct err *err)
{
	struct container *c = r->c;

	lxc_volume_finish(&r->root, r->place, c);
	lxc_net_finish(c);
	lxc_cgroup_finish(&r->cgroup, r->place->unified, c);
	return check_length(c, err);
}

int lxc_config_parse(const char *text, size_t n, const struct lxc_place *place,
	struct container **ret, struct err *err)
{
	_cleanup_(reader_done) struct reader r = {.place = place, .err = err};
	_cleanup_free_ char *copy = NULL;
	int e;

	if (n > LXC_CONFIG_MAX)
		return err_set(err, ERR_INVALID, "the configuration is longer than %u bytes",
			LXC_CONFIG_MAX);
	copy = xstrndup(text, n); /* up to a NUL, like LXC */
	r.c = container_new(place->name);
	lxc_cgroup_init(&r.cgroup);
	err_clear(err);
	e = read_lines(&r, copy, err);
	if (e < 0 || (e = finish(&r, err)) < 0)
		return e;
	*ret = TAKE_PTR(r.c);
	return 0;
}
