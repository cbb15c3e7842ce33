/*
 * Memory, in either of OpenVZ's ways. With vSwap (PHYSPAGES has a limit) RAM and swap are limited.
 * Before it there were beancounters, of which PRIVVMPAGES is the one that was felt: it limits what
 * is allocated, and shared memory (SHMPAGES) comes on top.
 */
#include <string.h>

#include "base/num.h"
#include "base/str.h"
#include "convert/map.h"

static bool limited(const struct ve_param *p)
{
	return p && p->pair.limit != VE_UNLIMITED;
}

static void set_memory(struct conversion *c, struct ve_param *p, uint64_t bytes)
{
	struct limits *l = &c->ct->limits;

	l->memory = MIN(l->memory, bytes);
	ve_result(p, "lxc.cgroup2.memory.max = %llu", (unsigned long long)bytes);
}

/* Every amount has a limit of bytes that a node can have. */
static bool usable(struct ve_param *p, uint64_t *ret)
{
	if (!limited(p))
		return false;
	*ret = ve_bytes(p->pair.limit, p->rule->unit);
	if (*ret && *ret != VE_UNLIMITED)
		return true;
	ve_say(p, VE_INVALID, "is a limit with which nothing could run");
	return false;
}

static bool map_vswap(struct conversion *c)
{
	struct ve_param *ram = ve_get(&c->ve, "PHYSPAGES"), *swap = ve_get(&c->ve, "SWAPPAGES");
	uint64_t bytes;
	bool vswap;

	if (ram && !limited(ram))
		ve_say(ram, VE_EXACT, "is no limit");
	vswap = usable(ram, &bytes);
	if (vswap) {
		ve_say(ram, VE_EXACT, "is the limit of RAM");
		set_memory(c, ram, bytes);
	}
	if (!swap)
		return vswap;
	if (!vswap) {
		ve_say(swap, VE_NONE, "has no effect without a limit in PHYSPAGES");
	} else if (!limited(swap)) {
		ve_say(swap, VE_EXACT, "is no limit");
	} else {
		c->ct->limits.swap = ve_bytes(swap->pair.limit, VE_PAGES);
		ve_say(swap, swap->pair.limit ? VE_APPROXIMATE : VE_EXACT,
			swap->pair.limit ? "is real swap here; OpenVZ kept it in RAM and slowed "
					   "the container down instead"
					 : "is no swap at all");
		ve_result(swap, "lxc.cgroup2.memory.swap.max = %llu",
			(unsigned long long)c->ct->limits.swap);
	}
	return vswap;
}

static void map_private(struct conversion *c)
{
	struct ve_param *private = ve_get(&c->ve, "PRIVVMPAGES"), *shm = ve_get(&c->ve, "SHMPAGES");
	uint64_t limit, barrier, shared = limited(shm) ? ve_bytes(shm->pair.limit, VE_PAGES) : 0;
	_cleanup_free_ char *high = NULL;

	if (private && !limited(private))
		ve_say(private, VE_EXACT, "is no limit");
	if (!usable(private, &limit) || shared == VE_UNLIMITED ||
		limit + shared > (uint64_t)INT64_MAX)
		return;
	barrier = ve_bytes(private->pair.barrier, VE_PAGES);
	set_memory(c, private, limit + shared);
	ve_say(private, VE_APPROXIMATE, "limited what is allocated; here what is used is limited%s",
		shared ? ", with what SHMPAGES allowed on top" : "");
	if (barrier >= limit)
		return;
	high = xasprintf("%llu", (unsigned long long)(barrier + shared));
	map_option(c, private, "lxc.cgroup2.memory.high", high);
}

/* SLM of Virtuozzo 4 replaced the beancounters by one number, unless it is switched off. */
static void map_slm(struct conversion *c, bool vswap)
{
	struct ve_param *slm = ve_get(&c->ve, "SLMMEMORYLIMIT"), *mode = ve_get(&c->ve, "SLMMODE");
	uint64_t bytes;

	ve_say(mode, VE_EXACT, "says whether SLMMEMORYLIMIT counts");
	if (slm && !limited(slm))
		ve_say(slm, VE_EXACT, "is no limit");
	if (!usable(slm, &bytes))
		return;
	if (vswap || (mode && str_eq(mode->value, "ubc"))) {
		ve_say(slm, VE_NONE, "has no effect: %s",
			vswap ? "vSwap is used" : "SLMMODE is ubc");
		return;
	}
	set_memory(c, slm, bytes);
	ve_say(slm, VE_APPROXIMATE,
		"is the limit of memory; its second value, of the average, is not kept");
}

