/*
 * Random operations on a tree, so many: what a busy container does, without its reasons.
 *
 *	churn DIR SEED COUNT [--flags] [--base ID]
 *
 * Failures of single operations are ordinary: names are picked at random.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

static uint64_t state;
static int top;
static uint32_t base;
static bool with_flags;

static uint32_t rnd(uint32_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 20) % n;
}

/* Few names, so that they are met again and again; folders d*, files f*. */
static const char *pick(bool dir)
{
	static char buf[4][256];
	static int turn;
	char *p = buf[turn++ & 3];
	uint32_t depth = rnd(4);

	*p = '\0';
	for (uint32_t i = 0; i < depth; i++)
		snprintf(p + strlen(p), 200, "d%u/", rnd(6));
	snprintf(p + strlen(p), 200, dir ? "d%u" : "f%u", rnd(dir ? 6 : 12));
	return p;
}

static int open_any(int flags)
{
	return openat(top, pick(false), flags | O_NOFOLLOW | O_NONBLOCK, 0644);
}

static void write_some(int fd, uint32_t n, uint64_t off)
{
	static char buf[300000];

	for (uint32_t i = 0; i < n; i += 64)
		buf[i] = (char)rnd(256);
	if (pwrite(fd, buf, n, (off_t)off) < 0)
		return;
}

static void change_content(void)
{
	int fd = open_any(O_RDWR);
	struct stat st;

	if (fd < 0)
		return;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return;
	}
	switch (rnd(7)) {
	case 0: write_some(fd, rnd(3000), 0); break;
	case 1: write_some(fd, rnd(300000), rnd(1000000)); break;
	case 2: write_some(fd, 100, (uint64_t)st.st_size); break;
	case 3:
		if (ftruncate(fd, rnd(600000)) < 0)
			break;
		break;
	case 4:
		(void)fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, rnd(300000),
			1 + rnd(200000));
		break;
	case 5: write_some(fd, 5, rnd(600000)); break;
	default:
		if (st.st_size > 4096) {
			char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

			if (p != MAP_FAILED) {
				p[rnd(4096)] = (char)rnd(256);
				munmap(p, 4096);
			}
		}
	}
	close(fd);
}

static void change_metadata(void)
{
	const char *name = pick(rnd(4) == 0);
	struct timespec ts[2] = {
		{rnd(1u << 31), rnd(1000000000)}, {rnd(1u << 31), rnd(1000000000)}};
	char attr[32];
	int fd, flags;

	snprintf(attr, sizeof(attr), "%s.x%u", rnd(2) ? "user" : "trusted", rnd(3));
	switch (rnd(6)) {
	case 0: (void)fchmodat(top, name, rnd(010000), 0); break;
	case 1:
		if (fchownat(top, name, base + rnd(2000), base + rnd(2000), AT_SYMLINK_NOFOLLOW) <
			0)
			break;
		break;
	case 2: (void)utimensat(top, name, ts, AT_SYMLINK_NOFOLLOW); break;
	case 3:
	case 4:
		fd = openat(top, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
		if (fd >= 0 && rnd(2))
			(void)fsetxattr(fd, attr, &state, rnd(9), 0);
		else if (fd >= 0)
			(void)fremovexattr(fd, attr);
		if (fd >= 0)
			close(fd);
		break;
	default:
		if (!with_flags)
			break;
		fd = openat(top, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
		flags = rnd(3) == 0 ? FS_NODUMP_FL : 0;
		if (fd >= 0) {
			(void)ioctl(fd, FS_IOC_SETFLAGS, &flags);
			close(fd);
		}
	}
}

static void make(void)
{
	const char *name = pick(false);
	char target[40];
	int fd;

	switch (rnd(8)) {
	case 0: (void)mkdirat(top, pick(true), 0755); return;
	case 1: (void)mkdirat(top, pick(true), 0700); return;
	case 2:
		snprintf(target, sizeof(target), "to-%u", rnd(100));
		if (symlinkat(target, top, name) < 0)
			return;
		return;
	case 3: (void)mknodat(top, name, S_IFIFO | 0600, 0); return;
	case 4: (void)mknodat(top, name, S_IFCHR | 0600, makedev(1, 3)); return;
	default: break;
	}
	fd = openat(top, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (fd < 0)
		return;
	write_some(fd, rnd(5) ? rnd(5000) : rnd(200000), 0);
	close(fd);
}

/* As editors and package managers do it. */
static void replace(void)
{
	const char *name = pick(false);
	char tmp[300];
	int fd;

	snprintf(tmp, sizeof(tmp), "%s.tmp", name);
	fd = openat(top, tmp, O_RDWR | O_CREAT | O_EXCL, 0644);
	if (fd < 0)
		return;
	write_some(fd, rnd(10000), 0);
	close(fd);
	if (renameat(top, tmp, top, name) < 0)
		(void)unlinkat(top, tmp, 0);
}

static void rename_some(void)
{
	bool dir = rnd(3) == 0;

	(void)renameat2(AT_FDCWD, "", AT_FDCWD, "", 0);
	(void)renameat2(top, pick(dir), top, pick(dir), rnd(4) == 0 ? RENAME_EXCHANGE : 0);
}

static void remove_dir(const char *name)
{
	char inner[300];

	for (uint32_t i = 0; i < 12; i++) {
		snprintf(inner, sizeof(inner), "%s/f%u", name, i);
		(void)unlinkat(top, inner, 0);
		if (i < 6) {
			snprintf(inner, sizeof(inner), "%s/d%u", name, i);
			(void)unlinkat(top, inner, AT_REMOVEDIR);
		}
	}
	(void)unlinkat(top, name, AT_REMOVEDIR);
}

static void one(void)
{
	switch (rnd(20)) {
	case 0:
	case 1:
	case 2:
	case 3: make(); break;
	case 4:
	case 5:
	case 6: change_metadata(); break;
	case 7: replace(); break;
	case 8:
	case 9:
	case 10: rename_some(); break;
	case 11:
		if (linkat(top, pick(false), top, pick(false), 0) < 0)
			break;
		break;
	case 12:
	case 13: (void)unlinkat(top, pick(false), 0); break;
	case 14: remove_dir(pick(true)); break;
	default: change_content();
	}
}

int main(int argc, char **argv)
{
	long n;

	if (argc < 4)
		return 2;
	umask(0);
	top = open(argv[1], O_RDONLY | O_DIRECTORY);
	if (top < 0)
		return 2;
	state = strtoull(argv[2], NULL, 0) * UINT64_C(0x9e3779b97f4a7c15) + 88172645463325252u;
	n = strtol(argv[3], NULL, 0);
	for (int i = 4; i < argc; i++) {
		with_flags |= strcmp(argv[i], "--flags") == 0;
		if (strcmp(argv[i], "--base") == 0)
			base = (uint32_t)strtoul(argv[++i], NULL, 0);
	}
	while (n-- > 0)
		one();
	return 0;
}
