#include "runtime/lxc_option.h"

#include <ctype.h>
#include <string.h>

#include "base/alloc.h"
#include "base/num.h"
#include "base/str.h"
#include "model/container.h"
#include "runtime/lxc_line.h"
#include "runtime/lxc_mount.h"
#include "runtime/lxc_net.h"

/* Checks of values: NULL if harmless, else the reason. arg is the rule's. */

static const char *any(const char *value, const char *arg)
{
	return NULL;
}

static const char *flag(const char *value, const char *arg)
{
	return !value[0] || strcmp(value, "0") == 0 || strcmp(value, "1") == 0 ? NULL
									       : LXC_BAD_VALUE;
}

/* A number up to arg. */
static const char *number(const char *value, const char *arg)
{
	struct err err = ERR_INIT;
	uint64_t max = strtoull(arg, NULL, 10), v;

	return !value[0] || num_u64(value, max, &v, &err) == 0 ? NULL : LXC_BAD_VALUE;
}

/* Bytes up to arg, or "auto". */
static const char *size(const char *value, const char *arg)
{
	struct err err = ERR_INIT;
	uint64_t max = strtoull(arg, NULL, 10), v;

	if (!value[0] || strcmp(value, "auto") == 0)
		return NULL;
	if (num_size(value, &v, &err) < 0)
		return LXC_BAD_VALUE;
	return v <= max ? NULL : "takes too much of the host's memory";
}

/* One of the words of arg. */
static const char *word(const char *value, const char *arg)
{
	_cleanup_strv_ char **words = str_words(arg);

	return strv_has(words, value) ? NULL : LXC_BAD_VALUE;
}

/* Letters, digits and the characters of arg. */
static const char *charset(const char *value, const char *arg)
{
	for (; *value; value++)
		if (!isascii(*value) || (!isalnum((unsigned char)*value) && !strchr(arg, *value)))
			return LXC_BAD_VALUE;
	return NULL;
}

static const char *environment(const char *value, const char *arg)
{
	if (value[0] == '=')
		return LXC_BAD_VALUE;
	return !value[0] || strchr(value, '=') ? NULL
					       : "takes a variable of the host's environment";
}

/* Capabilities that reach the host's kernel, not the container's share of it. */
#define HOST_CAPS "mac_admin mac_override sys_time sys_module sys_rawio"

static const char *cap_drop(const char *value, const char *arg)
{
	return value[0] ? charset(value, "_ \t") : "gives back capabilities over the host";
}

static const char *cap_keep(const char *value, const char *arg)
{
	_cleanup_strv_ char **host = str_words(HOST_CAPS), **words = str_words(value);

	if (!words[0])
		return "gives back capabilities over the host";
	for (size_t i = 0; host[i]; i++)
		if (strv_has(words, host[i]))
			return "keeps capabilities over the host";
	return charset(value, "_ \t");
}

/* "c 1:3 rwm": the devices that the distribution's own configuration allows, and tun. */
static const char *devices_allow(const char *value, const char *arg)
{
	static const char *const fine[] = {"c 1:3", "c 1:5", "c 1:7", "c 1:8", "c 1:9", "c 5:0",
		"c 5:1", "c 5:2", "c 136:*", "c 10:200", "c 10:229"};
	_cleanup_strv_ char **words = str_words(value);
	_cleanup_free_ char *device = NULL;

	if (strv_len(words) != 3 || strspn(words[2], "rwm") != strlen(words[2]))
		return "gives it devices of the host";
	if (strcmp(words[2], "m") == 0) /* making a node is not opening it */
		return NULL;
	device = xasprintf("%s %s", words[0], words[1]);
	for (size_t i = 0; i < ARRAY_SIZE(fine); i++)
		if (strcmp(fine[i], device) == 0)
			return NULL;
	return "gives it devices of the host";
}

static const char *devices_deny(const char *value, const char *arg)
{
	return value[0] ? NULL : "gives it devices of the host";
}

static const char *mount_auto(const char *value, const char *arg)
{
	_cleanup_strv_ char **words = str_words(value);

	for (size_t i = 0; words[i]; i++) {
		if (str_starts(words[i], "cgroup-full"))
			return "shows it the control groups of the whole host";
		if (str_starts(words[i], "shmounts"))
			return "shares a folder of the host";
		if (!str_starts(words[i], "proc") && !str_starts(words[i], "sys") &&
			!str_starts(words[i], "cgroup"))
			return LXC_BAD_VALUE;
	}
	return NULL;
}

