/*
 * device: the filesystem is on a block device that the operator gave: to one container
 * (volume_wish) or to the pool, whose containers take what is free. It is known by the UUID of its
 * filesystem; the name that stands in the record, /dev/disk/by-id/... if it has one, is where it is
 * looked for first.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/num.h"
#include "base/str.h"
#include "storage/backends.h"
#include "storage/blockdev.h"
#include "storage/blockrec.h"
#include "storage/driver.h"
#include "storage/mount.h"
#include "storage/place.h"
#include "storage/settings.h"

struct candidate {
	struct signature sig;
	uint64_t size;
	bool blank;
};

/* Whatever is on it, nobody uses it. */
static int look_at(const char *device, struct candidate *ret, struct err *err)
{
	_cleanup_close_ int fd = blockdev_open(device, O_RDONLY | O_EXCL, err);
	int r = fd < 0 ? fd : blockdev_size(fd, &ret->size, err);

	if (r >= 0)
		r = signature_read(fd, &ret->sig, err);
	ret->blank = r == 0;
	return MIN(r, 0);
}

static int check_size(
	const char *device, const struct candidate *c, const struct volume_wish *w, struct err *err)
{
	uint64_t need = w->bytes + w->bytes / 8;
	char has[NUM_HUMAN_MAX], wants[NUM_HUMAN_MAX];

	if (w->size > need && !w->bytes)
		need = w->size;
	if (c->size >= need)
		return 0;
	return err_set(err, ERR_NO_SPACE, "%s has %s, the container needs %s", device,
		num_human_size(c->size, has), num_human_size(need, wants));
}

static int check_unclaimed(
	const struct volume *v, const char *stable, const struct candidate *c, struct err *err)
{
	bool claimed;
	int r = blockrec_claimed(v->pool_path, c->sig.uuid, stable, &claimed, err);

	if (r >= 0 && claimed)
		r = err_set(err, ERR_BUSY, "%s belongs to another container", stable);
	return r;
}

#define EXT4_INCOMPAT	      (1024 + 0x60) /* where it stands, le32 */
#define EXT4_INCOMPAT_RECOVER 0x4

/* While an ext4 is mounted, wherever, it is marked for its journal to be looked at. */
static int check_clean(const char *device, const struct candidate *c, struct err *err)
{
	_cleanup_close_ int fd = blockdev_open(device, O_RDONLY, err);
	uint32_t features;

	if (fd < 0 || !str_eq(c->sig.type, "ext4"))
		return MIN(fd, 0);
	if (pread(fd, &features, sizeof(features), EXT4_INCOMPAT) != sizeof(features))
		return err_errno(err, "read %s", device);
	if (le32toh(features) & EXT4_INCOMPAT_RECOVER)
		return err_set(err, ERR_BUSY,
			"the filesystem on %s was not unmounted: perhaps another node has it; if "
			"not, mount and unmount it once",
			device);
	return 0;
}

/* A filesystem that is there must be one that we would make, and empty. */
static int check_empty(const char *device, const struct candidate *c, struct err *err)
{
	_cleanup_close_ int fd = -1;
	int r;

	if (!blockfs_type_ok(c->sig.type) || !signature_uuid_ok(c->sig.uuid))
		return err_set(err, ERR_EXISTS,
			"%s is not blank, there is %s on it: nothing is written over it unless you "
			"say --force-format",
			device, c->sig.type);
	r = check_clean(device, c, err);
	if (r < 0)
		return r;
	fd = mount_aside(device, c->sig.type, err);
	if (fd < 0)
		return fd;
	if (blockfs_is_empty(fd))
		return 0;
	return err_set(err, ERR_EXISTS,
		"%s is not empty, its %s has files: nothing is written over them unless you say "
		"--force-format",
		device, c->sig.type);
}

static int take(struct volume *v, const char *device, struct blockfs *b, struct err *err)
{
	_cleanup_free_ char *stable = blockdev_stable(device);
	struct candidate c;
	int r = look_at(device, &c, err);

	if (r >= 0)
		r = check_unclaimed(v, stable, &c, err);
	if (r >= 0)
		r = check_size(device, &c, &v->wish, err);
	if (r < 0)
		return r;
	if (!c.blank && !v->wish.force_format) {
		r = check_empty(device, &c, err);
		if (r < 0)
			return r;
		if (v->wish.fs[0] && !str_eq(v->wish.fs, c.sig.type))
			return err_set(err, ERR_EXISTS,
				"%s has a filesystem already, and not %s but %s", device,
				v->wish.fs, c.sig.type);
		b->origin = BLOCKFS_FILL;
		snprintf(b->fs, sizeof(b->fs), "%.7s", c.sig.type);
		snprintf(b->uuid, sizeof(b->uuid), "%s", c.sig.uuid);
	}
	b->size = c.size;
	free(b->source);
	b->source = TAKE_PTR(stable);
	return 0;
}

