/*
 * Libraries that no static archive is to be had of, and that an OpenVZ node has no use for.
 * libmount's table of mounts is read here, as far as storage/ asks for it; btrfs and block devices
 * are not to be found.
 */
#include <archive.h>
#include <blkid/blkid.h>
#include <btrfsutil.h>
#include <libmount/libmount.h>
#include <mntent.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/vec.h"

struct libmnt_fs {
	char *source, *target, *type;
};

struct libmnt_iter {
	size_t at;
};

VEC(mounts, struct libmnt_fs *);

struct libmnt_table {
	struct mounts all;
};

struct libmnt_table *mnt_new_table_from_file(const char *filename)
{
	FILE *f = setmntent("/proc/self/mounts", "r");
	struct libmnt_table *t;
	struct mntent *e;

	if (!f)
		return NULL;
	t = xnew(struct libmnt_table);
	while ((e = getmntent(f))) {
		struct libmnt_fs *fs = xnew(struct libmnt_fs);

		*fs = (struct libmnt_fs){
			xstrdup(e->mnt_fsname), xstrdup(e->mnt_dir), xstrdup(e->mnt_type)};
		*mounts_push(&t->all) = fs;
	}
	endmntent(f);
	return t;
}

void mnt_unref_table(struct libmnt_table *t)
{
	for (size_t i = 0; t && i < t->all.n; i++) {
		free(t->all.v[i]->source);
		free(t->all.v[i]->target);
		free(t->all.v[i]->type);
		free(t->all.v[i]);
	}
	if (t)
		mounts_done(&t->all);
	free(t);
}

struct libmnt_iter *mnt_new_iter(int direction)
{
	return xnew(struct libmnt_iter);
}

void mnt_free_iter(struct libmnt_iter *i)
{
	free(i);
}

int mnt_table_next_fs(struct libmnt_table *t, struct libmnt_iter *i, struct libmnt_fs **ret)
{
	if (i->at == t->all.n)
		return 1;
	*ret = t->all.v[i->at++];
	return 0;
}

/* The last one covers the others. */
struct libmnt_fs *mnt_table_find_target(struct libmnt_table *t, const char *path, int direction)
{
	for (size_t i = t->all.n; i > 0; i--)
		if (strcmp(t->all.v[i - 1]->target, path) == 0)
			return t->all.v[i - 1];
	return NULL;
}

struct libmnt_fs *mnt_table_find_srcpath(struct libmnt_table *t, const char *path, int direction)
{
	for (size_t i = t->all.n; i > 0; i--)
		if (strcmp(t->all.v[i - 1]->source, path) == 0)
			return t->all.v[i - 1];
	return NULL;
}

const char *mnt_fs_get_source(struct libmnt_fs *fs)
{
	return fs->source;
}

const char *mnt_fs_get_target(struct libmnt_fs *fs)
{
	return fs->target;
}

const char *mnt_fs_get_fstype(struct libmnt_fs *fs)
{
	return fs->type;
}

/* btrfs */

enum btrfs_util_error btrfs_util_create_snapshot_fd2(int fd, int parent, const char *name,
	int flags, uint64_t *unused, struct btrfs_util_qgroup_inherit *q)
{
	return BTRFS_UTIL_ERROR_NOT_BTRFS;
}

enum btrfs_util_error btrfs_util_create_subvolume_fd(int parent, const char *name, int flags,
	uint64_t *unused, struct btrfs_util_qgroup_inherit *q)
{
	return BTRFS_UTIL_ERROR_NOT_BTRFS;
}

enum btrfs_util_error btrfs_util_create_subvolume_iterator_fd(
	int fd, uint64_t top, int flags, struct btrfs_util_subvolume_iterator **ret)
{
	return BTRFS_UTIL_ERROR_NOT_BTRFS;
}

enum btrfs_util_error btrfs_util_subvolume_iterator_next(
	struct btrfs_util_subvolume_iterator *i, char **ret_path, uint64_t *ret_id)
{
	return BTRFS_UTIL_ERROR_STOP_ITERATION;
}

void btrfs_util_destroy_subvolume_iterator(struct btrfs_util_subvolume_iterator *i)
{
}

enum btrfs_util_error btrfs_util_delete_subvolume_fd(int parent, const char *name, int flags)
{
	return BTRFS_UTIL_ERROR_NOT_BTRFS;
}

enum btrfs_util_error btrfs_util_set_subvolume_read_only_fd(int fd, bool read_only)
{
	return BTRFS_UTIL_ERROR_NOT_BTRFS;
}

enum btrfs_util_error btrfs_util_subvolume_id_fd(int fd, uint64_t *ret)
{
	return BTRFS_UTIL_ERROR_NOT_BTRFS;
}

/* Block devices */

blkid_probe blkid_new_probe(void)
{
	return NULL;
}

void blkid_free_probe(blkid_probe p)
{
}

int blkid_probe_set_device(blkid_probe p, int fd, blkid_loff_t at, blkid_loff_t size)
{
	return -1;
}

int blkid_probe_enable_superblocks(blkid_probe p, int on)
{
	return -1;
}

int blkid_probe_set_superblocks_flags(blkid_probe p, int flags)
{
	return -1;
}

int blkid_probe_enable_partitions(blkid_probe p, int on)
{
	return -1;
}

int blkid_probe_set_partitions_flags(blkid_probe p, int flags)
{
	return -1;
}

int blkid_do_safeprobe(blkid_probe p)
{
	return -1;
}

int blkid_do_probe(blkid_probe p)
{
	return -1;
}

int blkid_do_wipe(blkid_probe p, int dry)
{
	return -1;
}

int blkid_probe_lookup_value(blkid_probe p, const char *name, const char **ret, size_t *ret_n)
{
	return -1;
}

/* libarchive's table of formats names all, and each brings its libraries. Ours is pax. */

int archive_write_set_format_7zip(struct archive *a)
{
	return ARCHIVE_FATAL;
}

int archive_write_set_format_iso9660(struct archive *a)
{
	return ARCHIVE_FATAL;
}

int archive_write_set_format_mtree(struct archive *a)
{
	return ARCHIVE_FATAL;
}

int archive_write_set_format_mtree_classic(struct archive *a)
{
	return ARCHIVE_FATAL;
}

int archive_write_set_format_xar(struct archive *a)
{
	return ARCHIVE_FATAL;
}

int archive_write_set_format_zip(struct archive *a)
{
	return ARCHIVE_FATAL;
}