static const char *mount_entry(const char *value, const char *arg)
{
	struct mount_entry m = {0};
	const char *reason;

	if (!lxc_mount_parse(value, NULL, &m))
		return LXC_BAD_VALUE;
	reason = lxc_mount_reason(&m);
	lxc_mount_done(&m);
	return reason;
}

static const char *seccomp_profile(const char *value, const char *arg)
{
	static const char folder[] = "/usr/share/lxc/config/";

	return str_starts(value, folder) && include_name_ok(value + strlen(folder))
		       ? NULL
		       : "names a filter of system calls that is not the distribution's";
}

static const char *apparmor_profile(const char *value, const char *arg)
{
	if (word(value, "unconfined generated") == NULL)
		return NULL;
	return str_starts(value, "lxc-container-default") && !charset(value, "-")
		       ? NULL
		       : "names a security profile of the host";
}

/* Takes back what an include may have said. */
static const char *unset(const char *value, const char *arg)
{
	return value[0] ? arg : NULL;
}

/* A number from 0: below, the host's out-of-memory killer would spare it. */
static const char *oom_score(const char *value, const char *arg)
{
	return number(value, "1000") == NULL ? NULL : "puts it before the host's own processes";
}

/* Names of host interfaces are matched by firewalls. */
static const char *veth_pair(const char *value, const char *arg)
{
	if (!value[0])
		return NULL;
	if (!netif_name_ok(value))
		return LXC_BAD_VALUE;
	return str_starts(value, "veth") ? NULL
					 : "names an interface of the host other than \"veth...\"";
}

struct rule {
	const char *key; /* '*' at the end: and all that begin so; "lxc.net.#": any number */
	const char *(*check)(const char *value, const char *arg); /* NULL: never */
	const char *arg;    /* of check; without check the reason */
	const char *reason; /* instead of that of check */
};

#define ROOT_OWNED   "is said by the container itself"
#define HOST_PROGRAM "runs a program of the host"
#define HOST_FILE    "names a file of the host"
#define HOST_CGROUP  "chooses its place among the host's control groups"

