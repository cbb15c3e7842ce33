/*
 * Disk space: quotas, further disks, mount options. A pool enforces no quota by itself; what there
 * was is kept in the conversion, for whoever makes the volume and for the operator.
 */
#include <string.h>

#include "base/num.h"
#include "base/str.h"
#include "convert/map.h"

static void map_space(struct conversion *c, bool off)
{
	struct ve_param *p = ve_get(&c->ve, "DISKSPACE");
	struct ve_quota *q = &c->quota;
	char buf[NUM_HUMAN_MAX];

	if (!p)
		return;
	/* 0:0 is how a template says that it has nothing to say. */
	if (p->pair.limit == VE_UNLIMITED || p->pair.limit == 0 || off) {
		ve_say(p, VE_EXACT, off ? "has no effect: DISK_QUOTA is no" : "is no limit");
		return;
	}
	q->soft_bytes = ve_bytes(p->pair.barrier, VE_KIB);
	q->hard_bytes = ve_bytes(p->pair.limit, VE_KIB);
	q->set = true;
	ve_lose(p,
		"is not enforced by a pool: to keep it, set a quota of %s where its files arrive",
		num_human_size(q->hard_bytes, buf));
	ve_result(p, "quota.hard_bytes = %llu", (unsigned long long)q->hard_bytes);
}

static void map_inodes(struct conversion *c, bool off)
{
	struct ve_param *p = ve_get(&c->ve, "DISKINODES");
	struct ve_quota *q = &c->quota;

	if (!p)
		return;
	if (p->pair.limit == VE_UNLIMITED || p->pair.limit == 0 || off) {
		ve_say(p, VE_EXACT, off ? "has no effect: DISK_QUOTA is no" : "is no limit");
		return;
	}
	q->soft_inodes = p->pair.barrier;
	q->hard_inodes = p->pair.limit;
	q->set = true;
	ve_lose(p, "is not enforced by a pool: to keep it, set a quota where its files arrive");
	ve_result(p, "quota.hard_inodes = %llu", (unsigned long long)q->hard_inodes);
}

static void map_users(struct conversion *c, bool off)
{
	struct ve_param *grace = ve_get(&c->ve, "QUOTATIME"),
			*ids = ve_get(&c->ve, "QUOTAUGIDLIMIT");

	ve_say(grace, VE_NONE, "is how long the lower limit of a quota may be passed");
	if (ids && ids->number && !off)
		ve_lose(ids,
			"gave users inside quotas of their own, which panels such as cPanel rely "
			"on: there are none here");
	else
		ve_say(ids, VE_EXACT, "means no quotas of users inside");
}

static void map_mounts(struct conversion *c)
{
	struct ve_param *noatime = ve_get(&c->ve, "NOATIME"), *p = NULL;

	if (noatime && noatime->yes) {
		c->ct->volumes.v[0].options = xstrdup("noatime");
		ve_say(noatime, VE_EXACT, NULL);
		ve_result(noatime, "lxc.rootfs.options = noatime");
	} else {
		ve_say(noatime, VE_EXACT, "asks for nothing");
	}
	ve_say(ve_get(&c->ve, "JOURNALED_QUOTA"), VE_NONE, "is how OpenVZ kept its quotas");
	ve_say(ve_get(&c->ve, "MOUNT_OPTS"), VE_NONE,
		"were options of its image's file system; here its pool decides");
	ve_say(ve_get(&c->ve, "BINDMOUNT"), VE_NONE,
		"names folders of the OpenVZ node, which stay there");
	while ((p = ve_next(&c->ve, "DISK", p)))
		ve_say(p, VE_PARTIAL,
			strstr(p->value, "mnt=")
				? "is a further disk, which does not travel by itself"
				: "is its root disk; its size does not travel");
}

void map_disk(struct conversion *c, const struct convert_options *o)
{
	struct ve_param *quota = ve_get(&c->ve, "DISK_QUOTA");
	bool off = quota && !quota->yes;

	c->quota = (struct ve_quota){VE_UNLIMITED, VE_UNLIMITED, VE_UNLIMITED, VE_UNLIMITED, false};
	ve_say(quota, VE_EXACT, "says whether DISKSPACE and DISKINODES count");
	map_space(c, off);
	map_inodes(c, off);
	map_users(c, off);
	map_mounts(c);
}
