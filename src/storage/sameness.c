#include "storage/sameness.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "storage/blockdev.h"
#include "storage/blockrec.h"

#define MARK_SIZE 1024 /* no filesystem's blocks are smaller */
#define FILE_SIZE 4096 /* more than any keeps in an inode */
#define SECTOR	  512

/* --- who the device is */

static char *sys_read(dev_t dev, const char *file)
{
	_cleanup_free_ char *path = xasprintf(
		"/sys/dev/block/%u:%u/%s", major(dev), minor(dev), file);
	struct err ignored = ERR_INIT;
	char *text = NULL;
	size_t n;

	if (file_read(path, 1024, &text, &n, &ignored) < 0)
		return NULL;
	for (char *p = text; *p; p++) /* vendors pad with blanks, and worse */
		if (*p <= ' ' || *p > '~')
			*p = ' ';
	str_trim(text);
	return text;
}

static bool put_identity(const char *kind, char *value, char ret[SAMENESS_IDENTITY_MAX])
{
	_cleanup_free_ char *v = value;
	const char *text = v;

	while (text && *text == ' ')
		text++;
	if (!text || !*text || strlen(text) > 239)
		return false;
	snprintf(ret, SAMENESS_IDENTITY_MAX, "%.15s:%.239s", kind, text);
	return true;
}

static bool parent_of(dev_t dev, dev_t *ret)
{
	_cleanup_free_ char *text = sys_read(dev, "../dev");
	unsigned maj, min;

	if (!text || sscanf(text, "%u:%u", &maj, &min) != 2)
		return false;
	*ret = makedev(maj, min);
	return true;
}

/* A partition is its disk, and where it begins. */
static bool identify_partition(dev_t dev, char ret[SAMENESS_IDENTITY_MAX])
{
	_cleanup_free_ char *partition = sys_read(dev, "partition");
	_cleanup_free_ char *start = sys_read(dev, "start");
	char disk[SAMENESS_IDENTITY_MAX];
	dev_t parent;

	if (!partition || !start || !parent_of(dev, &parent))
		return false;
	sameness_identity(parent, disk);
	if (disk[0] && strlen(disk) + strlen(start) + 2 <= SAMENESS_IDENTITY_MAX)
		snprintf(ret, SAMENESS_IDENTITY_MAX, "%.200s+%.32s", disk, start);
	return true;
}

void sameness_identity(dev_t dev, char ret[SAMENESS_IDENTITY_MAX])
{
	ret[0] = '\0';
	if (identify_partition(dev, ret))
		return;
	if (put_identity("dm", sys_read(dev, "dm/uuid"), ret) || /* of LVM: VG and LV */
		put_identity("wwid", sys_read(dev, "wwid"), ret) ||
		put_identity("wwid", sys_read(dev, "device/wwid"), ret) ||
		put_identity("serial", sys_read(dev, "serial"), ret))
		return;
	put_identity("serial", sys_read(dev, "device/serial"), ret);
}

static int look_at(const char *device, struct sameness *ret, struct err *err)
{
	_cleanup_close_ int fd = blockdev_open(device, O_RDONLY, err);
	struct stat st;
	int r = fd < 0 ? fd : blockdev_size(fd, &ret->size, err);

	if (r >= 0 && fstat(fd, &st) < 0)
		r = err_errno(err, "look at %s", device);
	if (r < 0)
		return r;
	sameness_identity(st.st_rdev, ret->identity);
	return 0;
}

int sameness_describe(const struct volume *v, struct sameness *ret, struct err *err)
{
	_cleanup_blockfs_ struct blockfs b = {0};
	_cleanup_free_ char *device = NULL;
	struct sameness s = {0};
	int r = blockfs_info(v, &b, err);

	if (r >= 0)
		r = blockfs_device(v, &device, err);
	if (r >= 0)
		r = look_at(device, &s, err);
	if (r < 0)
		return r;
	memcpy(s.fs, b.fs, sizeof(s.fs));
	memcpy(s.uuid, b.uuid, sizeof(s.uuid));
	*ret = s;
	return 0;
}

/* --- the mark */

static char *mark_name(const char *token)
{
	return xasprintf(".wherry-%s", token);
}