/* The first that fits decides; what none fits is refused. */
static const struct rule rules[] = {
	/* The terminal, the console: sizes bounded, since the monitor outside holds them. */
	{"lxc.tty.max", number, "64"},
	{"lxc.tty.dir", charset, "_-"},
	{"lxc.pty.max", number, "65536"},
	{"lxc.console.path", word, "none", HOST_FILE},
	{"lxc.console.buffer.size", size, "16777216"},
	{"lxc.console.size", size, "16777216"},
	{"lxc.console.rotate", flag},
	{"lxc.console.*", NULL, HOST_FILE},
	/* Inside only. */
	{"lxc.signal.halt", charset, "+-"},
	{"lxc.signal.reboot", charset, "+-"},
	{"lxc.signal.stop", charset, "+-"},
	{"lxc.init.cmd", any},
	{"lxc.init.cwd", any},
	{"lxc.init.uid", number, "4294967294"},
	{"lxc.init.gid", number, "4294967294"},
	{"lxc.init.groups", charset, ", "},
	{"lxc.execute.cmd", any},
	{"lxc.environment", environment},
	{"lxc.autodev", flag},
	{"lxc.autodev.tmpfs.size", size, "1073741824"},
	{"lxc.no_new_privs", flag},
	{"lxc.sched.core", flag},
	{"lxc.time.offset.*", charset, "- "},
	{"lxc.prlimit.*", charset, ": "},
	/* These are the container's own while it has its own network and IPC namespaces. */
	{"lxc.sysctl.net.*", any},
	{"lxc.sysctl.fs.mqueue.*", any},
	{"lxc.sysctl.kernel.msg*", any},
	{"lxc.sysctl.kernel.shm*", any},
	{"lxc.sysctl.kernel.sem", any},
	{"lxc.sysctl.kernel.domainname", any},
	{"lxc.sysctl.*", NULL, "sets a parameter of the host's kernel"},
	{"lxc.proc.oom_score_adj", oom_score},
	{"lxc.proc.*", NULL, "writes a file of the host's /proc"},
	/* What it may do. */
	{"lxc.cap.drop", cap_drop},
	{"lxc.cap.keep", cap_keep},
	{"lxc.apparmor.profile", apparmor_profile},
	{"lxc.apparmor.allow_incomplete", flag},
	{"lxc.apparmor.allow_nesting", flag},
	{"lxc.apparmor.*", NULL, "changes the host's security policy"},
	{"lxc.selinux.*", NULL, "names a security context of the host"},
	{"lxc.seccomp.profile", seccomp_profile},
	{"lxc.seccomp.allow_nesting", flag},
	{"lxc.seccomp.*", NULL, "talks to a program of the host"},
	{"lxc.keyring.session", word, "1", "inherits the keys of whoever starts it"},
	{"lxc.namespace.*", NULL, "shares namespaces with the host or with another container"},
	/* What it sees. */
	{"lxc.mount.auto", mount_auto},
	{"lxc.mount.entry", mount_entry},
	{"lxc.mount.fstab", NULL, HOST_FILE},
	{"lxc.rootfs.managed", flag},
	{"lxc.rootfs.mount", NULL, HOST_FILE},
	/* Control groups: only these files, since LXC takes any path for the name of one. */
	{"lxc.cgroup.devices.allow", devices_allow},
	{"lxc.cgroup.devices.deny", devices_deny},
	{"lxc.cgroup2.devices.allow", devices_allow},
	{"lxc.cgroup2.devices.deny", devices_deny},
	{"lxc.cgroup*.devices.*", NULL, "gives it devices of the host"},
	{"lxc.cgroup.memory.soft_limit_in_bytes", charset, ""},
	{"lxc.cgroup.memory.swappiness", number, "200"},
	{"lxc.cgroup.memory.use_hierarchy", flag},
	{"lxc.cgroup.memory.kmem.limit_in_bytes", charset, "-"},
	{"lxc.cgroup.memory.kmem.tcp.limit_in_bytes", charset, "-"},
	{"lxc.cgroup.blkio.weight", number, "1000"},
	{"lxc.cgroup2.memory.low", charset, ""},
	{"lxc.cgroup2.memory.min", charset, ""},
	{"lxc.cgroup2.memory.high", charset, ""},
	{"lxc.cgroup2.memory.oom.group", flag},
	{"lxc.cgroup2.memory.zswap.max", charset, ""},
	{"lxc.cgroup2.cpu.max.burst", number, "1000000"},
	{"lxc.cgroup2.cpu.idle", flag},
	{"lxc.cgroup2.io.weight", charset, " "},
	{"lxc.cgroup.relative", word, "0", HOST_CGROUP},
	{"lxc.cgroup.dir*", NULL, HOST_CGROUP},
	{"lxc.cgroup*", NULL, "sets a file of control groups that Wherry does not know"},
	/* The network. */
	{"lxc.net.#.veth.pair", veth_pair},
	{"lxc.net.#.veth.n_rxqueues", number, "64"},
	{"lxc.net.#.veth.n_txqueues", number, "64"},
	{"lxc.net.#.macvlan.mode", word, "private vepa bridge"}, /* not passthru: takes it over */
	{"lxc.net.#.ipvlan.mode", word, "l3 l3s l2"},
	{"lxc.net.#.ipvlan.isolation", word, "bridge private vepa"},
	{"lxc.net.#.script.*", unset, HOST_PROGRAM},
	{"lxc.net.#.veth.ipv*", NULL, "sets a route on the host"},
	{"lxc.net.#.veth.vlan.*", NULL, "chooses a VLAN of the host's bridge"},
	{"lxc.net.#.vlan.*", NULL, "makes a VLAN interface of the host's"},
	{"lxc.net.#.l2proxy", NULL, "answers for its addresses on the host's network"},
	/* LXC itself. */
	{"lxc.group", charset, "_.-, "},
	{"lxc.ephemeral", word, "0", "makes LXC destroy it when it stops"},
	{"lxc.monitor.unshare", flag},
	{"lxc.monitor.signal.pdeath", word, "SIGKILL 9", "lets it run on unseen by LXC"},
	{"lxc.hook.version", flag},
	{"lxc.hook*", unset, HOST_PROGRAM},
	{"lxc.log.level", charset, ""},
	{"lxc.log.syslog", NULL, "writes to the host's log"},
	{"lxc.log.*", NULL, HOST_FILE},
	{"lxc.include", NULL, "includes a file that is not the distribution's"},
	/* The model's. */
	{"lxc.rootfs.*", NULL, ROOT_OWNED},
	{"lxc.idmap", NULL, ROOT_OWNED},
	{"lxc.uts.name", NULL, ROOT_OWNED},
	{"lxc.arch", NULL, ROOT_OWNED},
	{"lxc.start.*", NULL, ROOT_OWNED},
	{"lxc.net*", NULL, "sets something of the network that Wherry does not know"},
	{"lxc.*", NULL, "is a key that Wherry does not know"},
};

