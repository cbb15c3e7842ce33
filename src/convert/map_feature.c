/*
 * FEATURES: what the kernel let a container do beyond the usual.
 */
#include <string.h>

#include "base/str.h"
#include "convert/map.h"

#define ALLOW "lxc.cgroup2.devices.allow"

static const struct {
	const char *name;
	enum ve_class on, off;
	const char *module;	   /* that the destination needs */
	const char *device, *node; /* that it is given */
	const char *reason;	   /* when it is on */
} features[] = {
	{"nfs", VE_PARTIAL, VE_EXACT, "nfs", NULL, NULL,
		"nfs can be mounted in a privileged container only, where the host's policy allows "
		"it"},
	{"nfsd", VE_PARTIAL, VE_EXACT, "nfsd", NULL, NULL,
		"the kernel's NFS server does not work in a container: use one that is a program"},
	{"sit", VE_EXACT, VE_APPROXIMATE, "sit", NULL, NULL, NULL},
	{"ipip", VE_EXACT, VE_APPROXIMATE, "ipip", NULL, NULL, NULL},
	{"ipgre", VE_EXACT, VE_APPROXIMATE, "ip_gre", NULL, NULL, NULL},
	{"bridge", VE_EXACT, VE_APPROXIMATE, "bridge", NULL, NULL, NULL},
	{"ppp", VE_PARTIAL, VE_EXACT, "ppp_generic", "c 108:0", "ppp",
		"/dev/ppp is given to it only by a node that allows what is refused"},
	{"tun", VE_EXACT, VE_EXACT, "tun", "c 10:200", "net/tun", NULL},
	{"fuse", VE_EXACT, VE_EXACT, "fuse", "c 10:229", "fuse", NULL},
	{"sysfs", VE_EXACT, VE_PARTIAL, NULL, NULL, NULL, NULL},
};

static bool give_device(struct conversion *c, struct ve_param *p, size_t i)
{
	_cleanup_free_ char *access = xasprintf("%s rwm", features[i].device);
	bool allowed = map_option(c, p, ALLOW, access);

	return map_node(c, p, features[i].node) && allowed;
}

static enum ve_class switch_on(struct conversion *c, struct ve_param *p, size_t i, struct str *why)
{
	if (features[i].module)
		map_module(c, p, features[i].module);
	if (features[i].device && !give_device(c, p, i) && features[i].on == VE_EXACT) {
		str_addf(why, "; /dev/%s is given to it only by a node that allows what is refused",
			features[i].node);
		return VE_PARTIAL;
	}
	if (features[i].reason)
		str_addf(why, "; %s", features[i].reason);
	return features[i].on;
}

/* "nfs:on" */
static enum ve_class map_one(
	struct conversion *c, struct ve_param *p, const char *word, struct str *why)
{
	size_t n = strcspn(word, ":");
	bool on = str_eq(word + n, ":on");

	if (!on && !str_eq(word + n, ":off"))
		return VE_INVALID;
	for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
		if (strncmp(features[i].name, word, n) != 0 || features[i].name[n])
			continue;
		if (on)
			return switch_on(c, p, i, why);
		if (features[i].off != VE_EXACT)
			str_addf(why, "; %s is not forbidden", features[i].name);
		return features[i].off;
	}
	str_addf(why, "; %.*s is not known", (int)MIN(n, 64u), word);
	return on ? VE_NONE : VE_EXACT;
}

void map_feature(struct conversion *c, const struct convert_options *o)
{
	struct ve_param *p = NULL;

	while ((p = ve_next(&c->ve, "FEATURES", p))) {
		_cleanup_strv_ char **words = str_split(p->value, " \t,", false);
		struct map_words w = {0};

		for (size_t i = 0; words[i]; i++)
			map_word(&w, map_one(c, p, words[i], &w.why), words[i], "a feature");
		map_words_say(&w, p, "is as LXC has it");
	}
}
