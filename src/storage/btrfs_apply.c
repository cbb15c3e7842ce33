#include "storage/btrfs_apply.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/alloc.h"
#include "base/beneath.h"
#include "base/str.h"
#include "storage/btrfs_applying.h"
#include "storage/btrfs_flags.h"

struct btrfs_apply *btrfs_apply_new(
	const struct btrfs_origin *self, const struct btrfs_origin *from)
{
	struct btrfs_apply *a = xnew(struct btrfs_apply);

	a->self = *self;
	a->from = *from;
	held_init(&a->held, self->fd, false);
	held_init(&a->from_held, from->fd, true);
	return a;
}

void btrfs_apply_free(struct btrfs_apply *a)
{
	if (!a)
		return;
	held_done(&a->held);
	held_done(&a->from_held);
	free(a);
}

void btrfs_apply_freep(struct btrfs_apply **a)
{
	btrfs_apply_free(*a);
}

/* What the machine is short of is not the stream's fault; nearly everything else is. */
int apply_failed(struct btrfs_apply *a, const char *what, const char *path, struct err *err)
{
	int saved = a->failed_errno = errno;
	_cleanup_free_ char *shown = str_escape(path, strlen(path));

	errno = saved;
	switch (saved) {
	case ENOSPC:
	case EDQUOT:
	case EIO:
	case EROFS:
	case ENOMEM:
	case EMFILE:
	case ENFILE:
	case EUCLEAN:
	case ECANCELED: return err_errno(err, "%s %s", what, shown);
	default:
		return err_set(
			err, ERR_PROTOCOL, "btrfs stream: %s %s: %s", what, shown, strerror(saved));
	}
}

int apply_refused(const char *what, const char *path, const char *why, struct err *err)
{
	_cleanup_free_ char *shown = str_escape(path, strlen(path));

	return err_set(err, ERR_PROTOCOL, "btrfs stream: %s %s: %s", what, shown, why);
}

int apply_path(const struct btrfs_command *c, enum btrfs_attr a, char buf[PATH_MAX], bool root_too,
	struct err *err)
{
	int r = btrfs_text(c, a, buf, PATH_MAX, err);

	if (r < 0)
		return r;
	if ((!*buf && root_too) || beneath_path_ok(buf))
		return 0;
	return apply_refused(
		btrfs_number_name(c->number), buf, "not a path inside the subvolume", err);
}

/* Making things */

/* Takes away what a new thing inherited from its folder: the stream says all that it is to have. */
static int disinherit(int dirfd, const char *name)
{
	_cleanup_close_ int handle = beneath_open_raw(dirfd, name, O_PATH, 0, 0);
	_cleanup_close_ int fd = -1;
	static const char *const names[] = {
		"system.posix_acl_access", "system.posix_acl_default", "btrfs.compression"};
	char proc[64];
	int flags = 0;

	if (handle < 0)
		return -1;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", handle);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (removexattr(proc, names[i]) < 0 && errno != ENODATA && errno != EOPNOTSUPP &&
			errno != EINVAL && errno != EPERM)
			return -1;
	fd = held_reopen(handle, O_RDONLY);
	if (fd >= 0)
		(void)ioctl(fd, FS_IOC_SETFLAGS, &flags);
	return 0;
}

static int make_in(struct btrfs_apply *a, int dirfd, const char *name, const char *path)
{
	const struct pending *p = &a->pending;
	int fd;

	switch (p->number) {
	case BTRFS_MKFILE:
		fd = openat(dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
		if (fd >= 0)
			held_add_new(&a->held, path, fd);
		return fd < 0 ? -1 : 0;
	case BTRFS_MKDIR: return mkdirat(dirfd, name, 0755);
	case BTRFS_SYMLINK: return symlinkat(p->target, dirfd, name);
	default: return mknodat(dirfd, name, p->mode, p->rdev);
	}
}

/* Makes what is pending, at path. */
static int make(struct btrfs_apply *a, const char *path)
{
	struct held *parent;
	const char *name;
	int dirfd;
	bool plain;

	if (held_parent(&a->held, path, &parent, &name) < 0)
		return -1;
	dirfd = parent->fd;
	plain = parent->plain;
	if (make_in(a, dirfd, name, path) < 0)
		return -1;
	a->pending.number = 0;
	if (plain)
		return 0;
	held_changed(&a->held, path);
	return disinherit(dirfd, name);
}

/* Immutable and append-only: the source changed it while it was not, and its flags come again. */
static bool lift(struct btrfs_apply *a, const char *path)
{
	_cleanup_close_ int handle = held_handle(&a->held, path);
	_cleanup_close_ int fd = handle < 0 ? -1 : held_reopen(handle, O_RDONLY);

	return fd >= 0 && btrfs_flags_lift(fd);
}

static bool lift_parent(struct btrfs_apply *a, const char *path)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *parent = xstrndup(path, slash ? (size_t)(slash - path) : 0);

	return lift(a, parent);
}

