/*
 * Processes, terminals, open files and signals.
 */
#include "convert/map.h"

#include "base/alloc.h"

/* What the kernel lets a process have at most by default (fs.nr_open): more, and the container
 * would not start. */
#define FILES_MAX 1048576
#define FILES_NOW 1024 /* the soft limit that programs expect, on OpenVZ too */
#define PTY_MAX	  65536

static bool limited(struct ve_param *p)
{
	if (p && p->pair.limit != VE_UNLIMITED)
		return true;
	ve_say(p, VE_EXACT, "is no limit");
	return false;
}

static void map_pids(struct conversion *c)
{
	struct ve_param *p = ve_get(&c->ve, "NUMPROC");

	if (!limited(p))
		return;
	if (p->pair.limit == 0) {
		ve_say(p, VE_INVALID, "is a limit with which nothing could run");
		return;
	}
	c->ct->limits.pids = p->pair.limit;
	ve_say(p, VE_EXACT, NULL);
	ve_result(p, "lxc.cgroup2.pids.max = %llu", (unsigned long long)p->pair.limit);
}

static void map_pty(struct conversion *c)
{
	struct ve_param *p = ve_get(&c->ve, "NUMPTY");
	_cleanup_free_ char *value = NULL;

	if (!limited(p))
		return;
	value = xasprintf("%llu", (unsigned long long)MIN(p->pair.limit, (uint64_t)PTY_MAX));
	ve_say(p, p->pair.limit <= PTY_MAX ? VE_EXACT : VE_APPROXIMATE,
		p->pair.limit <= PTY_MAX ? NULL : "is more than LXC needs to be told");
	map_option(c, p, "lxc.pty.max", value);
}

/* What all processes had together is at least what each of them had. */
static void map_files(struct conversion *c)
{
	struct ve_param *p = ve_get(&c->ve, "NUMFILE");
	_cleanup_free_ char *value = NULL;
	uint64_t most;

	if (!limited(p))
		return;
	most = MIN(p->pair.limit, (uint64_t)FILES_MAX);
	value = xasprintf("%llu:%llu", (unsigned long long)MIN(most, (uint64_t)FILES_NOW),
		(unsigned long long)most);
	ve_say(p, VE_PARTIAL, "holds for each process, not for all together");
	map_option(c, p, "lxc.prlimit.nofile", value);
}

static void map_signals(struct conversion *c)
{
	struct ve_param *p = ve_get(&c->ve, "NUMSIGINFO");
	_cleanup_free_ char *value = NULL;

	if (!limited(p))
		return;
	value = xasprintf("%llu", (unsigned long long)p->pair.limit);
	ve_say(p, VE_APPROXIMATE, "holds for each user inside, not for all together");
	map_option(c, p, "lxc.prlimit.sigpending", value);
}

void map_process(struct conversion *c, const struct convert_options *o)
{
	map_pids(c);
	map_pty(c);
	map_files(c);
	map_signals(c);
}
