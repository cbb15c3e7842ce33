#include "storage/btrfs_inodes.h"

#include <endian.h>
#include <errno.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>

void btrfs_inodes_init(struct btrfs_inodes *it, int fd, uint64_t since)
{
	it->fd = fd;
	it->nested = 0;
	it->extents = NULL;
	it->next_number = BTRFS_FIRST_FREE_OBJECTID;
	it->next_type = 0;
	it->next_offset = 0;
	it->since = since;
	it->left = 0;
	it->at = 0;
}

/* Fills buf from the next key on; the kernel's struct has its results right behind itself. */
static int search(struct btrfs_inodes *it, struct err *err)
{
	struct btrfs_ioctl_search_args_v2 *args = (struct btrfs_ioctl_search_args_v2 *)it->buf;

	args->key = (struct btrfs_ioctl_search_key){
		.min_objectid = it->next_number,
		.min_type = it->next_type,
		.min_offset = it->next_offset,
		.max_objectid = BTRFS_LAST_FREE_OBJECTID,
		.max_type = UINT32_MAX,
		.max_offset = UINT64_MAX,
		.min_transid = it->since,
		.max_transid = UINT64_MAX,
		.nr_items = UINT32_MAX,
	};
	args->buf_size = sizeof(it->buf) - sizeof(*args);
	if (ioctl(it->fd, BTRFS_IOC_TREE_SEARCH_V2, args) < 0)
		return err_errno(err, "read the inodes of a subvolume");
	it->left = args->key.nr_items;
	it->at = sizeof(*args);
	return 0;
}

static void advance(struct btrfs_inodes *it, const struct btrfs_ioctl_search_header *h)
{
	it->at += sizeof(*h) + h->len;
	it->left--;
	it->next_number = h->objectid;
	it->next_type = h->type;
	it->next_offset = h->offset + 1;
	if (h->offset == UINT64_MAX) {
		it->next_offset = 0;
		it->next_type++;
	}
}

static void inode_of(
	const struct btrfs_ioctl_search_header *h, const char *item, struct btrfs_inode *ret)
{
	struct btrfs_inode_item i;

	memcpy(&i, item, sizeof(i));
	*ret = (struct btrfs_inode){
		.number = h->objectid,
		.flags = le64toh(i.flags),
		.links = le32toh(i.nlink),
		.mode = (mode_t)le32toh(i.mode),
	};
}

/* An entry of a folder that is another subvolume. */
static bool is_nested(const struct btrfs_ioctl_search_header *h, const char *item)
{
	struct btrfs_dir_item d;

	if (h->type != BTRFS_DIR_INDEX_KEY || h->len < sizeof(d))
		return false;
	memcpy(&d, item, sizeof(d));
	return d.location.type == BTRFS_ROOT_ITEM_KEY;
}

int btrfs_inodes_next(struct btrfs_inodes *it, struct btrfs_inode *ret, struct err *err)
{
	for (;;) {
		struct btrfs_ioctl_search_header h;
		const char *item;
		int r;

		if (it->left == 0) {
			r = search(it, err);
			if (r < 0)
				return r;
			if (it->left == 0)
				return 0;
		}
		item = (const char *)it->buf + it->at + sizeof(h);
		memcpy(&h, (const char *)it->buf + it->at, sizeof(h));
		advance(it, &h);
		if (h.type == BTRFS_INODE_ITEM_KEY && h.len >= sizeof(struct btrfs_inode_item)) {
			inode_of(&h, item, ret);
			return 1;
		}
		if (h.type == BTRFS_EXTENT_DATA_KEY && it->extents)
			btrfs_extents_add(it->extents, h.objectid, item, h.len);
		if (is_nested(&h, item))
			it->nested = h.objectid;
	}
}

int btrfs_inode_flags(int fd, uint64_t number, uint64_t *ret, struct err *err)
{
	struct btrfs_inodes it;
	struct btrfs_ioctl_search_args *args = (struct btrfs_ioctl_search_args *)it.buf;
	struct btrfs_ioctl_search_header h;
	struct btrfs_inode inode;

	memset(args, 0, sizeof(*args));
	args->key.min_objectid = args->key.max_objectid = number;
	args->key.min_type = args->key.max_type = BTRFS_INODE_ITEM_KEY;
	args->key.max_transid = UINT64_MAX;
	args->key.nr_items = 1;
	if (ioctl(fd, BTRFS_IOC_TREE_SEARCH, args) < 0)
		return err_errno(err, "read an inode");
	*ret = 0;
	if (args->key.nr_items == 0)
		return 0;
	memcpy(&h, args->buf, sizeof(h));
	if (h.len >= sizeof(struct btrfs_inode_item)) {
		inode_of(&h, args->buf + sizeof(h), &inode);
		*ret = inode.flags;
	}
	return 0;
}

int btrfs_inode_path(int fd, uint64_t number, char buf[PATH_MAX], struct err *err)
{
	struct btrfs_ioctl_ino_lookup_args args = {.objectid = number};
	size_t n;

	buf[0] = '\0';
	if (number == BTRFS_FIRST_FREE_OBJECTID)
		return 1;
	if (ioctl(fd, BTRFS_IOC_INO_LOOKUP, &args) < 0)
		return errno == ENOENT ? 0 : err_errno(err, "find the path of an inode");
	n = strnlen(args.name, sizeof(args.name) - 1);
	while (n && args.name[n - 1] == '/')
		n--;
	memcpy(buf, args.name, n);
	buf[n] = '\0';
	return 1;
}
