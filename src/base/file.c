#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/clock.h"
#include "base/kernel.h"

static int read_all(
	int fd, const char *name, size_t max, char **ret_buf, size_t *ret_len, struct err *err)
{
	_cleanup_free_ char *buf = NULL;
	size_t len = 0, cap = 0;

	for (;;) {
		ssize_t k;

		if (len == cap) { /* one byte over max shows that there is more */
			cap = MIN(cap ? cap * 2 : 4096, max + 1);
			buf = xreallocarray(buf, cap + 1, 1);
		}
		k = read(fd, buf + len, cap - len);
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return err_errno(err, "read %s", name);
		if (k == 0)
			break;
		len += (size_t)k;
		if (len > max)
			return err_set(err, ERR_INVALID, "%s is longer than %zu bytes", name, max);
	}
	buf[len] = '\0';
	*ret_buf = TAKE_PTR(buf);
	if (ret_len)
		*ret_len = len;
	return 0;
}

int file_read_at(
	int dirfd, const char *name, size_t max, char **ret_buf, size_t *ret_len, struct err *err)
{
	_cleanup_close_ int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return err_errno(err, "open %s", name);
	return read_all(fd, name, MIN(max, SIZE_MAX / 2), ret_buf, ret_len, err);
}

int file_read(const char *path, size_t max, char **ret_buf, size_t *ret_len, struct err *err)
{
	return file_read_at(AT_FDCWD, path, max, ret_buf, ret_len, err);
}

/* The folder path is in: "." for a bare name. */
static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return xstrdup(".");
	return slash == path ? xstrdup("/") : xstrndup(path, (size_t)(slash - path));
}

int file_sync_dir(const char *path, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_errno(err, "open %s", path);
	if (fsync(fd) < 0)
		return err_errno(err, "sync %s", path);
	return 0;
}

static int write_all(int fd, const char *buf, size_t n)
{
	while (n) {
		ssize_t k = write(fd, buf, n);

		if (k < 0 && errno != EINTR)
			return -1;
		if (k > 0) {
			buf += k;
			n -= (size_t)k;
		}
	}
	return 0;
}

static char *temporary_name(const char *folder, const char *path)
{
	const char *slash = strrchr(path, '/');
	unsigned long long id = 0;

	if (kernel_random(&id, sizeof(id)) < 0)
		id = clock_wall_nsec();
	return xasprintf("%s/.%.200s.%016llx", folder, slash ? slash + 1 : path, id);
}

int file_replace(const char *path, const void *buf, size_t n, mode_t mode, struct err *err)
{
	_cleanup_free_ char *folder = folder_of(path);
	_cleanup_free_ char *tmp = temporary_name(folder, path);
	_cleanup_close_ int fd = open(
		tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_errno(err, "create %s", tmp);
	if (write_all(fd, buf, n) < 0 || fchmod(fd, mode) < 0 || fsync(fd) < 0 ||
		rename(tmp, path) < 0) {
		err_errno(err, "write %s", path);
		unlink(tmp);
		return -(int)err->code;
	}
	return file_sync_dir(folder, err);
}

static bool is_directory(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Makes one folder durable: with its mode, and its name in the folder above. An existing one is
 * left as it is. */
static int make_folder(const char *path, mode_t mode, struct err *err)
{
	_cleanup_free_ char *above = NULL;

	if (mkdir(path, mode) < 0) {
		int saved = errno;

		if (is_directory(path))
			return 0;
		errno = saved;
		return err_errno(err, "create folder %s", path);
	}
	if (chmod(path, mode) < 0) /* the umask has no say */
		return err_errno(err, "set mode of %s", path);
	above = folder_of(path);
	return file_sync_dir(above, err);
}

int file_mkdirs(const char *path, mode_t mode, struct err *err)
{
	_cleanup_free_ char *p = xstrdup(path);
	size_t n = strlen(p);

	while (n > 1 && p[n - 1] == '/')
		p[--n] = '\0';
	if (n == 0)
		return err_set(err, ERR_INVALID, "cannot create a folder without a name");
	for (size_t i = 1; i < n; i++) {
		int r;

		if (p[i] != '/' || p[i - 1] == '/')
			continue;
		p[i] = '\0';
		r = make_folder(p, 0755, err);
		p[i] = '/';
		if (r < 0)
			return r;
	}
	return make_folder(p, mode, err);
}

int file_remove(const char *path, struct err *err)
{
	if (unlink(path) < 0 && errno != ENOENT)
		return err_errno(err, "remove %s", path);
	return 0;
}

bool file_exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

/* Somebody may have removed the file between our open and our lock: then the lock is of nothing. */
static bool still_there(int fd, const char *path)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

int file_lock(const char *path, bool wait, int *ret_fd, struct err *err)
{
	usec_t pause = 5 * USEC_PER_MSEC;

	for (;;) {
		_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
		int r;

		if (fd < 0)
			return err_errno(err, "open %s", path);
		if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
			if (!still_there(fd, path))
				continue;
			*ret_fd = TAKE_FD(fd);
			return 0;
		}
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_errno(err, "lock %s", path);
		if (!wait)
			return err_set(err, ERR_BUSY, "%s is locked by another process", path);
		/* Not a sleeping flock: that could not be cancelled. */
		r = cancel_check(err);
		if (r < 0)
			return r;
		clock_sleep(pause);
		pause = MIN(pause * 2, 100 * USEC_PER_MSEC);
	}
}
