/*
 * What a container is called, where its files lie, and what is in them.
 */
#include <string.h>

#include "base/str.h"
#include "convert/map.h"
#include "model/wire.h"

/* The first $VEID or ${VEID}, as vzctl replaces it, and without a slash at the end. */
static char *expand(const char *path, const char *name)
{
	static const char *const forms[] = {"${VEID}", "$VEID"};
	struct str s = STR_INIT;
	const char *at = NULL;
	size_t n = 0;

	for (size_t i = 0; !at && i < ARRAY_SIZE(forms); i++) {
		at = strstr(path, forms[i]);
		n = strlen(forms[i]);
	}
	if (at) {
		str_addn(&s, path, (size_t)(at - path));
		str_add(&s, name);
		path = at + n;
	}
	str_add(&s, path);
	while (s.len > 1 && s.buf[s.len - 1] == '/')
		str_trunc(&s, s.len - 1);
	return str_take(&s);
}

static char *folder(struct conversion *c, const char *name, const char *dflt, const char *ct)
{
	struct ve_param *p = ve_get(&c->ve, name);
	char *path = expand(p ? p->value : dflt, ct);

	ve_say(p, VE_EXACT, "says where its files are");
	ve_result(p, "%s", path);
	return path;
}

static void map_layout(struct conversion *c)
{
	struct ve_param *p = ve_get(&c->ve, "VE_LAYOUT");
	static const char *const formats[] = {"VEFSTYPE", "VEFORMAT", "VEIMAGEFORMAT"};

	if (p)
		c->layout = str_starts(p->value, "ploop") ? VE_LAYOUT_PLOOP : VE_LAYOUT_SIMFS;
	ve_say(p, VE_EXACT, "says how its files are kept");
	ve_result(p, "%s", c->layout == VE_LAYOUT_PLOOP ? "read from its image" : "read as files");
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		ve_say(ve_get(&c->ve, formats[i]), VE_NONE,
			"is how OpenVZ kept its files; here its pool decides");
}

/* "debian-9.0-amd64-vpsfree", ".almalinux-9", "/vz/template/cache/centos-6-x86". */
static void read_template(struct conversion *c, const char *template)
{
	const char *slash = strrchr(template, '/');
	_cleanup_strv_ char **words = str_split(
		slash ? slash + 1 : template + strspn(template, "."), "-", false);

	if (words[0] && name_ok(words[0], 32, "_."))
		c->distribution = xstrdup(words[0]);
	if (words[0] && words[1] && name_ok(words[1], 32, "_."))
		c->version = xstrdup(words[1]);
}

/* Only 32 bits must be said; on a node of 64 bits a container is of 64 bits by itself. */
static bool is_32_bit(const char *s)
{
	_cleanup_strv_ char **words = str_split(s, "-_ \t.", false);
	static const char *const names[] = {"x86", "i386", "i486", "i586", "i686"};

	if (strstr(s, "x86_64") || strv_has(words, "amd64"))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strv_has(words, names[i]))
			return true;
	return false;
}

static void map_template(struct conversion *c)
{
	struct ve_param *os = ve_get(&c->ve, "OSTEMPLATE"), *tech = ve_get(&c->ve, "TECHNOLOGIES");

	if (os) {
		read_template(c, os->value);
		ve_say(os, VE_APPROXIMATE, "is a hint only: what is inside is looked at");
		if (c->distribution)
			ve_result(os, "%s%s%s", c->distribution, c->version ? " " : "",
				c->version ? c->version : "");
	}
	ve_say(tech, VE_APPROXIMATE, "says whether it has 32 or 64 bits");
	if ((tech && is_32_bit(tech->value)) || (!tech && os && is_32_bit(os->value))) {
		c->ct->arch = xstrdup("i686");
		ve_result(tech ? tech : os, "lxc.arch = i686");
	}
}

static void map_names(struct conversion *c)
{
	struct ve_param *host = ve_get(&c->ve, "HOSTNAME"), *name = ve_get(&c->ve, "NAME");

	if (host) {
		c->ct->hostname = xstrdup(host->value);
		ve_say(host, VE_EXACT, NULL);
		ve_result(host, "lxc.uts.name = %s", host->value);
	}
	ve_say(name, VE_NONE, "is another name of it on the OpenVZ node; here it is %s",
		c->ct->name);
}

void map_identity(struct conversion *c, const struct convert_options *o)
{
	static const char *const notes[] = {"DESCRIPTION", "VEID", "UUID", "VERSION", "VE_TYPE",
		"ORIGIN_SAMPLE", "CONFIGFILE", "CONFIG_CUSTOMIZED", "DISTRIBUTION", "TEMPLATES",
		"PLATFORM", "GOLDEN_IMAGE"};

	c->root = folder(c, "VE_ROOT", "/vz/root/$VEID", o->name);
	c->private = folder(c, "VE_PRIVATE", "/vz/private/$VEID", o->name);
	map_layout(c);
	map_template(c);
	map_names(c);
	ve_say(ve_get(&c->ve, "OSRELEASE"), VE_NONE,
		"made the kernel look older to old programs; LXC shows it as it is");
	for (size_t i = 0; i < ARRAY_SIZE(notes); i++)
		ve_say(ve_get(&c->ve, notes[i]), VE_NONE, "is a note of OpenVZ's tools");
}