/* What the block holds: text to its first NUL, then zeros. */
static void mark_fill(char block[MARK_SIZE], const char *token, const char *nonce)
{
	memset(block, 0, MARK_SIZE);
	snprintf(block, MARK_SIZE, "wherry hand-over %s %s\n", token, nonce);
}

static bool mark_is(const char block[MARK_SIZE], const char *token, const struct sameness *s)
{
	char want[MARK_SIZE];

	mark_fill(want, token, s->nonce);
	return s->nonce[0] && memcmp(block, want, MARK_SIZE) == 0;
}

static int new_nonce(char ret[SAMENESS_NONCE_MAX], struct err *err)
{
	unsigned char bytes[(SAMENESS_NONCE_MAX - 1) / 2];

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return err_errno(err, "get random bytes");
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(ret + 2 * i, 3, "%02x", bytes[i]);
	return 0;
}

/* Where it is on the device. Filesystems on one device alone: logical is what is on it. */
static int place_of(int fd, uint64_t *ret, struct err *err)
{
	char buf[sizeof(struct fiemap) + sizeof(struct fiemap_extent)]
		__attribute__((aligned(8))) = {0};
	struct fiemap *map = (struct fiemap *)buf;
	const struct fiemap_extent *e = map->fm_extents;
	uint32_t unusable = FIEMAP_EXTENT_UNKNOWN | FIEMAP_EXTENT_DELALLOC | FIEMAP_EXTENT_ENCODED |
			    FIEMAP_EXTENT_NOT_ALIGNED | FIEMAP_EXTENT_DATA_INLINE |
			    FIEMAP_EXTENT_UNWRITTEN;

	map->fm_length = FILE_SIZE;
	map->fm_flags = FIEMAP_FLAG_SYNC;
	map->fm_extent_count = 1;
	if (ioctl(fd, FS_IOC_FIEMAP, map) < 0)
		return err_errno(err, "ask where the mark lies");
	if (map->fm_mapped_extents != 1 || e->fe_logical != 0 || e->fe_length < MARK_SIZE ||
		e->fe_flags & unusable || e->fe_physical % SECTOR)
		return err_set(err, ERR_UNSUPPORTED,
			"this filesystem does not say where a file lies on its device");
	*ret = e->fe_physical;
	return 0;
}

static int write_mark(int fd, const char *block, struct err *err)
{
	static const char zeros[FILE_SIZE - MARK_SIZE];

	if (ftruncate(fd, 0) < 0 || pwrite(fd, block, MARK_SIZE, 0) != MARK_SIZE ||
		pwrite(fd, zeros, sizeof(zeros), MARK_SIZE) != sizeof(zeros) || fsync(fd) < 0 ||
		syncfs(fd) < 0)
		return err_errno(err, "write the mark of the hand-over");
	return 0;
}

