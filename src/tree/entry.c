#include "tree/entry.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/str.h"
#include "tree/digest.h"

int64_t entry_nsec(const struct timespec *t)
{
	return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

bool entry_is_device(uint32_t mode)
{
	return S_ISCHR(mode) || S_ISBLK(mode);
}

void entry_done(struct entry *e)
{
	xattr_list_done(&e->xattrs);
}

/* Reading */

static int map_ids(const struct idmap *map, const struct stat *st, struct entry *e, struct err *err)
{
	e->uid = st->st_uid;
	e->gid = st->st_gid;
	if (!map)
		return 0;
	if (idmap_from_disk(map, false, st->st_uid, &e->uid) < 0)
		return err_set(err, ERR_UNSUPPORTED, "owner %u is outside the container's id map",
			st->st_uid);
	if (idmap_from_disk(map, true, st->st_gid, &e->gid) < 0)
		return err_set(err, ERR_UNSUPPORTED, "group %u is outside the container's id map",
			st->st_gid);
	return 0;
}

/* Flags and project id. File systems without them (tmpfs, overlay) say so by an error, and then
 * there are none. */
static void read_chattr(int fd, struct entry *e)
{
	struct fsxattr x = {0};
	int flags = 0;

	e->chattr = e->project = 0;
	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0)
		e->chattr = (uint32_t)flags & ENTRY_CHATTR;
	if (ioctl(fd, FS_IOC_FSGETXATTR, &x) == 0)
		e->project = x.fsx_projid;
}

static int read_target(int fd, struct entry *e, struct err *err)
{
	ssize_t n = readlinkat(fd, "", e->target, sizeof(e->target));

	if (n < 0)
		return err_errno(err, "read symbolic link");
	if (n == 0 || n >= (ssize_t)sizeof(e->target))
		return err_set(err, ERR_UNSUPPORTED, "symbolic link of %zd bytes", n);
	e->target[n] = '\0';
	return 0;
}

static void from_stat(const struct stat *st, struct entry *e)
{
	e->mode = st->st_mode;
	e->dev = st->st_dev;
	e->nlink = (uint32_t)st->st_nlink;
	e->size = S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0;
	e->atime = st->st_atim;
	e->mtime = st->st_mtim;
	e->ctime = entry_nsec(&st->st_ctim);
	e->major = entry_is_device(st->st_mode) ? major(st->st_rdev) : 0;
	e->minor = entry_is_device(st->st_mode) ? minor(st->st_rdev) : 0;
	e->target[0] = '\0';
}

int entry_read(int fd, bool opath, const struct idmap *map, struct entry *e, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(err, "stat");
	return entry_read_rest(fd, opath, &st, map, e, err);
}

int entry_read_rest(int fd, bool opath, const struct stat *st, const struct idmap *map,
	struct entry *e, struct err *err)
{
	int r;

	from_stat(st, e);
	e->id = st->st_ino;
	r = map_ids(map, st, e, err);
	if (r >= 0 && S_ISLNK(st->st_mode))
		r = read_target(fd, e, err);
	if (r < 0)
		return r;
	e->chattr = e->project = 0;
	if (!opath)
		read_chattr(fd, e);
	return xattr_read(fd, opath, map, &e->xattrs, err);
}

uint64_t entry_digest(const struct entry *e)
{
	uint64_t fixed[] = {e->mode, (uint64_t)e->uid << 32 | e->gid,
		(uint64_t)e->chattr << 32 | e->project, (uint64_t)e->major << 32 | e->minor,
		e->size, (uint64_t)e->mtime.tv_sec, (uint64_t)e->mtime.tv_nsec, e->xattrs.n, 0, 0};

	if (e->target[0])
		fixed[8] = digest_u64(e->target, strlen(e->target));
	for (size_t i = 0; i < e->xattrs.n; i++) {
		const struct xattr *x = &e->xattrs.v[i];
		uint64_t part[3] = {fixed[9], digest_u64(x->name, strlen(x->name)),
			digest_u64(x->value, x->len)};

		fixed[9] = digest_u64(part, sizeof(part));
	}
	return digest_u64(fixed, sizeof(fixed));
}

