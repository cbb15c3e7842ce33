#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "storage/btrfs_applying.h"
#include "storage/btrfs_flags.h"

/* Reaches the inode itself through its handle, whatever it is; a symbolic link is not followed. */
static int open_handle(struct btrfs_apply *a, const char *path, char proc[64])
{
	struct held *h = held_find(&a->held, path);
	int fd = h ? fcntl(h->fd, F_DUPFD_CLOEXEC, 0) : held_handle(&a->held, path);

	if (fd >= 0)
		snprintf(proc, 64, "/proc/self/fd/%d", fd);
	return fd;
}

int apply_xattr(struct btrfs_apply *a, const struct btrfs_command *c, struct err *err)
{
	const struct btrfs_bytes *data = &c->attr[BTRFS_A_XATTR_DATA];
	_cleanup_close_ int fd = -1;
	char proc[64];
	int r = apply_path(c, BTRFS_A_PATH, a->path, true, err);

	if (r >= 0)
		r = btrfs_text(c, BTRFS_A_XATTR_NAME, a->name, sizeof(a->name), err);
	if (r < 0)
		return r;
	if (c->number == BTRFS_SET_XATTR && !data->p)
		return apply_refused("set_xattr", a->path, "no value", err);
	fd = open_handle(a, a->path, proc);
	if (fd < 0)
		return apply_failed(a, "open", a->path, err);
	if (c->number == BTRFS_SET_XATTR)
		r = setxattr(proc, a->name, data->p, data->n, 0);
	else
		r = removexattr(proc, a->name) < 0 && errno != ENODATA ? -1 : 0;
	if (r < 0)
		return apply_failed(a, btrfs_number_name(c->number), a->path, err);
	held_changed(&a->held, a->path);
	return 0;
}

static int chmod_handle(struct btrfs_apply *a, mode_t mode)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	char proc[64];

	fd = open_handle(a, a->path, proc);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -1;
	if (S_ISLNK(st.st_mode)) {
		errno = ELOOP;
		return -1;
	}
	return chmod(proc, mode);
}

int apply_chmod(struct btrfs_apply *a, const struct btrfs_command *c, struct err *err)
{
	struct held *h;
	uint64_t mode;
	int r = apply_path(c, BTRFS_A_PATH, a->path, true, err);

	if (r >= 0)
		r = btrfs_u64(c, BTRFS_A_MODE, &mode, err);
	if (r < 0)
		return r;
	mode &= 07777;
	h = held_find(&a->held, a->path);
	if (h && h->known && h->mode == mode)
		return 0;
	r = h ? fchmod(h->fd, (mode_t)mode) : chmod_handle(a, (mode_t)mode);
	if (r < 0)
		return apply_failed(a, "chmod", a->path, err);
	if (h)
		h->mode = (mode_t)mode;
	return 0;
}

/* An operation on a name without following it; "" is the root itself. */
static int parent_or_root(struct btrfs_apply *a, int *ret_dirfd, const char **ret_name)
{
	struct held *parent;

	if (!*a->path) {
		*ret_dirfd = a->self.fd;
		*ret_name = ".";
		return 0;
	}
	if (held_parent(&a->held, a->path, &parent, ret_name) < 0)
		return -1;
	*ret_dirfd = parent->fd;
	return 0;
}

static int chown_now(struct btrfs_apply *a, struct held *h, uid_t uid, gid_t gid)
{
	const char *name;
	int dirfd;

	if (h)
		return fchown(h->fd, uid, gid);
	if (parent_or_root(a, &dirfd, &name) < 0)
		return -1;
	return fchownat(dirfd, name, uid, gid, AT_SYMLINK_NOFOLLOW);
}

int apply_chown(struct btrfs_apply *a, const struct btrfs_command *c, struct err *err)
{
	struct held *h;
	uint64_t uid, gid;
	int r = apply_path(c, BTRFS_A_PATH, a->path, true, err);

	if (r >= 0)
		r = btrfs_u64(c, BTRFS_A_UID, &uid, err);
	if (r >= 0)
		r = btrfs_u64(c, BTRFS_A_GID, &gid, err);
	if (r < 0)
		return r;
	/* The last one means "leave it" to the system call. */
	if (uid >= UINT32_MAX || gid >= UINT32_MAX)
		return apply_refused("chown", a->path, "there is no such id", err);
	h = held_find(&a->held, a->path);
	if (h && h->known && h->uid == uid && h->gid == gid)
		return 0;
	if (chown_now(a, h, (uid_t)uid, (gid_t)gid) < 0)
		return apply_failed(a, "chown", a->path, err);
	if (h) {
		h->uid = (uid_t)uid;
		h->gid = (gid_t)gid;
		/* It may have taken setuid and setgid away. */
		h->known = h->known && !(h->mode & 06000);
	}
	return 0;
}

int apply_utimes(struct btrfs_apply *a, const struct btrfs_command *c, struct err *err)
{
	struct timespec times[2];
	struct held *h;
	const char *name;
	int dirfd, r = apply_path(c, BTRFS_A_PATH, a->path, true, err);

	if (r >= 0)
		r = btrfs_time(c, BTRFS_A_ATIME, &times[0], err);
	if (r >= 0)
		r = btrfs_time(c, BTRFS_A_MTIME, &times[1], err);
	if (r < 0)
		return r;
	h = held_find(&a->held, a->path);
	if (h)
		r = futimens(h->fd, times);
	else
		r = parent_or_root(a, &dirfd, &name) < 0
			    ? -1
			    : utimensat(dirfd, name, times, AT_SYMLINK_NOFOLLOW);
	return r < 0 ? apply_failed(a, "utimes", a->path, err) : 0;
}

/* Where a file cannot have them, as a link, or this filesystem does not know them, they are left.
 */
int apply_fileattr(struct btrfs_apply *a, const struct btrfs_command *c, struct err *err)
{
	_cleanup_close_ int handle = -1;
	_cleanup_close_ int fd = -1;
	uint64_t flags;
	int r = apply_path(c, BTRFS_A_PATH, a->path, true, err);

	if (r >= 0)
		r = btrfs_u64(c, BTRFS_A_FILEATTR, &flags, err);
	if (r < 0)
		return r;
	handle = held_handle(&a->held, a->path);
	if (handle < 0)
		return apply_failed(a, "open", a->path, err);
	fd = held_reopen(handle, O_RDONLY);
	if (fd >= 0 && btrfs_flags_set(fd, flags) < 0)
		return apply_failed(a, "fileattr", a->path, err);
	held_changed(&a->held, a->path);
	return 0;
}
