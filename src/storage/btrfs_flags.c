#include "storage/btrfs_flags.h"

#include <errno.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "base/attr.h"

static const struct {
	uint64_t in_stream;
	int in_system;
} names[] = {
	{BTRFS_FLAG_NODATACOW, FS_NOCOW_FL},
	{BTRFS_FLAG_SYNC, FS_SYNC_FL},
	{BTRFS_FLAG_IMMUTABLE, FS_IMMUTABLE_FL},
	{BTRFS_FLAG_APPEND, FS_APPEND_FL},
	{BTRFS_FLAG_NODUMP, FS_NODUMP_FL},
	{BTRFS_FLAG_NOATIME, FS_NOATIME_FL},
	{BTRFS_FLAG_DIRSYNC, FS_DIRSYNC_FL},
};

static int flags_for(int have, uint64_t wanted)
{
	int flags = have;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		flags &= ~names[i].in_system;
		if (wanted & names[i].in_stream)
			flags |= names[i].in_system;
	}
	/* The kernel refuses both. */
	if (flags & FS_NOCOW_FL)
		flags &= ~(FS_COMPR_FL | FS_NOCOMP_FL);
	return flags;
}

int btrfs_flags_set(int fd, uint64_t wanted)
{
	int have, flags;

	if (ioctl(fd, FS_IOC_GETFLAGS, &have) < 0)
		return 0;
	flags = flags_for(have, wanted);
	if (flags == have || ioctl(fd, FS_IOC_SETFLAGS, &flags) == 0)
		return 0;
	return errno == EOPNOTSUPP || errno == ENOTTY ? 0 : -1;
}

bool btrfs_flags_lift(int fd)
{
	int flags;

	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0 || !(flags & (FS_IMMUTABLE_FL | FS_APPEND_FL)))
		return false;
	flags &= ~(FS_IMMUTABLE_FL | FS_APPEND_FL);
	return ioctl(fd, FS_IOC_SETFLAGS, &flags) == 0;
}