/* The wire */

static size_t put_xattrs(struct opbuf *b, const struct entry *e, size_t from)
{
	size_t bytes = 0, i;

	for (i = from; i < e->xattrs.n && i - from < OP_XATTRS_COUNT; i++) {
		bytes += e->xattrs.v[i].len + XATTR_NAME_MAX + 1;
		if (bytes > OP_XATTRS_MAX)
			break;
		op_xattr(b, &e->xattrs.v[i]);
	}
	return i;
}

static bool many_xattrs(const struct entry *e)
{
	return e->xattrs.n > OP_XATTRS_COUNT ||
	       e->xattrs.len + e->xattrs.n * (XATTR_NAME_MAX + 1) > OP_XATTRS_MAX;
}

void entry_put_ahead(struct opbuf *b, const struct entry *e)
{
	if (!many_xattrs(e))
		return;
	for (size_t i = 0; i < e->xattrs.n;) {
		op_begin(b, OP_XATTRS);
		i = put_xattrs(b, e, i);
		op_end(b);
	}
}

void entry_put(struct opbuf *b, const struct entry *e)
{
	op_u64(b, ATTR_ID, e->id);
	op_u32(b, ATTR_MODE, e->mode);
	op_u32(b, ATTR_UID, e->uid);
	op_u32(b, ATTR_GID, e->gid);
	op_time(b, ATTR_ATIME, e->atime);
	op_time(b, ATTR_MTIME, e->mtime);
	if (e->chattr)
		op_u32(b, ATTR_CHATTR, e->chattr);
	if (e->project)
		op_u32(b, ATTR_PROJECT, e->project);
	if (!many_xattrs(e))
		put_xattrs(b, e, 0);
}

int entry_get(const struct op *op, struct entry *e, struct err *err)
{
	e->id = op->id;
	e->mode = op->mode;
	e->uid = op->uid;
	e->gid = op->gid;
	e->atime = op->atime;
	e->mtime = op->mtime;
	e->chattr = op_has(op, ATTR_CHATTR) ? op->chattr & ENTRY_CHATTR : 0;
	e->project = op_has(op, ATTR_PROJECT) ? op->project : 0;
	e->size = op_has(op, ATTR_SIZE) ? op->size : 0;
	e->major = op_has(op, ATTR_RDEV) ? (uint32_t)(op->rdev >> 32) : 0;
	e->minor = op_has(op, ATTR_RDEV) ? (uint32_t)op->rdev : 0;
	e->target[0] = '\0';
	if (op->target)
		memcpy(e->target, op->target, strlen(op->target) + 1);
	for (size_t i = 0; i < op->n_xattrs; i++) {
		int r = xattr_list_add(&e->xattrs, op->xattrs[i].name, op->xattrs[i].value,
			op->xattrs[i].len, err);

		if (r < 0)
			return r;
	}
	xattr_list_seal(&e->xattrs);
	return 0;
}

/* Writing */

