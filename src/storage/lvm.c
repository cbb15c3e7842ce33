/*
 * lvm: the filesystem is on a logical volume of the pool's volume group, or of a thin pool in it,
 * of the name wherry-UUID. By the tools of LVM.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/num.h"
#include "base/proc.h"
#include "base/str.h"
#include "storage/backends.h"
#include "storage/blockdev.h"
#include "storage/driver.h"
#include "storage/place.h"
#include "storage/settings.h"

#define OUTPUT_MAX 65536

/* What LVM says about each of the fields, in bytes where it is a size. */
static int report(
	const char *tool, const char *fields, const char *name, char ***ret, struct err *err)
{
	const char *argv[] = {tool, "--noheadings", "--units", "b", "--nosuffix", "--separator",
		"|", "-o", fields, name, NULL};
	_cleanup_free_ char *out = NULL;
	int r = proc_capture(argv, OUTPUT_MAX, &out, err);

	if (r >= 0)
		*ret = str_split(str_trim(out), "|", true);
	return r;
}

/* Its volume group may have gone with its disks. */
static bool is_missing(const struct err *err)
{
	return strstr(err->text, "Failed to find logical volume") ||
	       strstr(err->text, "Cannot process volume group");
}

/* 1: there is one. */
static int lv_exists(const char *lv, struct err *err)
{
	_cleanup_strv_ char **fields = NULL;
	int r = report("lvs", "lv_name", lv, &fields, err);

	if (r < 0 && is_missing(err)) {
		err_clear(err);
		return 0;
	}
	return r < 0 ? r : 1;
}

static int activate(const char *lv, struct err *err)
{
	const char *argv[] = {"lvchange", "-q", "-ay", "-K", lv, NULL};

	return proc_run(argv, err);
}

static int pool_vg(const char *pool_path, struct pool_settings *s, struct err *err)
{
	int r = pool_settings_read(pool_path, s, err);

	if (r >= 0 && !s->vg)
		r = err_set(err, ERR_INVALID,
			"the pool at %s has no volume group: a line \"vg = VG\" or \"vg = "
			"VG/THINPOOL\" in its .wherry/pool.conf says which",
			pool_path);
	return r;
}

static int lvm_choose(struct volume *v, struct blockfs *b, struct err *err)
{
	_cleanup_settings_ struct pool_settings s = {0};
	_cleanup_strv_ char **fields = NULL;
	int r = pool_vg(v->pool_path, &s, err);

	if (r >= 0)
		r = strchr(s.vg, '/') ? report("lvs", "lv_name", s.vg, &fields, err)
				      : report("vgs", "vg_name", s.vg, &fields, err);
	if (r < 0)
		return r;
	b->source = xasprintf("%.*s/wherry-%s", (int)strcspn(s.vg, "/"), s.vg, b->uuid);
	return 0;
}

static int lvm_make(struct volume *v, struct blockfs *b, struct err *err)
{
	_cleanup_settings_ struct pool_settings s = {0};
	_cleanup_free_ char *size = xasprintf("%llub", (unsigned long long)b->size);
	const char *name = strrchr(b->source, '/') + 1;
	int r = pool_vg(v->pool_path, &s, err);

	if (r >= 0)
		r = lv_exists(b->source, err);
	if (r != 0)
		return MIN(r, 0);
	const char *thick[] = {
		"lvcreate", "-q", "-y", "-W", "y", "-Z", "y", "-L", size, "-n", name, s.vg, NULL};
	const char *thin[] = {"lvcreate", "-q", "-y", "-V", size, "-T", s.vg, "-n", name, NULL};

	r = proc_run(strchr(s.vg, '/') ? thin : thick, err);
	if (r < 0 && strstr(err->text, "insufficient free space"))
		err->code = ERR_NO_SPACE;
	return r < 0 ? -(int)err->code : 0;
}

static int lvm_attach(const struct blockfs *b, char **ret_dev, int *ret_fd, struct err *err)
{
	int r = activate(b->source, err);

	(void)ret_fd;
	if (r >= 0)
		*ret_dev = xasprintf("/dev/%s", b->source);
	return r;
}

static int lvm_bare(const struct blockfs *b, char **ret_path, struct err *err)
{
	int fd = -1;

	return lvm_attach(b, ret_path, &fd, err);
}

static int lvm_idle(const struct blockfs *b, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("/dev/%s", b->source);
	_cleanup_close_ int fd = blockdev_open(path, O_RDONLY | O_EXCL, err);

	if (fd != -ERR_NOT_FOUND) /* not active */
		return MIN(fd, 0);
	err_clear(err);
	return 0;
}

static int lvm_remove(const struct blockfs *b, struct err *err)
{
	const char *argv[] = {"lvremove", "-q", "-y", b->source, NULL};
	int r = lv_exists(b->source, err);

	return r <= 0 ? r : proc_run(argv, err);
}

const struct blockfs_backend lvm_backend = {
	.choose = lvm_choose,
	.make = lvm_make,
	.attach = lvm_attach,
	.bare = lvm_bare,
	.idle = lvm_idle,
	.remove = lvm_remove,
};

static int lvm_space(const struct pool *p, struct pool_space *ret, struct err *err)
{
	_cleanup_settings_ struct pool_settings s = {0};
	_cleanup_strv_ char **fields = NULL;
	bool thin;
	double used;
	int r = pool_vg(p->path, &s, err);

	if (r < 0)
		return r;
	thin = strchr(s.vg, '/') != NULL;
	r = thin ? report("lvs", "lv_size,data_percent", s.vg, &fields, err)
		 : report("vgs", "vg_size,vg_free", s.vg, &fields, err);
	if (r < 0)
		return r;
	*ret = (struct pool_space){.inodes_free = UINT64_MAX};
	if (strv_len(fields) != 2 || num_u64(fields[0], INT64_MAX, &ret->bytes_total, err) < 0)
		return err_set(err, ERR_INTERNAL, "LVM says nothing about %s that we know", s.vg);
	if (!thin)
		return num_u64(fields[1], INT64_MAX, &ret->bytes_free, err);
	if (sscanf(fields[1], "%lf", &used) != 1 || used < 0 || used > 100)
		return err_set(err, ERR_INTERNAL, "%s is no thin pool", s.vg);
	ret->bytes_free = (uint64_t)((double)ret->bytes_total * (100 - used) / 100);
	return 0;
}

static int lvm_probe(const char *path, struct err *err)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return err_errno(err, "%s", path);
	return S_ISDIR(st.st_mode);
}

static int lvm_holds(const char *path, const char *pool_path, struct err *err)
{
	(void)pool_path;
	return blockfs_holds(path, "lvm", err);
}

const struct storage_driver lvm_driver = {
	.name = "lvm",
	.probe = lvm_probe,
	.holds = lvm_holds,
	.space = lvm_space,
	BLOCKFS_OPERATIONS,
};
