#include "storage/btrfs_extents.h"

#include <endian.h>
#include <linux/btrfs_tree.h>
#include <string.h>

#include "base/alloc.h"

#define SLOTS ((size_t)1 << 18)

struct btrfs_extents {
	uint64_t shared;
	struct {
		uint64_t extent, inode;
	} slot[SLOTS];
};

struct btrfs_extents *btrfs_extents_new(void)
{
	return xnew(struct btrfs_extents);
}

void btrfs_extents_free(struct btrfs_extents *e)
{
	free(e);
}

void btrfs_extents_add(struct btrfs_extents *e, uint64_t inode, const void *item, size_t n)
{
	struct btrfs_file_extent_item x;
	uint64_t extent;
	size_t i;

	if (n < sizeof(x))
		return;
	memcpy(&x, item, sizeof(x));
	extent = le64toh(x.disk_bytenr);
	if (x.type != BTRFS_FILE_EXTENT_REG || !extent)
		return;
	i = (size_t)(extent * UINT64_C(0x9e3779b97f4a7c15) >> 40) % SLOTS;
	/* The parts of an extent that was partly written over are no sharing. */
	if (e->slot[i].extent == extent && e->slot[i].inode != inode) {
		e->shared += le64toh(x.num_bytes);
		return;
	}
	e->slot[i].extent = extent;
	e->slot[i].inode = inode;
}

uint64_t btrfs_extents_shared(const struct btrfs_extents *e)
{
	return e->shared;
}
