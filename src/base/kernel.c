#include "base/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"

/* Of <linux/close_range.h>, <linux/fs.h> and <linux/mount.h>: those and libc's own headers do not
 * go together everywhere. */
#define RENAME_NEW	 1u
#define TREE_CLONE	 1u
#define TREE_CLOEXEC	 O_CLOEXEC
#define MOUNT_READ_ONLY	 0x1u
#define MOUNT_NO_DEV	 0x4u
#define MOUNT_NO_EXEC	 0x8u
#define MOUNT_NO_ATIME	 0x10u
#define MOUNT_ATIME_MASK 0x70u

int kernel_check(struct err *err)
{
	_cleanup_close_ int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0 && fsync(fd) < 0 && errno == EBADF)
		return 0;
	return err_set(err, ERR_UNSUPPORTED,
		"this kernel is older than Linux 2.6.39: a container's pipes, devices and links "
		"cannot be read there without being opened; copy its files to a newer host, or its "
		"ploop disk by vz6 image, and convert it there");
}

int kernel_random(void *buf, size_t n)
{
	_cleanup_close_ int fd = -1;

	if (syscall(SYS_getrandom, buf, n, 0) == (long)n)
		return 0;
	fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
	return fd >= 0 && read(fd, buf, n) == (ssize_t)n ? 0 : -1;
}

int kernel_rename_new(int from_dir, const char *from, int to_dir, const char *to)
{
	struct stat st;

	if (syscall(SYS_renameat2, from_dir, from, to_dir, to, RENAME_NEW) == 0)
		return 0;
	if (errno != ENOSYS)
		return -1;
	if (linkat(from_dir, from, to_dir, to, 0) == 0)
		return unlinkat(from_dir, from, 0);
	if (errno != EPERM) /* what a folder, or a file system without links, answers */
		return -1;
	if (fstatat(to_dir, to, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		errno = EEXIST;
		return -1;
	}
	return errno == ENOENT ? renameat(from_dir, from, to_dir, to) : -1;
}

int kernel_pidfd(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

int kernel_pidfd_signal(int pidfd, int sig)
{
	return (int)syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0);
}

int kernel_close_from(unsigned first)
{
	struct rlimit limit;

	if (syscall(SYS_close_range, first, ~0U, 0) == 0)
		return 0;
	/* Not libc's, which is prlimit64 in glibc. */
	if (errno != ENOSYS || syscall(SYS_getrlimit, RLIMIT_NOFILE, &limit) < 0)
		return -1;
	for (rlim_t fd = first; fd < limit.rlim_cur && fd < INT32_MAX; fd++)
		close((int)fd);
	return 0;
}

int kernel_scratch(const char *name, size_t size)
{
	char path[] = "/tmp/.wherry-XXXXXX";
	int fd = (int)syscall(SYS_memfd_create, name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd >= 0) {
		if (ftruncate(fd, (off_t)size) == 0 &&
			fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK) == 0)
			return fd;
		close(fd);
		return -1;
	}
	if (errno != ENOSYS)
		return -1;
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		unlink(path);
	return fd;
}

int kernel_private_mount(int fd)
{
	struct {
		uint64_t set, clear, propagation, userns;
	} attr = {
		.set = MOUNT_READ_ONLY | MOUNT_NO_DEV | MOUNT_NO_EXEC | MOUNT_NO_ATIME,
		.clear = MOUNT_ATIME_MASK,
	};
	_cleanup_close_ int tree = (int)syscall(
		SYS_open_tree, fd, "", AT_EMPTY_PATH | TREE_CLONE | TREE_CLOEXEC);

	if (tree < 0 ||
		syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return -1;
	return openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}
