/*
 * Devices: by number (DEVICES), by name (DEVNODES), of the PCI bus.
 */
#include <ctype.h>
#include <string.h>

#include "base/str.h"
#include "convert/map.h"
#include "model/wire.h"
#include "runtime/lxc_mount.h"

#define ALLOW "lxc.cgroup2.devices.allow"

/* Devices whose numbers are the same everywhere. */
static const struct {
	const char *name, *device;
} known[] = {
	{"net/tun", "c 10:200"},
	{"fuse", "c 10:229"},
	{"ppp", "c 108:0"},
	{"kvm", "c 10:232"},
	{"random", "c 1:8"},
	{"urandom", "c 1:9"},
	{"null", "c 1:3"},
	{"zero", "c 1:5"},
	{"full", "c 1:7"},
	{"tty", "c 5:0"},
};

static bool is_number(const char *s)
{
	size_t n = strspn(s, "0123456789");

	return n > 0 && n < 8 && !s[n];
}

/* "rwq": q, of quotas, has no like; "m" comes with the node that it has anyway. */
static char *access_of(const char *mode, bool *ret_quota)
{
	struct str s = STR_INIT;

	*ret_quota = strchr(mode, 'q');
	if (strspn(mode, "rwq") != strlen(mode))
		return NULL;
	if (strchr(mode, 'r'))
		str_addc(&s, 'r');
	if (strchr(mode, 'w'))
		str_addc(&s, 'w');
	if (s.len)
		str_addc(&s, 'm');
	return str_take(&s);
}

static enum ve_class allow(struct conversion *c, struct ve_param *p, const char *device,
	const char *access, struct str *why)
{
	_cleanup_free_ char *value = xasprintf("%s %s", device, access);

	if (!*access)
		return VE_EXACT;
	if (map_option(c, p, ALLOW, value))
		return VE_EXACT;
	str_addf(why, "; %s is given to it only by a node that allows what is refused", device);
	return VE_PARTIAL;
}

/* "c:10:200:rw", "b:8:all:r" */
static enum ve_class map_number(
	struct conversion *c, struct ve_param *p, const char *word, struct str *why)
{
	_cleanup_strv_ char **part = str_split(word, ":", true);
	_cleanup_free_ char *device = NULL, *access = NULL;
	bool quota, all;

	if (strv_len(part) != 4 || (!str_eq(part[0], "b") && !str_eq(part[0], "c")) ||
		!is_number(part[1]))
		return VE_INVALID;
	all = str_eq(part[2], "all");
	access = str_eq(part[3], "none") ? xstrdup("") : access_of(part[3], &quota);
	if (!access || (!all && !is_number(part[2])))
		return VE_INVALID;
	device = xasprintf("%s %s:%s", part[0], part[1], all ? "*" : part[2]);
	return allow(c, p, device, access, why);
}

static const char *device_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (str_eq(known[i].name, name))
			return known[i].device;
	return NULL;
}

bool map_node(struct conversion *c, struct ve_param *p, const char *name)
{
	_cleanup_free_ char *line = xasprintf(
		"/dev/%s dev/%s none bind,optional,create=file 0 0", name, name);
	_cleanup_(lxc_mount_done) struct mount_entry m = {0};
	_cleanup_free_ char *entry = NULL;

	if (!lxc_mount_parse(line, NULL, &m))
		return false;
	entry = lxc_mount_text(&m);
	return map_option(c, p, "lxc.mount.entry", entry);
}

/* "net/tun:rw" */
static enum ve_class map_name(
	struct conversion *c, struct ve_param *p, const char *word, struct str *why)
{
	const char *colon = strrchr(word, ':'), *device;
	_cleanup_free_ char *name = colon ? xstrndup(word, (size_t)(colon - word)) : NULL;
	_cleanup_free_ char *access = NULL;
	enum ve_class class;
	bool quota;

	if (!name || !name_ok(name, 64, "/_-.") || strstr(name, ".."))
		return VE_INVALID;
	if (str_eq(colon + 1, "none"))
		return VE_EXACT;
	access = access_of(colon + 1, &quota);
	if (!access)
		return VE_INVALID;
	device = device_of(name);
	if (!device) {
		str_addf(why, "; the number of /dev/%s on the destination is not known here", name);
		return VE_PARTIAL;
	}
	class = allow(c, p, device, access, why);
	if (!map_node(c, p, name)) {
		str_addf(why, "; /dev/%s is given to it only by a node that allows what is refused",
			name);
		class = VE_PARTIAL;
	}
	return class;
}

static void map_list(struct conversion *c, struct ve_param *p,
	enum ve_class (*one)(struct conversion *, struct ve_param *, const char *, struct str *))
{
	_cleanup_strv_ char **words = str_words(p->value);
	struct map_words w = {0};

	for (size_t i = 0; words[i]; i++)
		map_word(&w, one(c, p, words[i], &w.why), words[i], "a device");
	map_words_say(&w, p, "is a device that it may use");
}

void map_device(struct conversion *c, const struct convert_options *o)
{
	struct ve_param *p = NULL;

	while ((p = ve_next(&c->ve, "DEVICES", p)))
		map_list(c, p, map_number);
	while ((p = ve_next(&c->ve, "DEVNODES", p)))
		map_list(c, p, map_name);
	ve_say(ve_get(&c->ve, "PCI"), VE_NONE, "is hardware of the OpenVZ node");
}