/* A '*' in the middle stands for "" or "2": both versions of control groups. */
static bool fits(const char *pattern, const char *key)
{
	const char *star = strchr(pattern, '*');
	size_t n = star ? (size_t)(star - pattern) : strlen(pattern);

	if (strncmp(pattern, key, n) != 0)
		return false;
	if (!star)
		return !key[n];
	if (!star[1])
		return true;
	key += n;
	return fits(star + 1, *key == '2' ? key + 1 : key);
}

/* "lxc.net.12.name" becomes "lxc.net.#.name". */
static char *without_index(const char *key)
{
	uint32_t index;
	const char *sub = lxc_net_subkey(key, &index);

	return sub ? xasprintf("lxc.net.#.%s", sub) : xstrdup(key);
}

bool lxc_option_harmless(const char *key, const char *value, const char **ret_reason)
{
	_cleanup_free_ char *plain = without_index(key);
	const char *reason = "is not a key of LXC";

	for (size_t i = 0; option_key_ok(key) && i < ARRAY_SIZE(rules); i++) {
		const struct rule *r = &rules[i];

		if (!fits(r->key, plain))
			continue;
		reason = r->check ? r->check(value, r->arg) : r->arg;
		if (reason && r->reason)
			reason = r->reason;
		break;
	}
	*ret_reason = reason;
	return !reason;
}

bool lxc_option_owned(const char *key)
{
	return strcmp(key, "lxc.rootfs.path") == 0 || strcmp(key, "lxc.rootfs.options") == 0 ||
	       strcmp(key, "lxc.rootfs") == 0 || strcmp(key, "lxc.idmap") == 0 ||
	       strcmp(key, "lxc.uts.name") == 0 || strcmp(key, "lxc.arch") == 0;
}

/* Keys of LXC 2, which containers made before 2017 still have. */
static const struct {
	const char *old, *now;
} renamed[] = {
	{"lxc.utsname", "lxc.uts.name"},
	{"lxc.rootfs", "lxc.rootfs.path"},
	{"lxc.id_map", "lxc.idmap"},
	{"lxc.mount", "lxc.mount.fstab"},
	{"lxc.tty", "lxc.tty.max"},
	{"lxc.pts", "lxc.pty.max"},
	{"lxc.devttydir", "lxc.tty.dir"},
	{"lxc.console", "lxc.console.path"},
	{"lxc.console.logpath", "lxc.console.logfile"},
	{"lxc.haltsignal", "lxc.signal.halt"},
	{"lxc.rebootsignal", "lxc.signal.reboot"},
	{"lxc.stopsignal", "lxc.signal.stop"},
	{"lxc.init_cmd", "lxc.init.cmd"},
	{"lxc.init_uid", "lxc.init.uid"},
	{"lxc.init_gid", "lxc.init.gid"},
	{"lxc.aa_profile", "lxc.apparmor.profile"},
	{"lxc.aa_allow_incomplete", "lxc.apparmor.allow_incomplete"},
	{"lxc.se_context", "lxc.selinux.context"},
	{"lxc.seccomp", "lxc.seccomp.profile"},
	{"lxc.loglevel", "lxc.log.level"},
	{"lxc.logfile", "lxc.log.file"},
	{"lxc.syslog", "lxc.log.syslog"},
};

char *lxc_option_rename(const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(renamed); i++)
		if (strcmp(renamed[i].old, key) == 0)
			return xstrdup(renamed[i].now);
	if (str_starts(key, "lxc.limit."))
		return xasprintf("lxc.prlimit.%s", key + strlen("lxc.limit."));
	return NULL;
}