static int device_choose(struct volume *v, struct blockfs *b, struct err *err)
{
	_cleanup_settings_ struct pool_settings s = {0};
	struct err first = ERR_INIT;
	int r;

	if (v->wish.device)
		return take(v, v->wish.device, b, err);
	r = pool_settings_read(v->pool_path, &s, err);
	if (r < 0)
		return r;
	for (size_t i = 0; s.devices && s.devices[i]; i++) {
		struct err e = ERR_INIT;

		if (take(v, s.devices[i], b, &e) >= 0)
			return 0;
		if (!first.code)
			first = e;
	}
	return err_set(err, ERR_NO_SPACE, "the pool has no device that is free and fits (%s)",
		first.code ? first.text : "none was given to it");
}

/* A crash may have come after mkfs. */
static int device_make(struct volume *v, struct blockfs *b, struct err *err)
{
	struct candidate c;
	_cleanup_close_ int fd = -1;
	int r;

	if (b->origin != BLOCKFS_FORMAT)
		return 0;
	r = look_at(b->source, &c, err);
	if (r < 0 || c.blank || str_eq(c.sig.uuid, b->uuid))
		return r;
	if (!v->wish.force_format)
		return err_set(err, ERR_EXISTS, "%s is not blank any more, there is %s on it",
			b->source, c.sig.type);
	log_warning("%s: there was %s on it (%s), which is written over as asked for", b->source,
		c.sig.type, c.sig.uuid);
	fd = blockdev_open(b->source, O_RDWR | O_EXCL, err);
	return fd < 0 ? fd : signature_wipe(fd, err);
}

static int device_attach(const struct blockfs *b, char **ret_dev, int *ret_fd, struct err *err)
{
	(void)ret_fd;
	return blockdev_find(b->uuid, b->source, ret_dev, err);
}

static int device_bare(const struct blockfs *b, char **ret_path, struct err *err)
{
	_cleanup_close_ int fd = blockdev_open(b->source, O_RDONLY | O_EXCL, err);

	if (fd < 0)
		return fd;
	*ret_path = xstrdup(b->source);
	return 0;
}

/* 1: it is there, 0: it is not. */
static int find(const struct blockfs *b, char **ret, struct err *err)
{
	int r = blockdev_find(b->uuid, b->source, ret, err);

	if (r != -ERR_NOT_FOUND)
		return r < 0 ? r : 1;
	err_clear(err);
	return 0;
}

static int device_idle(const struct blockfs *b, struct err *err)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -1;
	int r = find(b, &path, err);

	if (r > 0)
		r = fd = blockdev_open(path, O_RDONLY | O_EXCL, err);
	return MIN(r, 0);
}

/* Its signatures go, if they are still ours: whoever made another filesystem meanwhile keeps it. */
static int device_remove(const struct blockfs *b, struct err *err)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -1;
	int r = find(b, &path, err);

	if (r == 0)
		log_warning("no device has the filesystem %s (it was on %s): none is wiped",
			b->uuid, b->source);
	if (r <= 0)
		return r;
	fd = blockdev_open(path, O_RDWR | O_EXCL, err);
	return fd < 0 ? fd : signature_wipe(fd, err);
}

const struct blockfs_backend device_backend = {
	.choose = device_choose,
	.make = device_make,
	.attach = device_attach,
	.bare = device_bare,
	.idle = device_idle,
	.remove = device_remove,
};

bool blockfs_is_named(const struct volume *v)
{
	_cleanup_settings_ struct pool_settings s = {0};
	_cleanup_blockfs_ struct blockfs b = {0};
	struct err ignored = ERR_INIT;

	if (v->driver != &device_driver)
		return false;
	/* Where that can't be known it is: then nothing is wiped. */
	if (pool_settings_read(v->pool_path, &s, &ignored) < 0 || blockfs_info(v, &b, &ignored) < 0)
		return true;
	for (size_t i = 0; s.devices && s.devices[i]; i++) {
		_cleanup_free_ char *stable = blockdev_stable(s.devices[i]);

		if (str_eq(stable, b.source))
			return false;
	}
	return true;
}

/* Those that somebody could be given. */
static int device_space(const struct pool *p, struct pool_space *ret, struct err *err)
{
	_cleanup_settings_ struct pool_settings s = {0};
	int r = pool_settings_read(p->path, &s, err);

	*ret = (struct pool_space){.inodes_free = UINT64_MAX};
	for (size_t i = 0; r >= 0 && s.devices && s.devices[i]; i++) {
		struct candidate c = {.size = 0};
		struct err e = ERR_INIT;
		bool free = look_at(s.devices[i], &c, &e) >= 0 &&
			    (c.blank || check_empty(s.devices[i], &c, &e) >= 0);

		ret->bytes_total += c.size;
		ret->bytes_free += free ? c.size : 0;
	}
	return r;
}

static int device_probe(const char *path, struct err *err)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return err_errno(err, "%s", path);
	return S_ISDIR(st.st_mode);
}

static int device_holds(const char *path, const char *pool_path, struct err *err)
{
	(void)pool_path;
	return blockfs_holds(path, "device", err);
}

const struct storage_driver device_driver = {
	.name = "device",
	.probe = device_probe,
	.holds = device_holds,
	.space = device_space,
	BLOCKFS_OPERATIONS,
};
