#include "storage/btrfs_quota.h"

#include <endian.h>
#include <errno.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <string.h>
#include <sys/ioctl.h>

#include "storage/btrfs_subvol.h"

static uint64_t limit_of(const struct btrfs_ioctl_search_args *args)
{
	struct btrfs_ioctl_search_header h;
	struct btrfs_qgroup_limit_item item;

	memcpy(&h, args->buf, sizeof(h));
	if (!args->key.nr_items || h.len < sizeof(item))
		return 0;
	memcpy(&item, args->buf + sizeof(h), sizeof(item));
	return le64toh(item.flags) & BTRFS_QGROUP_LIMIT_MAX_RFER ? le64toh(item.max_rfer) : 0;
}

int quota_limit(int fd, uint64_t *ret, struct err *err)
{
	struct btrfs_ioctl_search_args args = {.key = {
						       .tree_id = BTRFS_QUOTA_TREE_OBJECTID,
						       .min_type = BTRFS_QGROUP_LIMIT_KEY,
						       .max_type = BTRFS_QGROUP_LIMIT_KEY,
						       .max_transid = UINT64_MAX,
						       .nr_items = 1,
					       }};
	struct btrfs_ioctl_ino_lookup_args id = {.objectid = BTRFS_FIRST_FREE_OBJECTID};

	if (ioctl(fd, BTRFS_IOC_INO_LOOKUP, &id) < 0)
		return err_errno(err, "find out its number");
	args.key.min_offset = args.key.max_offset = id.treeid;
	if (ioctl(fd, BTRFS_IOC_TREE_SEARCH, &args) < 0) {
		*ret = 0;
		return errno == ENOENT ? 0 : err_errno(err, "find out its limit");
	}
	*ret = limit_of(&args);
	return 0;
}

int quota_set_limit(int fd, uint64_t bytes, struct err *err)
{
	struct btrfs_ioctl_qgroup_limit_args args = {
		.lim = {.flags = BTRFS_QGROUP_LIMIT_MAX_RFER, .max_rfer = bytes}};

	if (ioctl(fd, BTRFS_IOC_QGROUP_LIMIT, &args) == 0)
		return 0;
	if (errno == ENOTCONN)
		return err_set(err, ERR_UNSUPPORTED, "its filesystem has no quotas on");
	return err_errno(err, "set its limit");
}
