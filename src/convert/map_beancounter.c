/*
 * The beancounters that no other kernel has: what they protected is protected otherwise, or not.
 */
#include "convert/map.h"

static const struct {
	const char *name;
	bool limit; /* it was one, and is not kept */
	const char *reason;
} rows[] = {
	{"KMEMSIZE", true, "has no limit of its own: the kernel's memory counts as memory"},
	{"DCACHESIZE", true, "has no limit of its own: what the kernel caches counts as memory"},
	{"NUMTCPSOCK", true, "has no like: sockets are not counted, their memory counts as memory"},
	{"NUMOTHERSOCK", true,
		"has no like: sockets are not counted, their memory counts as memory"},
	{"TCPSNDBUF", true, "has no limit of its own: buffers count as memory"},
	{"TCPRCVBUF", true, "has no limit of its own: buffers count as memory"},
	{"OTHERSOCKBUF", true, "has no limit of its own: buffers count as memory"},
	{"DGRAMRCVBUF", true, "has no limit of its own: buffers count as memory"},
	{"NUMFLOCK", true, "has no like: locks of files are not counted"},
	{"NUMIPTENT", true, "has no like: rules of the firewall count as memory"},
	{"AVNUMPROC", false, "has had no effect since long before OpenVZ 6"},
	{"VMGUARPAGES", false, "was a guarantee, not a limit; nothing here fails to be allocated"},
	{"OOMGUARPAGES", false,
		"was a guarantee, not a limit: who is killed where memory ends is chosen "
		"otherwise"},
};

void map_beancounter(struct conversion *c, const struct convert_options *o)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct ve_param *p = ve_get(&c->ve, rows[i].name);
		uint64_t v = p ? (rows[i].limit ? p->pair.limit : p->pair.barrier) : 0;

		if (v == VE_UNLIMITED)
			ve_say(p, VE_EXACT, "is no limit");
		else if (rows[i].limit)
			ve_lose(p, "%s", rows[i].reason);
		else
			ve_say(p, VE_NONE, "%s", rows[i].reason);
	}
	ve_lose(ve_get(&c->ve, "NUMMEMORYSUBGROUPS"),
		"limited the control groups inside; the limit of processes does it here");
}