int btrfs_apply_settle(struct btrfs_apply *a, struct err *err)
{
	const struct pending *p = &a->pending;

	if (!p->number || make(a, p->path) >= 0)
		return 0;
	if (errno == EPERM && lift_parent(a, p->path) && make(a, p->path) >= 0)
		return 0;
	return apply_failed(a, btrfs_number_name(p->number), p->path, err);
}

static int run_make(struct btrfs_apply *a, const struct btrfs_command *c, struct err *err)
{
	struct pending *p = &a->pending;
	uint64_t mode = 0, rdev = 0;
	int r = apply_path(c, BTRFS_A_PATH, p->path, false, err);

	if (r >= 0 && c->number == BTRFS_SYMLINK)
		r = btrfs_text(c, BTRFS_A_PATH_LINK, p->target, sizeof(p->target), err);
	if (r >= 0 && (c->number == BTRFS_MKNOD || c->attr[BTRFS_A_MODE].p))
		r = btrfs_u64(c, BTRFS_A_MODE, &mode, err);
	if (r >= 0 && c->number == BTRFS_MKNOD)
		r = btrfs_u64(c, BTRFS_A_RDEV, &rdev, err);
	if (r < 0)
		return r;
	if (c->number == BTRFS_MKNOD && !S_ISCHR(mode) && !S_ISBLK(mode))
		return apply_refused("mknod", p->path, "not a device", err);
	if (c->number == BTRFS_MKFIFO)
		mode = S_IFIFO;
	if (c->number == BTRFS_MKSOCK)
		mode = S_IFSOCK;
	p->mode = (mode_t)(mode & S_IFMT) | 0600;
	p->rdev = (dev_t)rdev;
	p->number = c->number;
	return 0;
}

/* Names */

static int rename_now(struct btrfs_apply *a, const char *from, const char *to)
{
	struct held *old, *new;
	const char *old_name, *new_name;

	if (held_parent(&a->held, from, &old, &old_name) < 0 ||
		held_parent(&a->held, to, &new, &new_name) < 0 ||
		renameat(old->fd, old_name, new->fd, new_name) < 0)
		return -1;
	held_moved(&a->held, from, to);
	return 0;
}

static int run_rename(struct btrfs_apply *a, const struct btrfs_command *c, struct err *err)
{
	int r = apply_path(c, BTRFS_A_PATH, a->path, false, err);

	if (r >= 0)
		r = apply_path(c, BTRFS_A_PATH_TO, a->other, false, err);
	if (r < 0)
		return r;
	if (a->pending.number && strcmp(a->pending.path, a->path) == 0) {
		if (make(a, a->other) >= 0)
			return 0;
		if (errno != EEXIST)
			return apply_failed(a, "rename to", a->other, err);
	}
	r = btrfs_apply_settle(a, err);
	if (r < 0)
		return r;
	if (rename_now(a, a->path, a->other) < 0)
		return apply_failed(a, "rename to", a->other, err);
	return 0;
}

static int run_link(struct btrfs_apply *a, const struct btrfs_command *c, struct err *err)
{
	struct held *new, *old;
	const char *new_name, *old_name;
	int r = apply_path(c, BTRFS_A_PATH, a->path, false, err);

	if (r >= 0)
		r = apply_path(c, BTRFS_A_PATH_LINK, a->other, false, err);
	if (r < 0)
		return r;
	if (held_parent(&a->held, a->path, &new, &new_name) < 0 ||
		held_parent(&a->held, a->other, &old, &old_name) < 0 ||
		linkat(old->fd, old_name, new->fd, new_name, 0) < 0)
		return apply_failed(a, "link", a->path, err);
	/* From now on its attributes can change under another name. */
	held_changed(&a->held, a->other);
	return 0;
}

