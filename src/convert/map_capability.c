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

/* Of Linux; LXC passes over a name that is none, and the container would have what it was to lose.
 */
static const char *const known[] = {"chown", "dac_override", "dac_read_search", "fowner", "fsetid",
	"kill", "setgid", "setuid", "setpcap", "linux_immutable", "net_bind_service",
	"net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner", "sys_module", "sys_rawio",
	"sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice",
	"sys_resource", "sys_time", "sys_tty_config", "mknod", "lease", "audit_write",
	"audit_control", "setfcap", "mac_override", "mac_admin", "syslog", "wake_alarm",
	"block_suspend", "audit_read", "perfmon", "bpf", "checkpoint_restore"};

static bool is_known(const char *cap)
{
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (str_eq(known[i], cap))
			return true;
	return false;
}

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
	if (str_eq(cap, "ve_admin") || str_eq(cap, "setveid")) {
		str_addf(why, "; %s was of OpenVZ's kernel only", cap);
		return VE_APPROXIMATE;
	}
	if (!is_known(cap)) {
		str_addf(why, "; %s is no capability of Linux and is ignored", cap);
		return VE_PARTIAL;
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