int entry_unlock(int fd)
{
	int flags = 0;

	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
		return -1;
	if (!(flags & ENTRY_CHATTR_LOCK))
		return 0;
	flags &= ~ENTRY_CHATTR_LOCK;
	return ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

/* Where a file system refuses a combination, each flag is tried alone, so that one does not cost
 * the others. */
int entry_set_chattr(int fd, uint32_t mask, uint32_t want, uint32_t *ret_missing)
{
	int have = 0, next;

	*ret_missing = 0;
	if (ioctl(fd, FS_IOC_GETFLAGS, &have) < 0) {
		*ret_missing = want;
		return want ? -1 : 0;
	}
	next = (int)(((uint32_t)have & ~mask) | want);
	if (next != have && ioctl(fd, FS_IOC_SETFLAGS, &next) < 0) {
		for (uint32_t bit = 1; bit; bit <<= 1) {
			if (!(mask & bit) || !(((uint32_t)have ^ want) & bit))
				continue;
			next = (int)((uint32_t)have ^ bit);
			if (ioctl(fd, FS_IOC_SETFLAGS, &next) == 0)
				have = next;
		}
	}
	if (next != have && ioctl(fd, FS_IOC_GETFLAGS, &have) < 0)
		return -1;
	*ret_missing = want & ~(uint32_t)have;
	return *ret_missing ? -1 : 0;
}

static int get_project(int fd, uint32_t *ret)
{
	struct fsxattr x;

	*ret = 0;
	if (ioctl(fd, FS_IOC_FSGETXATTR, &x) < 0)
		return -1;
	*ret = x.fsx_projid;
	return 0;
}

static int set_project(int fd, uint32_t project)
{
	struct fsxattr x;

	if (ioctl(fd, FS_IOC_FSGETXATTR, &x) < 0)
		return -1;
	x.fsx_projid = project;
	return ioctl(fd, FS_IOC_FSSETXATTR, &x);
}

int entry_probe(int fd, struct entry_defaults *ret, struct err *err)
{
	struct stat st;
	int flags = 0;

	if (fstat(fd, &st) < 0)
		return err_errno(err, "stat a new file");
	*ret = (struct entry_defaults){
		.known = true, .uid = st.st_uid, .gid = st.st_gid, .kept = st.st_mode & 0777};
	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0)
		ret->chattr = (uint32_t)flags & ENTRY_CHATTR;
	(void)get_project(fd, &ret->project);
	ret->xattrs = flistxattr(fd, NULL, 0) > 0;
	return 0;
}

static const struct {
	uint32_t flag;
	const char *name;
} flag_names[] = {
	{FS_SECRM_FL, "secure deletion flag"},
	{FS_UNRM_FL, "undeletable flag"},
	{FS_COMPR_FL, "compression flag"},
	{FS_SYNC_FL, "synchronous updates flag"},
	{FS_IMMUTABLE_FL, "immutable flag"},
	{FS_APPEND_FL, "append-only flag"},
	{FS_NODUMP_FL, "no-dump flag"},
	{FS_NOATIME_FL, "no-atime flag"},
	{FS_NOCOMP_FL, "no-compression flag"},
	{FS_JOURNAL_DATA_FL, "data journalling flag"},
	{FS_NOTAIL_FL, "no-tail flag"},
	{FS_DIRSYNC_FL, "synchronous directory flag"},
	{FS_TOPDIR_FL, "top directory flag"},
	{FS_NOCOW_FL, "no-copy-on-write flag"},
	{FS_PROJINHERIT_FL, "project inheritance flag"},
	{FS_DAX_FL, "direct access flag"},
	{FS_CASEFOLD_FL, "case-folding flag"},
};

static void write_chattr(const struct entry_target *t, uint32_t want)
{
	uint32_t missing = 0;

	(void)entry_set_chattr(t->fd, ENTRY_CHATTR, want, &missing);
	for (size_t i = 0; i < ARRAY_SIZE(flag_names); i++)
		if (missing & flag_names[i].flag)
			t->refused(t->ctx, flag_names[i].name, EOPNOTSUPP);
}

static int write_owner(const struct entry_target *t, const struct entry *e, struct err *err)
{
	uint32_t uid = e->uid, gid = e->gid;

	if (t->map && idmap_to_disk(t->map, false, e->uid, &uid) < 0)
		return err_set(err, ERR_UNSUPPORTED,
			"owner %u is outside the container's id map here", e->uid);
	if (t->map && idmap_to_disk(t->map, true, e->gid, &gid) < 0)
		return err_set(err, ERR_UNSUPPORTED,
			"group %u is outside the container's id map here", e->gid);
	if (t->fresh && t->defaults && t->defaults->uid == uid && t->defaults->gid == gid)
		return 0;
	if (fchownat(t->fd, "", uid, gid, AT_EMPTY_PATH) < 0)
		return err_errno(err, "set owner");
	return 0;
}

static int write_mode(const struct entry_target *t, const struct entry *e, struct err *err)
{
	char proc[40];

	if (S_ISLNK(e->mode))
		return 0; /* a symlink has none */
	if (t->made && t->made == (e->mode & 07777) && !e->xattrs.n)
		return 0;
	if (!t->opath) {
		if (fchmod(t->fd, e->mode & 07777) < 0)
			return err_errno(err, "set mode");
		return 0;
	}
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", t->fd);
	if (chmod(proc, e->mode & 07777) < 0)
		return err_errno(err, "set mode");
	return 0;
}

