#include "convert/ve_rules.h"

#include <ctype.h>
#include <string.h>

#include "convert/ve_net.h"
#include "model/wire.h"

static bool hostname_ok(const char *s)
{
	return name_ok(s, 64, "_.-");
}

static bool path_ok(const char *s)
{
	return s[0] == '/' && strlen(s) < 4096;
}

static bool layout_ok(const char *s)
{
	return strncmp(s, "simfs", 5) == 0 || strncmp(s, "ploop", 5) == 0;
}

/* "50", or "50%" of all the processors of the node. */
static bool percent_ok(const char *s)
{
	size_t n = strspn(s, "0123456789");

	return n > 0 && n < 10 && (!s[n] || strcmp(s + n, "%") == 0);
}

/* clang-format off */
#define PAGES(n)  {n, VE_AMOUNT, VE_LAST, VE_PAGES}
#define BYTES(n)  {n, VE_AMOUNT, VE_LAST, VE_BYTES}
#define COUNT(n)  {n, VE_AMOUNT, VE_LAST, VE_COUNT}
#define TEXT(n)   {n, VE_TEXT, VE_FIRST}
#define YES(n)    {n, VE_YES, VE_FIRST}
#define NUMBER(n) {n, VE_NUMBER, VE_FIRST}
/* clang-format on */

static const struct ve_rule rules[] = {
	/* Beancounters. */
	BYTES("KMEMSIZE"),
	PAGES("LOCKEDPAGES"),
	PAGES("PRIVVMPAGES"),
	PAGES("SHMPAGES"),
	COUNT("NUMPROC"),
	COUNT("AVNUMPROC"),
	PAGES("PHYSPAGES"),
	PAGES("SWAPPAGES"),
	PAGES("VMGUARPAGES"),
	PAGES("OOMGUARPAGES"),
	COUNT("NUMTCPSOCK"),
	COUNT("NUMOTHERSOCK"),
	COUNT("NUMFLOCK"),
	COUNT("NUMPTY"),
	COUNT("NUMSIGINFO"),
	BYTES("TCPSNDBUF"),
	BYTES("TCPRCVBUF"),
	BYTES("OTHERSOCKBUF"),
	BYTES("DGRAMRCVBUF"),
	BYTES("DCACHESIZE"),
	COUNT("NUMFILE"),
	COUNT("NUMIPTENT"),
	/* Memory otherwise. */
	TEXT("VM_OVERCOMMIT"),
	TEXT("MEMINFO"),
	TEXT("SLMMODE"),
	{"SLMMEMORYLIMIT", VE_AMOUNT, VE_FIRST, VE_BYTES},
	TEXT("MEMGUARANTEE"),
	NUMBER("NUMMEMORYSUBGROUPS"),
	TEXT("PAGECACHE_ISOLATION"),
	/* Processors. */
	NUMBER("CPUUNITS"),
	NUMBER("CPUWEIGHT"),
	{"CPULIMIT", VE_TEXT, VE_FIRST, .text_ok = percent_ok},
	NUMBER("CPULIMIT_MHZ"),
	NUMBER("CPUS"),
	TEXT("CPUMASK"),
	TEXT("NODEMASK"),
	/* Disk. */
	{"DISKSPACE", VE_AMOUNT, VE_FIRST, VE_KIB},
	{"DISKINODES", VE_AMOUNT, VE_FIRST, VE_INODES},
	NUMBER("QUOTATIME"),
	NUMBER("QUOTAUGIDLIMIT"),
	{"DISK_QUOTA", VE_YES, VE_FIRST, .global = true},
	YES("JOURNALED_QUOTA"),
	{"NOATIME", VE_YES, VE_FIRST, .global = true},
	TEXT("MOUNT_OPTS"),
	{"DISK", VE_TEXT, VE_ALL},
	TEXT("BINDMOUNT"),
	NUMBER("IOPRIO"),
	{"IOLIMIT", VE_AMOUNT, VE_FIRST, VE_BYTES},
	NUMBER("IOPSLIMIT"),
	/* The network. */
	{"IP_ADDRESS", VE_TEXT, VE_ALL, .text_ok = ve_addresses_ok},
	{"NETIF", VE_TEXT, VE_FIRST, .text_ok = ve_netif_ok},
	TEXT("NETDEV"),
	TEXT("VETH"),
	{"HOSTNAME", VE_TEXT, VE_FIRST, .text_ok = hostname_ok},
	{"NAMESERVER", VE_TEXT, VE_ALL, .global = true, .text_ok = ve_nameservers_ok},
	{"SEARCHDOMAIN", VE_TEXT, VE_ALL, .global = true, .text_ok = ve_domains_ok},
	{"NETFILTER", VE_TEXT, VE_FIRST, .global = true},
	{"IPTABLES", VE_TEXT, VE_FIRST, .global = true},
	{"IPV6", VE_YES, VE_FIRST, .global = true},
	{"TRAFFIC_SHAPING", VE_YES, VE_FIRST, .global = true},
	{"RATE", VE_TEXT, VE_ALL, .global = true},
	YES("RATEBOUND"),
	TEXT("RATEMPU"),
	/* What it may do. */
	{"CAPABILITY", VE_TEXT, VE_ALL},
	{"DEVICES", VE_TEXT, VE_ALL},
	{"DEVNODES", VE_TEXT, VE_ALL},
	TEXT("PCI"),
	{"FEATURES", VE_TEXT, VE_ALL},
	NUMBER("LOCAL_UID"),
	NUMBER("LOCAL_GID"),
	/* Life. */
	YES("ONBOOT"),
	NUMBER("BOOTORDER"),
	{"STOP_TIMEOUT", VE_NUMBER, VE_FIRST, .global = true},
	TEXT("AUTOSTOP"),
	YES("DISABLED"),
	YES("ALLOWREBOOT"),
	TEXT("HA_ENABLE"),
	TEXT("HA_PRIO"),
	TEXT("OFFLINE_MANAGEMENT"),
	TEXT("OFFLINE_SERVICE"),
	/* What it is and where. */
	{"VE_ROOT", VE_TEXT, VE_FIRST, .global = true, .text_ok = path_ok},
	{"VE_PRIVATE", VE_TEXT, VE_FIRST, .global = true, .text_ok = path_ok},
	{"VE_LAYOUT", VE_TEXT, VE_LAST, .text_ok = layout_ok},
	TEXT("VEFSTYPE"),
	TEXT("VEFORMAT"),
	TEXT("VEIMAGEFORMAT"),
	TEXT("OSTEMPLATE"),
	TEXT("DISTRIBUTION"),
	TEXT("OSRELEASE"),
	TEXT("TECHNOLOGIES"),
	TEXT("TEMPLATES"),
	TEXT("PLATFORM"),
	TEXT("GOLDEN_IMAGE"),
	TEXT("VE_TYPE"),
	TEXT("ORIGIN_SAMPLE"),
	TEXT("CONFIGFILE"),
	TEXT("CONFIG_CUSTOMIZED"),
	TEXT("NAME"),
	TEXT("DESCRIPTION"),
	TEXT("VEID"),
	TEXT("UUID"),
	TEXT("VERSION"),
};

const struct ve_rule *ve_rule_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		if (strcmp(rules[i].name, name) == 0)
			return &rules[i];
	return NULL;
}

const struct ve_rule *ve_rule_next(const struct ve_rule *after)
{
	const struct ve_rule *next = after ? after + 1 : rules;

	return next < rules + ARRAY_SIZE(rules) ? next : NULL;
}