static void map_leftovers(struct conversion *c)
{
	struct ve_param *private = ve_get(&c->ve, "PRIVVMPAGES");
	uint64_t bytes;
	char buf[NUM_HUMAN_MAX];

	if (private && !limited(private))
		ve_say(private, VE_EXACT, "is no limit");
	if (usable(private, &bytes))
		ve_lose(private,
			"is left from the time before vSwap: no more than %s could be allocated; "
			"PHYSPAGES limits what is used",
			num_human_size(bytes, buf));
}

/* The kernel's own limit of shared memory is out of LXC's reach: /proc/sys is read-only when its
 * lxc.sysctl lines are carried out. */
static void map_shared(struct conversion *c)
{
	struct ve_param *shm = ve_get(&c->ve, "SHMPAGES"), *locked = ve_get(&c->ve, "LOCKEDPAGES");
	_cleanup_free_ char *bytes = NULL;

	if (!limited(shm))
		ve_say(shm, VE_EXACT, "is no limit");
	else if (c->ct->limits.memory != LIMIT_NONE)
		ve_say(shm, VE_APPROXIMATE, "has no limit of its own: it counts as memory");
	else
		ve_lose(shm, "has no limit of its own, and there is none of memory");
	if (limited(locked)) {
		bytes = xasprintf("%llu",
			(unsigned long long)MIN(ve_bytes(locked->pair.limit, VE_PAGES), INT64_MAX));
		ve_say(locked, VE_APPROXIMATE, "holds for each process, not for all together");
		map_option(c, locked, "lxc.prlimit.memlock", bytes);
	} else {
		ve_say(locked, VE_EXACT, "is no limit");
	}
}

/* "auto", or a share of the limit in percent that is kept for the container. */
static void map_guarantee(struct conversion *c)
{
	struct ve_param *p = ve_get(&c->ve, "MEMGUARANTEE");
	_cleanup_free_ char *low = NULL,
			    *digits = p ? xstrndup(p->value, strcspn(p->value, "%:")) : NULL;
	struct err err = ERR_INIT;
	uint64_t percent, memory = c->ct->limits.memory;

	if (!p)
		return;
	if (str_eq(p->value, "auto")) {
		ve_say(p, VE_EXACT, "guarantees nothing");
	} else if (num_u64(digits, 100, &percent, &err) < 0) {
		ve_say(p, VE_INVALID, "is neither \"auto\" nor a share in percent");
	} else if (memory == LIMIT_NONE) {
		ve_say(p, VE_NONE, "is a share of a limit of memory that there is not");
	} else {
		low = xasprintf("%llu", (unsigned long long)(memory / 100 * percent));
		ve_say(p, VE_PARTIAL, "is kept from others only while they have another choice");
		map_option(c, p, "lxc.cgroup2.memory.low", low);
	}
}

/* "none", "privvmpages:1", "pages:N": what free(1) shows inside. */
static void map_meminfo(struct conversion *c)
{
	struct ve_param *p = ve_get(&c->ve, "MEMINFO");
	bool fixed = p && str_starts(p->value, "pages:");

	ve_say(p, fixed ? VE_NONE : VE_APPROXIMATE,
		fixed ? "made programs see another amount of memory than there is"
		      : "is shown as the limit of memory where LXCFS runs");
}

void map_memory(struct conversion *c, const struct convert_options *o)
{
	bool vswap = map_vswap(c);

	if (vswap)
		map_leftovers(c);
	else
		map_private(c);
	map_slm(c, vswap);
	map_shared(c);
	map_guarantee(c);
	map_meminfo(c);
	ve_lose(ve_get(&c->ve, "VM_OVERCOMMIT"), "limited what is allocated as a multiple of RAM "
						 "and swap; here what is used is limited");
	ve_say(ve_get(&c->ve, "PAGECACHE_ISOLATION"), VE_EXACT,
		"is always so: what it caches counts as its memory");
}