static int run_remove(struct btrfs_apply *a, const struct btrfs_command *c, struct err *err)
{
	struct held *parent;
	const char *name;
	int r = apply_path(c, BTRFS_A_PATH, a->path, false, err);

	if (r < 0)
		return r;
	if (held_parent(&a->held, a->path, &parent, &name) < 0 ||
		unlinkat(parent->fd, name, c->number == BTRFS_RMDIR ? AT_REMOVEDIR : 0) < 0)
		return apply_failed(a, btrfs_number_name(c->number), a->path, err);
	held_gone(&a->held, a->path);
	return 0;
}

/* Without data, what would arrive is not what was sent. */
static int run_unsupported(struct btrfs_apply *a, const struct btrfs_command *c, struct err *err)
{
	(void)a;
	return err_set(err, ERR_UNSUPPORTED, "btrfs stream: \"%s\" cannot be applied",
		btrfs_number_name(c->number));
}

static apply_fn *const runs[BTRFS_NUMBER_MAX] = {
	[BTRFS_MKFILE] = run_make,
	[BTRFS_MKDIR] = run_make,
	[BTRFS_MKNOD] = run_make,
	[BTRFS_MKFIFO] = run_make,
	[BTRFS_MKSOCK] = run_make,
	[BTRFS_SYMLINK] = run_make,
	[BTRFS_RENAME] = run_rename,
	[BTRFS_LINK] = run_link,
	[BTRFS_UNLINK] = run_remove,
	[BTRFS_RMDIR] = run_remove,
	[BTRFS_SET_XATTR] = apply_xattr,
	[BTRFS_REMOVE_XATTR] = apply_xattr,
	[BTRFS_WRITE] = apply_write,
	[BTRFS_CLONE] = apply_clone,
	[BTRFS_TRUNCATE] = apply_truncate,
	[BTRFS_CHMOD] = apply_chmod,
	[BTRFS_CHOWN] = apply_chown,
	[BTRFS_UTIMES] = apply_utimes,
	[BTRFS_UPDATE_EXTENT] = run_unsupported,
	[BTRFS_FALLOCATE] = apply_fallocate,
	[BTRFS_FILEATTR] = apply_fileattr,
	[BTRFS_ENCODED_WRITE] = run_unsupported,
};

/* A path of the command, and the folder it is in. */
static bool lift_both(struct btrfs_apply *a, const struct btrfs_command *c, enum btrfs_attr attr)
{
	char path[PATH_MAX];
	bool lifted;

	if (apply_path(c, attr, path, true, &(struct err)ERR_INIT) < 0)
		return false;
	lifted = lift(a, path);
	return lift_parent(a, path) || lifted;
}

static bool lift_all(struct btrfs_apply *a, const struct btrfs_command *c)
{
	bool lifted = lift_both(a, c, BTRFS_A_PATH);

	lifted = lift_both(a, c, BTRFS_A_PATH_TO) || lifted;
	return (c->number == BTRFS_LINK && lift_both(a, c, BTRFS_A_PATH_LINK)) || lifted;
}

/* A rename settles by itself, if what it renames is not the very thing that was put off. */
static int settle_and_run(struct btrfs_apply *a, const struct btrfs_command *c, struct err *err)
{
	int r = c->number == BTRFS_RENAME ? 0 : btrfs_apply_settle(a, err);

	return r < 0 ? r : runs[c->number](a, c, err);
}

int btrfs_apply_command(struct btrfs_apply *a, const struct btrfs_command *c, struct err *err)
{
	int r;

	if (!runs[c->number])
		return err_set(err, ERR_PROTOCOL, "btrfs stream: \"%s\" in the midst of it",
			btrfs_number_name(c->number));
	a->failed_errno = 0;
	r = settle_and_run(a, c, err);
	if (r >= 0 || a->failed_errno != EPERM || !lift_all(a, c))
		return r;
	err_clear(err);
	return settle_and_run(a, c, err);
}
