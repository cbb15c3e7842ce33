/*
 * What Debian's archives of jansson, zstd and the others ask of libc and musl has not got: they
 * were compiled against glibc's headers, with _FORTIFY_SOURCE, so their calls go by glibc's checked
 * names. Each is here what glibc documents: it ends the program if the object is too small, and is
 * the plain function otherwise. Types and constants of what these libraries use are the same in
 * both, see docs/architecture.md; tests/convert/test-static.sh runs the result.
 *
 * Behind them stands the little of glibc's interface that our own code uses and musl lacks
 * (include/).
 *
 * Linked into the static binary only. The linker says so if a library begins to need more.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/kernel.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#pragma GCC diagnostic ignored "-Wformat-nonliteral"

static void check(size_t need, size_t have)
{
	if (need > have)
		abort();
}

void *__memcpy_chk(void *to, const void *from, size_t n, size_t size)
{
	check(n, size);
	return memcpy(to, from, n);
}

void *__memmove_chk(void *to, const void *from, size_t n, size_t size)
{
	check(n, size);
	return memmove(to, from, n);
}

void *__memset_chk(void *to, int c, size_t n, size_t size)
{
	check(n, size);
	return memset(to, c, n);
}

char *__strncpy_chk(char *to, const char *from, size_t n, size_t size)
{
	check(n, size);
	return strncpy(to, from, n);
}

char *__strcpy_chk(char *to, const char *from, size_t size)
{
	check(strlen(from) + 1, size);
	return strcpy(to, from);
}

char *__strcat_chk(char *to, const char *from, size_t size)
{
	check(strlen(to) + strlen(from) + 1, size);
	return strcat(to, from);
}

int __vsnprintf_chk(char *to, size_t n, int flag, size_t size, const char *fmt, va_list ap)
{
	check(n, size);
	return vsnprintf(to, n, fmt, ap);
}

int __snprintf_chk(char *to, size_t n, int flag, size_t size, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = __vsnprintf_chk(to, n, flag, size, fmt, ap);
	va_end(ap);
	return r;
}

int __sprintf_chk(char *to, int flag, size_t size, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = vsnprintf(to, size, fmt, ap);
	va_end(ap);
	check(r < 0 ? 0 : (size_t)r + 1, size);
	return r;
}

int __fprintf_chk(FILE *f, int flag, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = vfprintf(f, fmt, ap);
	va_end(ap);
	return r;
}

int __open_2(const char *path, int flags)
{
	return open(path, flags);
}

int __openat_2(int dirfd, const char *path, int flags)
{
	return openat(dirfd, path, flags);
}

unsigned gnu_dev_major(unsigned long long dev)
{
	return major(dev);
}

unsigned gnu_dev_minor(unsigned long long dev)
{
	return minor(dev);
}

unsigned long long gnu_dev_makedev(unsigned major, unsigned minor)
{
	return makedev(major, minor);
}

/* glibc never fails here. Kernels before 3.17 have only the file. */
void arc4random_buf(void *buf, size_t n)
{
	int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);

	for (size_t at = 0; at < n;) {
		ssize_t k = fd < 0 ? -1 : read(fd, (char *)buf + at, n - at);

		if (k <= 0 && errno != EINTR)
			abort();
		at += k > 0 ? (size_t)k : 0;
	}
	close(fd);
}

void __explicit_bzero_chk(void *to, size_t n, size_t size)
{
	check(n, size);
	explicit_bzero(to, n);
}

int fcntl64(int fd, int cmd, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, cmd);
	arg = va_arg(ap, void *);
	va_end(ap);
	return fcntl(fd, cmd, arg);
}

/* What our own code calls: musl lacks it, or has no way out where the kernel lacks it. */

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	if (flags == RENAME_NOREPLACE)
		return kernel_rename_new(from_dir, from, to_dir, to);
	return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
}

ssize_t getrandom(void *buf, size_t n, unsigned flags)
{
	return kernel_random(buf, n) < 0 ? -1 : (ssize_t)n;
}

int pidfd_open(pid_t pid, unsigned flags)
{
	return kernel_pidfd(pid);
}

int pidfd_send_signal(int pidfd, int sig, siginfo_t *info, unsigned flags)
{
	return kernel_pidfd_signal(pidfd, sig);
}

int statx(int dirfd, const char *path, int flags, unsigned mask, struct statx *ret)
{
	struct stat st;

	if (syscall(SYS_statx, dirfd, path, flags, mask, ret) == 0)
		return 0;
	if (errno != ENOSYS || (*path ? fstatat(dirfd, path, &st, flags & AT_SYMLINK_NOFOLLOW)
				      : fstat(dirfd, &st)) < 0)
		return -1;
	*ret = (struct statx){.stx_mask = STATX_BASIC_STATS,
		.stx_mode = (__u16)st.st_mode,
		.stx_nlink = (__u32)st.st_nlink,
		.stx_uid = st.st_uid,
		.stx_gid = st.st_gid,
		.stx_ino = st.st_ino,
		.stx_size = (__u64)st.st_size,
		.stx_ctime = {.tv_sec = st.st_ctim.tv_sec, .tv_nsec = (__u32)st.st_ctim.tv_nsec},
		.stx_mtime = {.tv_sec = st.st_mtim.tv_sec, .tv_nsec = (__u32)st.st_mtim.tv_nsec},
		.stx_dev_major = major(st.st_dev),
		.stx_dev_minor = minor(st.st_dev)};
	return 0;
}

ssize_t preadv2(int fd, const struct iovec *v, int n, off_t at, int flags)
{
	return syscall(SYS_preadv2, fd, v, n, at, at >> 32, flags);
}
