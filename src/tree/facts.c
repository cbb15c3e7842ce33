#include "tree/facts.h"

#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/xxh.h"

/* Numbers as the container sees them, in the host's byte order of both sides: little-endian. */
struct facts {
	uint64_t mtime, size, rdev, link;
	uint32_t mode, uid, gid, zero;
};

static uint64_t digest(const struct facts *f)
{
	return XXH3_64bits(f, sizeof(*f));
}

uint64_t facts_of_entry(const struct entry *e)
{
	struct facts f = {
		.mtime = (uint64_t)e->mtime.tv_sec, .mode = e->mode, .uid = e->uid, .gid = e->gid};

	if (S_ISREG(e->mode))
		f.size = e->size;
	if (entry_is_device(e->mode))
		f.rdev = makedev(e->major, e->minor);
	if (S_ISLNK(e->mode))
		f.link = XXH3_64bits(e->target, strlen(e->target));
	return digest(&f);
}

int facts_of_stat(int dirfd, const char *name, const struct stat *st, const struct idmap *map,
	uint64_t *ret, struct err *err)
{
	struct facts f = {.mtime = (uint64_t)st->st_mtim.tv_sec, .mode = st->st_mode};
	char target[4096];
	ssize_t n;

	if (!map) {
		f.uid = st->st_uid;
		f.gid = st->st_gid;
	} else if (idmap_from_disk(map, false, st->st_uid, &f.uid) < 0 ||
		   idmap_from_disk(map, true, st->st_gid, &f.gid) < 0) {
		return err_set(err, ERR_UNSUPPORTED,
			"it belongs to %u:%u, which the container's id map does not have",
			st->st_uid, st->st_gid);
	}
	if (S_ISREG(st->st_mode))
		f.size = (uint64_t)st->st_size;
	if (entry_is_device(st->st_mode))
		f.rdev = st->st_rdev;
	if (S_ISLNK(st->st_mode)) {
		n = readlinkat(dirfd, name, target, sizeof(target));
		if (n < 0)
			return err_errno(err, "read a symbolic link");
		f.link = XXH3_64bits(target, (size_t)n);
	}
	*ret = digest(&f);
	return 0;
}

struct digest128 facts_name(uint64_t place, const char *name, uint64_t facts)
{
	uint64_t v[2] = {place, facts};
	XXH128_hash_t h = XXH3_128bits_withSeed(v, sizeof(v), XXH3_64bits(name, strlen(name)));
	struct digest128 d;

	memcpy(d.b, &h, sizeof(d.b));
	return d;
}

uint64_t facts_place(uint64_t place, const char *name)
{
	return XXH3_64bits_withSeed(name, strlen(name), place);
}

uint64_t facts_of_map(const struct idmap *map)
{
	uint64_t d = map && !idmap_identity_on_disk(map);

	for (size_t i = 0; d && i < map->ranges.n; i++) {
		const struct idrange *r = &map->ranges.v[i];
		uint32_t v[] = {r->is_gid, r->ct, r->host, r->count};

		d = XXH3_64bits_withSeed(v, sizeof(v), d);
	}
	return d;
}
