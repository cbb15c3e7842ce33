/*
 * Capabilities, and ids of its own.
 */
#include <ctype.h>
#include <string.h>

#include "base/str.h"
#include "convert/map.h"
#include "model/wire.h"

/* What systemd does not start without. */
static const char *const needed[] = {
	"setpcap", "sys_admin", "setuid", "setgid", "kill", "chown", "dac_override", "fowner"};

static void lower(char *s)
{
	for (; *s; s++)
		*s = (char)tolower((unsigned char)*s);
}

static bool is_needed(const char *cap)
{
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (str_eq(needed[i], cap))
			return true;
	return false;
}

/* "NET_ADMIN:on". OpenVZ's kernel gave a container VE_ADMIN where others have SYS_ADMIN: what was
 * not given is therefore not to be taken away here, only what was taken away by name. */
static enum ve_class map_one(struct conversion *c, struct ve_param *p, char *word, struct str *why)
{
	char *colon = strchr(word, ':'), *cap = word;
	bool on;

	if (!colon)
		return VE_INVALID;
	*colon++ = '\0';
	lower(cap);
	on = strcasecmp(colon, "on") == 0;
	if (str_starts(cap, "cap_"))
		cap += 4;
	if ((!on && strcasecmp(colon, "off") != 0) || !name_ok(cap, 32, "_"))
		return VE_INVALID;
	if (str_eq(cap, "ve_admin")) {
		str_add(why, "; VE_ADMIN was of OpenVZ's kernel only");
		return VE_APPROXIMATE;
	}
	if (!on) {
		map_option(c, p, "lxc.cap.drop", cap);
		if (is_needed(cap))
			str_addf(why, "; systemd does not start without %s", cap);
		return VE_EXACT;
	}
	if (!str_eq(cap, "sys_time") && !str_eq(cap, "sys_module") && !str_eq(cap, "sys_rawio"))
		return VE_APPROXIMATE;
	str_addf(why, "; %s would be over the whole host and is not given", cap);
	return VE_PARTIAL;
}

static void map_list(struct conversion *c, struct ve_param *p)
{
	_cleanup_strv_ char **words = str_split(p->value, " \t,", false);
	struct map_words w = {0};

	for (size_t i = 0; words[i]; i++) {
		_cleanup_free_ char *copy = xstrdup(words[i]);

		map_word(&w, map_one(c, p, copy, &w.why), words[i], "a capability");
	}
	map_words_say(&w, p, "is as LXC has it where it is on, and dropped where it is off");
}

static void map_ids(struct conversion *c, const struct convert_options *o)
{
	static const char *const names[] = {"LOCAL_UID", "LOCAL_GID"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct ve_param *p = ve_get(&c->ve, names[i]);

		ve_say(p, VE_APPROXIMATE,
			o->unprivileged ? "is a range of ids that the destination chooses"
					: "is not kept: it gets the ids that its files have");
	}
}

void map_capability(struct conversion *c, const struct convert_options *o)
{
	struct ve_param *p = NULL;

	while ((p = ve_next(&c->ve, "CAPABILITY", p)))
		map_list(c, p);
	map_ids(c, o);
}