/* A file system may store less than it was told; only times outside the usual can come out wrong.
 */
static void check_times(const struct entry_target *t, const struct entry *e)
{
	struct stat st;

	if (!t->verify_times && e->mtime.tv_sec >= 0 && e->mtime.tv_sec <= INT32_MAX &&
		e->atime.tv_sec >= 0 && e->atime.tv_sec <= INT32_MAX)
		return;
	if (fstat(t->fd, &st) < 0)
		return;
	if (entry_nsec(&st.st_mtim) != entry_nsec(&e->mtime))
		t->refused(t->ctx, "modification time", ERANGE);
	if (entry_nsec(&st.st_atim) != entry_nsec(&e->atime))
		t->refused(t->ctx, "access time", ERANGE);
}

static int write_times(const struct entry_target *t, const struct entry *e, struct err *err)
{
	struct timespec ts[2] = {e->atime, e->mtime};
	int r = t->opath ? utimensat(t->fd, "", ts, AT_EMPTY_PATH) : futimens(t->fd, ts);

	if (r < 0)
		return err_errno(err, "set times");
	check_times(t, e);
	return 0;
}

static void write_flags(const struct entry_target *t, const struct entry *e)
{
	uint32_t project = 0;

	if (t->opath) {
		if (e->chattr)
			write_chattr(t, e->chattr); /* says that it cannot be */
		return;
	}
	if (t->fresh && t->defaults)
		project = t->defaults->project;
	else
		(void)get_project(t->fd, &project);
	if (project != e->project && set_project(t->fd, e->project) < 0)
		t->refused(t->ctx, "project id", errno);
	if (!t->fresh || !t->defaults || t->defaults->chattr != e->chattr)
		write_chattr(t, e->chattr);
}

/* The order matters: a new owner clears capabilities and suid, an ACL sets the group's bits, times
 * come after all that moves them, and after the flags nothing may be changed any more. */
int entry_write(const struct entry_target *t, const struct entry *e, struct err *err)
{
	bool others = !t->fresh || !t->defaults || t->defaults->xattrs;
	int r = write_owner(t, e, err);

	if (r >= 0 && (others || e->xattrs.n))
		r = xattr_write(
			t->fd, t->opath, t->map, &e->xattrs, others, t->refused, t->ctx, err);
	if (r >= 0)
		r = write_mode(t, e, err);
	if (r >= 0)
		r = write_times(t, e, err);
	if (r >= 0)
		write_flags(t, e);
	return r;
}

static bool is_ordinary_time(const struct timespec *t)
{
	return t->tv_sec >= 0 && t->tv_sec <= INT32_MAX;
}

bool entry_rest(const struct entry_target *t, const struct entry *e, struct entry_rest *ret)
{
	const struct entry_defaults *d = t->defaults;

	if (!t->fresh || t->opath || !d || d->xattrs || e->xattrs.n || d->chattr != e->chattr ||
		d->project != e->project || t->verify_times || !is_ordinary_time(&e->mtime) ||
		!is_ordinary_time(&e->atime))
		return false;
	*ret = (struct entry_rest){.uid = e->uid,
		.gid = e->gid,
		.mode = e->mode & 07777,
		.times = {e->atime, e->mtime}};
	if (t->map && (idmap_to_disk(t->map, false, e->uid, &ret->uid) < 0 ||
			      idmap_to_disk(t->map, true, e->gid, &ret->gid) < 0))
		return false;
	ret->own = ret->uid != d->uid || ret->gid != d->gid;
	ret->chmod = !t->made || t->made != ret->mode;
	return true;
}

int entry_rest_write(int fd, const struct entry_rest *rest)
{
	if (rest->own && fchown(fd, rest->uid, rest->gid) < 0)
		return -1;
	if (rest->chmod && fchmod(fd, rest->mode) < 0)
		return -1;
	return futimens(fd, rest->times);
}
