/*
 * Name servers and search domains: written into the guest's resolv.conf by its fix-ups.
 */
#include "convert/map.h"

#include "base/str.h"

#define SERVERS_MAX 16

static void map_list(struct conversion *c, const char *name, const char *key, char ***list)
{
	struct ve_param *p = NULL;

	while ((p = ve_next(&c->ve, name, p))) {
		_cleanup_strv_ char **words = str_words(p->value);

		if (str_eq(p->value, "inherit")) {
			c->inherit_dns = true;
			ve_say(p, VE_EXACT, "are those of the node that it runs on");
			continue;
		}
		for (size_t i = 0; words[i] && strv_len(*list) < SERVERS_MAX; i++)
			if (!strv_has(*list, words[i])) {
				strv_push(list, words[i]);
				ve_result(p, "/etc/resolv.conf: %s %s", key, words[i]);
			}
		ve_say(p, VE_EXACT,
			p->results ? NULL
			: words[0] ? "names only what was named before"
				   : "asks for nothing");
	}
}

void map_dns(struct conversion *c, const struct convert_options *o)
{
	map_list(c, "NAMESERVER", "nameserver", &c->nameservers);
	map_list(c, "SEARCHDOMAIN", "search", &c->domains);
}
