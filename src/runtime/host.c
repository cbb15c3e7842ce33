#include "runtime/host.h"

#include <net/if.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/num.h"
#include "base/str.h"
#include "runtime/cgroup.h"
#include "runtime/lxc_config.h"

#define OURS_FROM 65536 /* host ids below are users of the host, whatever the files say */

/* Ranges of host ids that root may give to containers. */
struct subids {
	struct idrange_vec v; /* host and count */
	bool required;	      /* LXC insists on them, because the tools of shadow are here */
};

/* "root:100000:65536" or "0:..." */
static void read_subid_line(const char *line, struct subids *s)
{
	_cleanup_strv_ char **fields = str_split(line, ":", true);
	struct err err = ERR_INIT;
	struct idrange r = {0};

	if (strv_len(fields) != 3 ||
		(strcmp(fields[0], "root") != 0 && strcmp(fields[0], "0") != 0) ||
		num_u32(fields[1], UINT32_MAX - 1, &r.host, &err) < 0 ||
		num_u32(fields[2], UINT32_MAX, &r.count, &err) < 0 || r.count == 0)
		return;
	*idrange_vec_push(&s->v) = r;
}

static void read_subids(const char *path, struct subids *s)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_strv_ char **lines = NULL;
	struct err err = ERR_INIT;

	if (file_read(path, 1 << 20, &text, NULL, &err) < 0)
		return;
	lines = str_split(text, "\n", false);
	for (size_t i = 0; lines[i]; i++)
		read_subid_line(str_trim(lines[i]), s);
}

static bool program_exists(const char *name)
{
	static const char *const folders[] = {
		"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"};

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s", folders[i], name);

		if (file_exists(path))
			return true;
	}
	return false;
}

static void subids_load(struct subids s[2])
{
	bool required = program_exists("newuidmap") && program_exists("newgidmap");

	s[0] = s[1] = (struct subids){.required = required};
	read_subids("/etc/subuid", &s[0]);
	read_subids("/etc/subgid", &s[1]);
}

static void subids_done(struct subids s[2])
{
	idrange_vec_done(&s[0].v);
	idrange_vec_done(&s[1].v);
}

/* Ranges may lie side by side. */
static bool within(const struct subids *s, uint64_t first, uint64_t end)
{
	for (bool moved = true; moved && first < end;) {
		moved = false;
		for (size_t i = 0; i < s->v.n; i++) {
			uint64_t start = s->v.v[i].host;

			if (first >= start && first < start + s->v.v[i].count) {
				first = start + s->v.v[i].count;
				moved = true;
			}
		}
	}
	return first >= end;
}

static bool range_allowed(const struct subids s[2], const struct idrange *r)
{
	const struct subids *of = &s[r->is_gid];

	if (r->host < OURS_FROM)
		return false;
	if (of->v.n == 0 && !of->required)
		return true; /* nobody hands out ids on this node */
	return within(of, r->host, (uint64_t)r->host + r->count);
}

static int check_idmap(const struct idmap *m, struct err *err)
{
	struct subids s[2];
	int r = 0;

	subids_load(s);
	for (size_t i = 0; i < m->ranges.n && r == 0; i++) {
		const struct idrange *range = &m->ranges.v[i];
		const char *file = range->is_gid ? "/etc/subgid" : "/etc/subuid";

		if (range_allowed(s, range))
			continue;
		r = err_set(err, ERR_UNSUPPORTED,
			"this node does not give the ids %u to %u to containers: %s has no line "
			"\"root:%u:%u\"",
			range->host, range->host + range->count - 1, file, range->host,
			range->count);
	}
	subids_done(s);
	if (r == 0 && m->ranges.n && !file_exists("/proc/self/ns/user"))
		r = err_set(err, ERR_UNSUPPORTED,
			"this node's kernel has no user namespaces, which the container needs");
	return r;
}

