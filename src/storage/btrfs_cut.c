#include "storage/btrfs_cut.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void hash_begin(struct btrfs_cutter *c)
{
	XXH3_128bits_reset(c->hash);
	XXH3_128bits_update(c->hash, c->at.digest, strlen(c->at.digest));
}

void btrfs_cutter_init(struct btrfs_cutter *c, const struct storage_resume *from)
{
	*c = (struct btrfs_cutter){.at = *from, .offset = from->offset};
	c->hash = XXH3_createState();
	if (!c->hash)
		abort();
	hash_begin(c);
}

void btrfs_cutter_done(struct btrfs_cutter *c)
{
	XXH3_freeState(c->hash);
	c->hash = NULL;
}

static void hash_end(struct btrfs_cutter *c)
{
	XXH128_canonical_t d;

	XXH128_canonicalFromHash(&d, XXH3_128bits_digest(c->hash));
	for (size_t i = 0; i < sizeof(d.digest); i++)
		snprintf(c->at.digest + 2 * i, 3, "%02x", d.digest[i]);
}

bool btrfs_cutter_feed(struct btrfs_cutter *c, const void *bytes, size_t n)
{
	XXH3_128bits_update(c->hash, bytes, n);
	c->offset += n;
	if (c->offset - c->at.offset < BTRFS_CUT)
		return false;
	hash_end(c);
	c->at.offset = c->offset;
	hash_begin(c);
	return true;
}
