#include "base/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/alloc.h"

bool beneath_path_ok(const char *path)
{
	for (;;) {
		size_t n = strcspn(path, "/");

		if (n == 0 || n > NAME_MAX || (n == 1 && path[0] == '.') ||
			(n == 2 && path[0] == '.' && path[1] == '.'))
			return false;
		if (!path[n])
			return true;
		path += n + 1;
	}
}

/*
 * The same without openat2 (before Linux 5.6): one component after another, none of them a symlink,
 * all on one file system. A second mount of the same file system is not noticed. O_PATH, which
 * came with 2.6.39 and is silently something else before, is not used: what cannot be opened
 * without doing something (a pipe, a device, a link) is ENXIO then, see beneath_stat.
 */

static bool same_fs(int fd, dev_t dev)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && st.st_dev == dev)
		return true;
	errno = EXDEV;
	return false;
}

/* A link in the way is ELOOP, not whatever this kernel makes of it. */
static int link_errno(int dirfd, const char *name, int errnum)
{
	struct stat st;

	if (errnum == ENOTDIR && fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		S_ISLNK(st.st_mode))
		return ELOOP;
	return errnum;
}

static int open_name(int dirfd, const char *name, int flags, mode_t mode)
{
	struct stat st;
	int fd;

	if (flags & O_PATH) {
		flags &= ~O_PATH;
		if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return -1;
		if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode) && !(flags & O_DIRECTORY)) {
			errno = ENXIO;
			return -1;
		}
		flags |= O_RDONLY | O_NONBLOCK | O_NOCTTY;
	}
	fd = openat(dirfd, name, flags, mode);
	if (fd < 0)
		errno = link_errno(dirfd, name, errno);
	return fd;
}

static int open_stepwise(int dirfd, const char *path, int flags, mode_t mode, unsigned bflags)
{
	_cleanup_close_ int held = -1;
	struct stat st;
	char name[NAME_MAX + 1];

	if (fstatat(dirfd, ".", &st, 0) < 0)
		return -1;
	for (;;) {
		size_t n = strcspn(path, "/");
		bool last = !path[n];
		int fd;

		memcpy(name, path, n);
		name[n] = '\0';
		fd = open_name(dirfd, name,
			last ? flags | O_CLOEXEC | O_NOFOLLOW
			     : O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW,
			mode);
		if (fd < 0)
			return -1;
		if (held >= 0)
			close(held);
		dirfd = held = fd;
		if (!(bflags & BENEATH_XDEV) && !same_fs(fd, st.st_dev))
			return -1;
		if (last)
			return TAKE_FD(held);
		path += n + 1;
	}
}

static int open_part(int dirfd, const char *path, int flags, mode_t mode, unsigned bflags)
{
	static bool lacking; /* it is asked for once; threads may ask twice */
	struct open_how how = {
		.flags = (unsigned)(flags | O_CLOEXEC | O_NOFOLLOW),
		.mode = flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY)) ? mode & 07777 : 0,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
			   (bflags & BENEATH_XDEV ? 0 : RESOLVE_NO_XDEV),
	};

	for (int tries = 0; !lacking; tries++) {
		int fd = (int)syscall(SYS_openat2, dirfd, path, &how, sizeof(how));

		/* EAGAIN: a rename raced with the check; EINTR: of a slow file system. */
		lacking = fd < 0 && errno == ENOSYS;
		if (!lacking && (fd >= 0 || (errno != EINTR && (errno != EAGAIN || tries == 100))))
			return fd;
	}
	return open_stepwise(dirfd, path, flags, mode, bflags);
}

int beneath_open_raw(int dirfd, const char *path, int flags, mode_t mode, unsigned bflags)
{
	_cleanup_close_ int held = -1;
	char part[PATH_MAX];

	if (!*path || strcmp(path, ".") == 0)
		return open_part(dirfd, ".", flags, mode, bflags);
	if (!beneath_path_ok(path)) {
		errno = EINVAL;
		return -1;
	}
	/* The kernel takes less than PATH_MAX at once: go down in as many stages as needed. */
	while (strlen(path) >= PATH_MAX) {
		const char *slash = memrchr(path, '/', PATH_MAX - 1);
		int fd;

		memcpy(part, path, (size_t)(slash - path));
		part[slash - path] = '\0';
		fd = open_part(dirfd, part, O_PATH | O_DIRECTORY, 0, bflags);
		if (fd < 0)
			return -1;
		if (held >= 0)
			close(held);
		dirfd = held = fd;
		path = slash + 1;
	}
	return open_part(dirfd, path, flags, mode, bflags);
}

static int open_failed(const char *path, struct err *err)
{
	switch (errno) {
	case EINVAL: return err_set(err, ERR_INVALID, "%s: not a path inside this folder", path);
	case ENOTDIR:
		return err_set(err, ERR_INVALID,
			"%s: a part of it is not a folder, perhaps a symbolic link", path);
	case ELOOP: return err_set(err, ERR_INVALID, "%s: a symbolic link is in the way", path);
	case EXDEV: return err_set(err, ERR_INVALID, "%s: leads out of this file system", path);
	default: return err_errno(err, "open %s", path);
	}
}

int beneath_open(int dirfd, const char *path, int flags, mode_t mode, struct err *err)
{
	int fd = beneath_open_raw(dirfd, path, flags, mode, 0);

	return fd >= 0 ? fd : open_failed(path, err);
}

int beneath_parent(int dirfd, const char *path, const char **ret_name, struct err *err)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *folder = NULL;
	int fd;

	if (!beneath_path_ok(path))
		return err_set(err, ERR_INVALID, "%s: not a path inside this folder", path);
	folder = slash ? xstrndup(path, (size_t)(slash - path)) : xstrdup(".");
	fd = beneath_open(dirfd, folder, O_PATH | O_DIRECTORY, 0, err);
	if (fd >= 0)
		*ret_name = slash ? slash + 1 : path;
	return fd;
}

int beneath_stat(int dirfd, const char *path, struct stat *ret)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *folder = slash ? xstrndup(path, (size_t)(slash - path)) : NULL;
	_cleanup_close_ int held = -1;

	if (!beneath_path_ok(path)) {
		errno = EINVAL;
		return -1;
	}
	if (slash) {
		held = beneath_open_raw(dirfd, folder, O_PATH | O_DIRECTORY, 0, 0);
		if (held < 0)
			return -1;
	}
	return fstatat(slash ? held : dirfd, slash ? slash + 1 : path, ret, AT_SYMLINK_NOFOLLOW);
}

int beneath_mkdirs(int dirfd, const char *path, mode_t mode, struct err *err)
{
	_cleanup_close_ int held = -1;
	char name[NAME_MAX + 1];

	if (!*path || strcmp(path, ".") == 0)
		return 0;
	if (!beneath_path_ok(path))
		return err_set(err, ERR_INVALID, "%s: not a path inside this folder", path);
	for (const char *p = path;;) {
		size_t n = strcspn(p, "/");
		int fd;

		memcpy(name, p, n);
		name[n] = '\0';
		if (mkdirat(dirfd, name, mode) < 0 && errno != EEXIST)
			return err_errno(err, "create folder %s", path);
		fd = beneath_open_raw(dirfd, name, O_PATH | O_DIRECTORY, 0, 0);
		if (fd < 0)
			return open_failed(path, err);
		if (held >= 0)
			close(held);
		dirfd = held = fd;
		if (!p[n])
			return 0;
		p += n + 1;
	}
}
