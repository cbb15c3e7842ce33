#include "storage/mkfs.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/proc.h"
#include "base/str.h"

#define MIB		(UINT64_C(1) << 20)
#define DEFAULT_SIZE	(UINT64_C(8) << 30) /* of one that nobody said anything about */
#define XFS_MIN		(320 * MIB)	    /* mkfs.xfs makes none below 300 MiB */
#define EXT4_MIN	(64 * MIB)
#define BYTES_PER_INODE 16384 /* what mke2fs makes inodes for by itself */

bool blockfs_type_ok(const char *fs)
{
	return str_eq(fs, "ext4") || str_eq(fs, "xfs");
}

uint64_t mkfs_size(const char *fs, const struct volume_wish *w)
{
	/* Journal and tables want their share of it. */
	uint64_t least = w->bytes + w->bytes / 8 + w->inodes * 512 + 64 * MIB;
	uint64_t size = w->size ? w->size : MAX(DEFAULT_SIZE, 2 * least);

	size = MAX(size, least);
	size = MAX(size, str_eq(fs, "xfs") ? XFS_MIN : EXT4_MIN);
	return (size + MIB - 1) / MIB * MIB;
}

/* ea_inode: extended attributes of up to 64 KiB, which xfs and btrfs have too. project: project
 * ids.
 */
#define FEATURES     "ea_inode,project"
#define FEATURES_MMP FEATURES ",mmp"

/* Blocks of 4 KiB also where it is small: a symbolic link is no longer than one. Blocks that only
 * the host's root may use make no sense where the container has one of its own. */
static int make_ext4(const char *path, const struct blockfs *b, const struct volume_wish *w,
	bool mmp, struct err *err)
{
	uint64_t n = MAX(b->size / BYTES_PER_INODE, w->inodes + w->inodes / 4 + 1024);
	_cleanup_free_ char *inodes = xasprintf("%llu", (unsigned long long)MIN(n, UINT32_MAX));
	const char *features = mmp ? FEATURES_MMP : FEATURES;
	const char *argv[] = {"mkfs.ext4", "-q", "-F", "-b", "4096", "-m", "0", "-U", b->uuid, "-N",
		inodes, "-O", features, "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard",
		path, NULL};

	return proc_run(argv, err);
}

static int make_xfs(const char *path, const struct blockfs *b, struct err *err)
{
	_cleanup_free_ char *uuid = xasprintf("uuid=%s", b->uuid);
	const char *argv[] = {"mkfs.xfs", "-q", "-K", "-m", uuid, path, NULL};

	return proc_run(argv, err);
}

int mkfs_make(const char *path, const struct blockfs *b, const struct volume_wish *w, bool mmp,
	struct err *err)
{
	int r = str_eq(b->fs, "xfs") ? make_xfs(path, b, err) : make_ext4(path, b, w, mmp, err);

	return r < 0 ? err_prefix(err, "make the filesystem on %s", path) : 0;
}

int mkfs_without_projects(const char *path, struct err *err)
{
	const char *argv[] = {"tune2fs", "-O", "^project", path, NULL};

	return proc_run(argv, err);
}