/* Puts the ids of the container into root's ranges, one after another. A range that does not fit
 * into what is left of one is cut. */
static int place_range(const struct subids *s, size_t *at, uint32_t *used, struct idrange want,
	struct idmap *out, struct err *err)
{
	while (want.count) {
		struct idrange part = want;
		_cleanup_free_ char *text = NULL;
		int r;

		if (*at == s->v.n)
			return err_set(err, ERR_UNSUPPORTED,
				"this node has too few ids for the container: root's lines in %s "
				"must have more than %u ids more",
				want.is_gid ? "/etc/subgid" : "/etc/subuid", want.count);
		if (*used == s->v.v[*at].count || s->v.v[*at].host < OURS_FROM) {
			*used = 0;
			++*at;
			continue;
		}
		part.host = s->v.v[*at].host + *used;
		part.count = MIN(want.count, s->v.v[*at].count - *used);
		text = idrange_text(&part);
		r = idmap_add(out, text, err);
		if (r < 0)
			return r;
		*used += part.count;
		want.ct += part.count;
		want.count -= part.count;
	}
	return 0;
}

static int place(
	const struct subids s[2], const struct idmap *m, struct idmap *out, struct err *err)
{
	size_t at[2] = {0};
	uint32_t used[2] = {0};

	for (size_t i = 0; i < m->ranges.n; i++) {
		const struct idrange *r = &m->ranges.v[i];
		int e = place_range(&s[r->is_gid], &at[r->is_gid], &used[r->is_gid], *r, out, err);

		if (e < 0)
			return e;
	}
	return 0;
}

int host_idmap(const struct idmap *arriving, struct idmap *ret, struct err *err)
{
	_cleanup_(idmap_done) struct idmap m = {0};
	struct subids s[2];
	bool allowed = true;
	int r = 0;

	subids_load(s);
	for (size_t i = 0; i < arriving->ranges.n; i++)
		allowed = allowed && range_allowed(s, &arriving->ranges.v[i]);
	if (allowed)
		idmap_copy(&m, arriving);
	else
		r = place(s, arriving, &m, err);
	subids_done(s);
	if (r < 0)
		return r;
	m.unshifted = arriving->unshifted;
	*ret = m;
	m = (struct idmap){0};
	return 0;
}

static int check_netifs(const struct container *c, struct err *err)
{
	for (size_t i = 0; i < c->netifs.n; i++) {
		const struct netif *n = &c->netifs.v[i];
		const char *what = n->type == NETIF_VETH ? "bridge" : "network interface";

		if (!n->link || n->type == NETIF_EMPTY || n->type == NETIF_NONE)
			continue;
		if (if_nametoindex(n->link) == 0)
			return err_set(err, ERR_UNSUPPORTED,
				"this node has no %s %s, which the container's interface %s needs: "
				"make it, or map it to another in [bridges] of wherry.conf",
				what, n->link, n->name ? n->name : netif_type_name(n->type));
	}
	return 0;
}

static int check_cpuset(const struct container *c, struct err *err)
{
	_cleanup_free_ char *online = NULL;
	struct err ignored = ERR_INIT;
	const char *p = c->limits.cpuset;
	uint32_t first, last;

	if (!p || file_read("/sys/devices/system/cpu/online", 4096, &online, NULL, &ignored) < 0)
		return 0;
	str_trim(online);
	while (cpuset_next(&p, &first, &last) > 0)
		for (uint32_t cpu = first; cpu <= last; cpu++) {
			const char *q = online;
			uint32_t a, b;
			bool found = false;

			while (!found && cpuset_next(&q, &a, &b) > 0)
				found = cpu >= a && cpu <= b;
			if (!found)
				return err_set(err, ERR_UNSUPPORTED,
					"this node has no CPU %u (it has %s), and the container is "
					"bound to the CPUs %s",
					cpu, online, c->limits.cpuset);
		}
	return 0;
}