/* A container may have put something there, which is not followed and not written into. */
static int create_mark(int rootfd, const char *name, struct err *err)
{
	int fd;

	if (unlinkat(rootfd, name, 0) < 0 && errno != ENOENT)
		return err_errno(err, "remove an old %s", name);
	fd = openat(rootfd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return fd < 0 ? err_errno(err, "make %s", name) : fd;
}

int sameness_mark(int rootfd, const char *token, struct sameness *s, struct err *err)
{
	_cleanup_free_ char *name = mark_name(token);
	_cleanup_close_ int fd = -1;
	char block[MARK_SIZE];
	uint64_t offset = 0;
	int r = new_nonce(s->nonce, err);

	if (r >= 0)
		r = fd = create_mark(rootfd, name, err);
	if (r < 0)
		return r;
	mark_fill(block, token, s->nonce);
	r = write_mark(fd, block, err);
	if (r >= 0)
		r = place_of(fd, &offset, err);
	if (r < 0) {
		s->nonce[0] = '\0';
		(void)unlinkat(rootfd, name, 0);
		return r;
	}
	s->offset = offset;
	return 0;
}

int sameness_unmark(int rootfd, const char *token, struct err *err)
{
	_cleanup_free_ char *name = mark_name(token);

	if (unlinkat(rootfd, name, 0) < 0 && errno != ENOENT)
		return err_errno(err, "remove %s", name);
	return 0;
}

int sameness_seen(int rootfd, const char *token, const struct sameness *s, struct err *err)
{
	_cleanup_free_ char *name = mark_name(token);
	_cleanup_close_ int fd = openat(
		rootfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char block[MARK_SIZE] = {0};

	if (fd >= 0 && pread(fd, block, sizeof(block), 0) == MARK_SIZE && mark_is(block, token, s))
		return 0;
	return err_set(err, ERR_CORRUPT,
		"the filesystem %s does not show here what the other node wrote last: it is "
		"another "
		"one, or an old state of it",
		s->uuid);
}

/* --- the destination looks for it */

/* Past all caches: what others wrote to the device is read from the device. */
static int read_raw(const char *device, uint64_t offset, char block[MARK_SIZE], struct err *err)
{
	_cleanup_close_ int fd = open(device, O_RDONLY | O_DIRECT | O_NONBLOCK | O_CLOEXEC);
	_cleanup_free_ char *aligned = NULL;
	uint64_t from = offset / FILE_SIZE * FILE_SIZE; /* as coarse as any disk's blocks */
	ssize_t n;

	if (fd < 0)
		return err_errno(err, "open %s", device);
	if (posix_memalign((void **)&aligned, FILE_SIZE, 2 * FILE_SIZE) != 0)
		return err_set(err, ERR_INTERNAL, "out of memory");
	n = pread(fd, aligned, 2 * FILE_SIZE, (off_t)from);
	if (n < (ssize_t)(offset - from + MARK_SIZE))
		return n < 0 ? err_errno(err, "read %s", device)
			     : err_set(err, ERR_IO, "%s ends before the mark", device);
	memcpy(block, aligned + (offset - from), MARK_SIZE);
	return 0;
}

/* Signatures are read through the cache, which may be older than what is on the device. Only of
 * devices that may be it: flushing others costs their users. */
static void drop_cache(const char *device, uint64_t size)
{
	struct err ignored = ERR_INIT;
	_cleanup_close_ int fd = blockdev_open(device, O_RDONLY, &ignored);
	uint64_t here;

	if (fd >= 0 && blockdev_size(fd, &here, &ignored) >= 0 && here == size)
		(void)ioctl(fd, BLKFLSBUF, 0);
}

/* 1: it is the one. 0: it looks like it, and *ret_why says why it is not. */
static int is_same(const char *device, const struct sameness *s, const char *token,
	struct err *ret_why, struct err *err)
{
	struct sameness here = {0};
	char block[MARK_SIZE];
	int r = look_at(device, &here, err);

	if (r < 0)
		return r;
	if (here.size != s->size)
		return err_set(ret_why, ERR_CORRUPT, "%s has the filesystem %s, but another size",
			       device, s->uuid),
		       0;
	if (here.identity[0] && s->identity[0] && !str_eq(here.identity, s->identity))
		return err_set(ret_why, ERR_CORRUPT, "%s has the filesystem %s, but is %s, not %s",
			       device, s->uuid, here.identity, s->identity),
		       0;
	if (!s->nonce[0])
		return 1;
	r = read_raw(device, s->offset, block, err);
	if (r < 0)
		return r;
	if (!mark_is(block, token, s))
		return err_set(ret_why, ERR_CORRUPT,
			       "%s has the filesystem %s, but not what the other node has just "
			       "written to it: it is a copy, or the path to it is stale",
			       device, s->uuid),
		       0;
	return 1;
}

static bool has_filesystem(const char *device, const struct sameness *s)
{
	struct err ignored = ERR_INIT;
	_cleanup_close_ int fd = blockdev_open(device, O_RDONLY, &ignored);
	struct signature sig;

	return fd >= 0 && signature_read(fd, &sig, &ignored) > 0 && str_eq(sig.uuid, s->uuid) &&
	       str_eq(sig.type, s->fs);
}

/* What lies beneath a multipath or an array is not it, but what lies on top. */
static bool is_beneath(const char *name)
{
	_cleanup_free_ char *path = xasprintf("/sys/class/block/%s/holders", name);
	_cleanup_closedir_ DIR *dir = opendir(path);
	const struct dirent *e;

	while (dir && (e = readdir(dir)))
		if (e->d_name[0] != '.')
			return true;
	return false;
}

struct search {
	const struct sameness *s;
	const char *token;
	char *found;
	struct err why; /* one looked like it */
};

static int try_device(struct search *x, const char *name, struct err *err)
{
	_cleanup_free_ char *device = xasprintf("/dev/%s", name);
	int r;

	for (char *p = device; *p; p++) /* as sysfs writes "cciss/c0d0" */
		if (*p == '!')
			*p = '/';
	if (is_beneath(name))
		return 0;
	drop_cache(device, x->s->size);
	if (!has_filesystem(device, x->s))
		return 0;
	r = is_same(device, x->s, x->token, &x->why, err);
	if (r <= 0)
		return r;
	if (x->found)
		return err_set(err, ERR_STATE,
			"%s and %s are both the device: one path to it must go, or multipath must "
			"join them",
			x->found, device);
	x->found = TAKE_PTR(device);
	return 0;
}

static int search_all(struct search *x, struct err *err)
{
	_cleanup_closedir_ DIR *dir = opendir("/sys/class/block");
	const struct dirent *e;
	int r = 0;

	if (!dir)
		return err_errno(err, "list block devices");
	while (r >= 0 && (e = readdir(dir)))
		if (e->d_name[0] != '.')
			r = try_device(x, e->d_name, err);
	return r;
}

static int check_free(const char *device, struct err *err)
{
	_cleanup_close_ int fd = blockdev_open(device, O_RDONLY | O_EXCL, err);

	return fd < 0 ? fd : 0;
}

int sameness_find(
	const struct sameness *s, const char *token, bool free, char **ret_device, struct err *err)
{
	struct search x = {.s = s, .token = token, .why = ERR_INIT};
	_cleanup_free_ char *found = NULL;
	int r = search_all(&x, err);

	found = x.found;
	if (r < 0)
		return r;
	if (!found && x.why.code)
		return err_copy(err, &x.why);
	if (!found)
		return err_set(err, ERR_NOT_FOUND,
			"no device here has the filesystem %s: is the device presented to this "
			"host, too?",
			s->uuid);
	if (free)
		r = check_free(found, err);
	if (r < 0)
		return r;
	*ret_device = TAKE_PTR(found);
	return 0;
}

int sameness_claimed(const char *pool_path, const struct sameness *s, const char *device, bool *ret,
	struct err *err)
{
	_cleanup_free_ char *stable = blockdev_stable(device);

	return blockrec_claimed(pool_path, s->uuid, stable, ret, err);
}

/* --- the wire form */

json_t *sameness_json(const struct sameness *s)
{
	json_t *o = json_object();

	json_put_str(o, "fs", s->fs);
	json_put_str(o, "uuid", s->uuid);
	json_put_u64(o, "size", s->size);
	json_put_str(o, "identity", s->identity);
	json_put_str(o, "nonce", s->nonce);
	json_put_u64(o, "offset", s->offset);
	return o;
}

static bool take(const json_t *v, const char *name, char *ret, size_t size)
{
	const char *text = json_get_str(v, name);

	if (!text || strlen(text) >= size)
		return false;
	for (const char *p = text; *p; p++)
		if (*p < ' ' || *p > '~')
			return false;
	snprintf(ret, size, "%s", text);
	return true;
}

static bool nonce_ok(const char *nonce)
{
	size_t n = strspn(nonce, "0123456789abcdef");

	return !nonce[n] && (n == SAMENESS_NONCE_MAX - 1 || n == 0);
}

int sameness_from_json(const json_t *v, struct sameness *ret, struct err *err)
{
	struct sameness s = {
		.size = json_get_u64(v, "size", 0), .offset = json_get_u64(v, "offset", 0)};

	if (!take(v, "fs", s.fs, sizeof(s.fs)) || !blockfs_type_ok(s.fs) ||
		!take(v, "uuid", s.uuid, sizeof(s.uuid)) || !signature_uuid_ok(s.uuid) ||
		!take(v, "identity", s.identity, sizeof(s.identity)) ||
		!take(v, "nonce", s.nonce, sizeof(s.nonce)) || !nonce_ok(s.nonce) ||
		s.size < MARK_SIZE || s.offset > s.size - MARK_SIZE || s.offset % SECTOR)
		return err_set(err, ERR_PROTOCOL, "the description of a device is malformed");
	*ret = s;
	return 0;
}