static int need_controller(const char *name, bool needed, struct err *err)
{
	if (!needed || cgroup_has_controller(name))
		return 0;
	return err_set(err, ERR_UNSUPPORTED,
		"this node cannot limit %s: its kernel has no such control group", name);
}

static int check_limits(const struct limits *l, struct err *err)
{
	bool cpu = l->cpu_quota != LIMIT_NONE || l->cpu_weight != LIMIT_NONE;
	bool swap = l->swap != LIMIT_NONE;
	int r;

	if ((r = need_controller("memory", l->memory != LIMIT_NONE || swap, err)) < 0 ||
		(r = need_controller("cpu", cpu, err)) < 0 ||
		(r = need_controller("pids", l->pids != LIMIT_NONE, err)) < 0 ||
		(r = need_controller("cpuset", l->cpuset != NULL, err)) < 0)
		return r;
	if (swap && !cgroup_accounts_swap())
		return err_set(err, ERR_UNSUPPORTED,
			"this node cannot limit swap: boot its kernel with swapaccount=1");
	if (swap && l->memory == LIMIT_NONE && !cgroup_unified())
		return err_set(err, ERR_UNSUPPORTED,
			"this node runs version 1 of control groups, which limits swap only "
			"together with memory, and the container's memory has no limit");
	return 0;
}

static int check_files(const struct container *c, struct err *err)
{
	for (size_t i = 0; c->includes && c->includes[i]; i++) {
		_cleanup_free_ char *path = xasprintf(LXC_SHARED_CONFIG "/%s", c->includes[i]);

		/* A missing folder is no error to LXC. */
		if (!file_exists(path) && !str_ends(path, ".d"))
			return err_set(err, ERR_UNSUPPORTED,
				"this node has no %s, which the container's configuration includes",
				path);
	}
	for (size_t i = 0; i < c->options.n; i++)
		if (strcmp(c->options.v[i].key, "lxc.seccomp.profile") == 0 &&
			c->options.v[i].value[0] && !file_exists(c->options.v[i].value))
			return err_set(err, ERR_UNSUPPORTED,
				"this node has no %s, which filters the container's system calls",
				c->options.v[i].value);
	return 0;
}

/* What a processor runs, by the names that LXC takes. Unknown names pass: LXC judges them. */
static const struct {
	const char *arch, *machines;
} machines[] = {
	{"amd64", "x86_64"},
	{"x86_64", "x86_64"},
	{"i386", "x86_64 i686"},
	{"i586", "x86_64 i686"},
	{"i686", "x86_64 i686"},
	{"x86", "x86_64 i686"},
	{"arm64", "aarch64"},
	{"aarch64", "aarch64"},
	{"armhf", "aarch64 armv7l"},
	{"armel", "aarch64 armv7l"},
	{"armv7l", "aarch64 armv7l"},
	{"ppc64el", "ppc64le"},
	{"ppc64le", "ppc64le"},
	{"s390x", "s390x"},
	{"riscv64", "riscv64"},
};

static int check_arch(const struct container *c, struct err *err)
{
	struct utsname u;

	if (!c->arch || uname(&u) < 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(machines); i++) {
		_cleanup_strv_ char **words = str_words(machines[i].machines);

		if (strcmp(machines[i].arch, c->arch) == 0 && !strv_has(words, u.machine))
			return err_set(err, ERR_UNSUPPORTED,
				"this node's processor is %s, and the container is made for %s",
				u.machine, c->arch);
	}
	return 0;
}

int host_preflight(const struct container *c, struct err *err)
{
	int r;

	if ((r = check_arch(c, err)) < 0 || (r = check_files(c, err)) < 0 ||
		(r = check_netifs(c, err)) < 0 || (r = check_cpuset(c, err)) < 0 ||
		(r = check_limits(&c->limits, err)) < 0)
		return r;
	return check_idmap(&c->idmap, err);
}
