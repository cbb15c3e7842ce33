/*
 * Makes a tree that says everything a file system can say.
 *
 *	nasty DIR [--base ID] [--ids MAX] [--xattr-max BYTES] [--target-max BYTES]
 *		[--project] [--huge] [--many N] [--flags]
 *
 * --base: ids on disk begin there (a container with an id map); --ids: its largest id.
 * What the file system refuses is said on standard error, and the exit status is 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

static uint32_t base, ids_max = 70000;
static size_t xattr_max = 2000, target_max = 1000;
static bool with_project, with_huge, with_flags;
static int failures;

static void must(int r, const char *what)
{
	if (r < 0) {
		fprintf(stderr, "nasty: %s: %s\n", what, strerror(errno));
		failures++;
	}
}

static void fill(char *buf, size_t n, unsigned seed)
{
	uint64_t x = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;

	for (size_t i = 0; i < n; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		buf[i] = (char)x;
	}
}

static int file(int dir, const char *name, size_t size, unsigned seed)
{
	static char buf[4 << 20];
	int fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0644);

	must(fd, name);
	fill(buf, size, seed);
	if (fd >= 0 && size)
		must((int)pwrite(fd, buf, size, 0), name);
	return fd;
}

static void touch(int dir, const char *name)
{
	close(file(dir, name, 0, 0));
}

static int folder(int dir, const char *name)
{
	int fd;

	must(mkdirat(dir, name, 0755), name);
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	must(fd, name);
	return fd;
}

static void own(int dir, const char *name, uint32_t uid, uint32_t gid)
{
	must(fchownat(dir, name, base + uid, base + gid, AT_SYMLINK_NOFOLLOW), "chown");
}

static void names(int top)
{
	static const char *const odd[] = {"\xff\xfe\x80 not utf-8", "new\nline", " blank ", "-rf",
		"back\\slash", "q'u\"o$te`", "...", "..x", ".hidden", "\x01\x02\x1b[31m", "*", "?",
		"~", "#a", "a|b;c&d", "ü", "%s%n"};
	int dir = folder(top, "names");
	char longest[256];

	for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++)
		close(file(dir, odd[i], 10 + i, (unsigned)i));
	memset(longest, 'n', 255);
	longest[255] = '\0';
	touch(dir, longest);
	memset(longest, 0xc3, 255);
	close(folder(dir, longest));
	close(dir);
}

static void sizes(int top)
{
	static const size_t size[] = {0, 1, 511, 512, 4095, 4096, 4097, 65535, 65536, 65537, 131072,
		262143, 262144, 262145, 524288, 1048576, 1048577, 3000000};
	int dir = folder(top, "sizes");
	char name[32];

	for (size_t i = 0; i < sizeof(size) / sizeof(*size); i++) {
		snprintf(name, sizeof(name), "%zu", size[i]);
		close(file(dir, name, size[i], 100 + (unsigned)i));
	}
	close(dir);
}

static void data_at(int fd, off_t off, size_t n, unsigned seed)
{
	static char buf[1 << 20];

	fill(buf, n, seed);
	must((int)pwrite(fd, buf, n, off), "write at");
}

static void holes(int top)
{
	int dir = folder(top, "holes"), fd;

	fd = file(dir, "all", 0, 0);
	must(ftruncate(fd, 10 << 20), "truncate");
	close(fd);
	fd = file(dir, "front", 0, 0);
	data_at(fd, 5 << 20, 5000, 1);
	close(fd);
	fd = file(dir, "end", 100000, 2);
	must(ftruncate(fd, 7 << 20), "truncate");
	close(fd);
	fd = file(dir, "comb", 0, 0);
	for (int i = 0; i < 200; i++)
		data_at(fd, i * 16384 + 4096, 4096, 3 + (unsigned)i);
	must(ftruncate(fd, 200 * 16384), "truncate");
	close(fd);
	fd = file(dir, "punched", 1 << 20, 4);
	must(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 65536, 65536), "punch");
	must(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 500000, 70000), "punch");
	close(fd);
	fd = file(dir, "zeros", 0, 0);
	must(ftruncate(fd, 1), "truncate");
	for (int i = 0; i < 4; i++) {
		char zero[65536] = {0};

		must((int)pwrite(fd, zero, sizeof(zero), i * 65536), "zeros");
	}
	close(fd);
	fd = file(dir, "tiny tail", 0, 0);
	data_at(fd, 1 << 20, 1, 5);
	close(fd);
	if (with_huge) {
		off_t end = (INT64_C(16) << 40) - 8192;

		fd = file(dir, "16T", 0, 0);
		data_at(fd, 0, 4096, 6);
		data_at(fd, INT64_C(5) << 40, 8192, 7);
		data_at(fd, end - 4096, 4096, 8);
		close(fd);
	}
	close(dir);
}

static void modes_and_owners(int top)
{
	static const mode_t mode[] = {
		0, 0400, 0777, 01777, 02755, 04755, 06711, 07777, 02000, 0111};
	uint32_t id[] = {0, 1, 1000, 65533, 65534, 65535, ids_max - 2, ids_max};
	int dir = folder(top, "modes"), sub;
	char name[32];

	for (size_t i = 0; i < sizeof(mode) / sizeof(*mode); i++) {
		snprintf(name, sizeof(name), "f%04o", mode[i]);
		close(file(dir, name, 5, 9));
		own(dir, name, 1000, 1001);
		must(fchmodat(dir, name, mode[i], 0), "chmod");
		snprintf(name, sizeof(name), "d%04o", mode[i]);
		sub = folder(dir, name);
		touch(sub, "inside");
		own(dir, name, 5, 6);
		must(fchmodat(dir, name, mode[i], 0), "chmod");
		close(sub);
	}
	for (size_t i = 0; i < sizeof(id) / sizeof(*id); i++) {
		if (id[i] > ids_max)
			continue;
		snprintf(name, sizeof(name), "u%u.%zu", id[i], i);
		touch(dir, name);
		own(dir, name, id[i], id[sizeof(id) / sizeof(*id) - 1 - i]);
	}
	close(dir);
}

static void set_times(int dir, const char *name, int64_t a, long an, int64_t m, long mn)
{
	struct timespec ts[2] = {{a, an}, {m, mn}};

	must(utimensat(dir, name, ts, AT_SYMLINK_NOFOLLOW), "utimens");
}

static void times(int top)
{
	static const int64_t sec[] = {-2147483000, -86400 * 365 * 5, -1, 0, 1, 2147483647,
		2147483648, 4294967296, 7258118400};
	static const long nsec[] = {0, 1, 999999999, 123456789};
	int dir = folder(top, "times");
	char name[32];

	for (size_t i = 0; i < sizeof(sec) / sizeof(*sec); i++) {
		snprintf(name, sizeof(name), "f%zu", i);
		touch(dir, name);
		set_times(dir, name, sec[i], nsec[i % 4], sec[(i + 3) % 9], nsec[(i + 1) % 4]);
		snprintf(name, sizeof(name), "s%zu", i);
		must(symlinkat("nowhere", dir, name), "symlink");
		set_times(
			dir, name, sec[i], nsec[(i + 2) % 4], sec[(i + 1) % 9], nsec[(i + 3) % 4]);
		snprintf(name, sizeof(name), "d%zu", i);
		close(folder(dir, name));
		set_times(
			dir, name, sec[i], nsec[(i + 2) % 4], sec[(i + 1) % 9], nsec[(i + 3) % 4]);
	}
	close(dir);
	set_times(top, "times", 5, 5, 6, 6);
}

static void nodes(int top)
{
	int dir = folder(top, "nodes");
	char *target = calloc(1, target_max + 1);

	must(mknodat(dir, "null", S_IFCHR | 0666, makedev(1, 3)), "mknod");
	must(mknodat(dir, "whiteout", S_IFCHR, makedev(0, 0)), "mknod");
	must(mknodat(dir, "big", S_IFBLK | 0640, makedev(511, 200000)), "mknod");
	must(mknodat(dir, "fifo", S_IFIFO | 0604, 0), "mkfifo");
	must(mknodat(dir, "socket", S_IFSOCK | 0755, 0), "socket");
	must(fchmodat(dir, "socket", 02711, 0), "chmod");
	must(symlinkat("", dir, "empty") < 0 ? 0 : -1, "an empty symlink was made");
	must(symlinkat("../../../../../../etc/passwd", dir, "out"), "symlink");
	must(symlinkat("/", dir, "root"), "symlink");
	memset(target, 't', target_max);
	must(symlinkat(target, dir, "long"), "symlink");
	must(symlinkat("\xff\n", dir, "odd"), "symlink");
	own(dir, "out", 12, 13);
	own(dir, "null", 14, 15);
	own(dir, "fifo", 16, 17);
	set_times(dir, "fifo", 100, 1, 200, 2);
	set_times(dir, "null", 100, 1, 200, 2);
	set_times(dir, "socket", 300, 1, 400, 2);
	free(target);
	close(dir);
}

static void hard_links(int top)
{
	static const char *const name[] = {"file", "null", "fifo", "socket", "symlink"};
	int a = folder(top, "links-a"), b = folder(top, "links-b"), c = folder(b, "deeper");
	char other[32];

	close(file(b, "file", 300000, 77));
	must(mknodat(b, "null", S_IFCHR | 0600, makedev(1, 3)), "mknod");
	must(mknodat(b, "fifo", S_IFIFO | 0600, 0), "mkfifo");
	must(mknodat(b, "socket", S_IFSOCK | 0600, 0), "socket");
	must(symlinkat("x", b, "symlink"), "symlink");
	for (size_t i = 0; i < 5; i++) {
		must(linkat(b, name[i], a, name[i], 0), "link");
		must(linkat(b, name[i], c, name[i], 0), "link");
		snprintf(other, sizeof(other), "%s.2", name[i]);
		must(linkat(b, name[i], b, other, 0), "link");
	}
	close(file(a, "twin 1", 10, 5));
	close(file(a, "twin 2", 10, 5)); /* the same content, another inode */
	close(a);
	close(b);
	close(c);
}

static void setx(int dir, const char *name, const char *attr, const void *v, size_t n)
{
	int fd = openat(dir, name, O_PATH | O_NOFOLLOW);
	char proc[40];

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	must(setxattr(proc, attr, v, n, 0), attr);
	close(fd);
}

static void put32(unsigned char *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (unsigned char)(v >> (8 * i));
}

static size_t acl(unsigned char *v, uint32_t user, uint32_t group)
{
	const struct {
		uint16_t tag, perm;
		uint32_t id;
	} e[] = {{1, 7, UINT32_MAX}, {2, 5, base + user}, {4, 5, UINT32_MAX}, {8, 4, base + group},
		{16, 7, UINT32_MAX}, {32, 0, UINT32_MAX}};

	put32(v, 2);
	for (size_t i = 0; i < 6; i++) {
		v[4 + 8 * i] = (unsigned char)e[i].tag;
		v[5 + 8 * i] = 0;
		v[6 + 8 * i] = (unsigned char)e[i].perm;
		v[7 + 8 * i] = 0;
		put32(v + 8 + 8 * i, e[i].id);
	}
	return 52;
}

static void capabilities(int dir)
{
	unsigned char cap[24] = {0};

	put32(cap, 0x02000001);
	put32(cap + 4, 0x2400);
	touch(dir, "cap2");
	if (base) { /* in a container with an id map they are bound to its root */
		put32(cap, 0x03000001);
		put32(cap + 20, base);
		setx(dir, "cap2", "security.capability", cap, 24);
	} else {
		setx(dir, "cap2", "security.capability", cap, 20);
	}
	put32(cap, 0x03000000);
	put32(cap + 20, base + 1000);
	touch(dir, "cap3");
	setx(dir, "cap3", "security.capability", cap, 24);
}

static void xattrs(int top)
{
	int dir = folder(top, "xattrs"), sub;
	char *big = malloc(xattr_max), name[260];
	unsigned char v[64];

	fill(big, xattr_max, 42);
	touch(dir, "empty");
	setx(dir, "empty", "user.nothing", "", 0);
	touch(dir, "big");
	setx(dir, "big", "user.big", big, xattr_max);
	touch(dir, "many");
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "user.number %d", i);
		setx(dir, "many", name, &i, sizeof(i));
	}
	touch(dir, "spaces");
	setx(dir, "spaces", "trusted.t", "x\0y", 3);
	setx(dir, "spaces", "security.s", "abc", 3);
	setx(dir, "spaces", "user.\xff\n", "odd", 3);
	memset(name, 'l', 255);
	memcpy(name, "user.", 5);
	name[255] = '\0';
	setx(dir, "spaces", name, "v", 1);
	must(symlinkat("x", dir, "symlink"), "symlink");
	setx(dir, "symlink", "trusted.of-a-link", "1", 1);
	must(mknodat(dir, "fifo", S_IFIFO | 0600, 0), "mkfifo");
	setx(dir, "fifo", "trusted.of-a-fifo", "2", 1);
	must(mknodat(dir, "dev", S_IFCHR | 0600, makedev(1, 5)), "mknod");
	setx(dir, "dev", "trusted.of-a-device", "3", 1);
	capabilities(dir);
	touch(dir, "acl");
	setx(dir, "acl", "system.posix_acl_access", v, acl(v, 1000, 65534));
	sub = folder(dir, "acl-default");
	setx(dir, "acl-default", "system.posix_acl_default", v, acl(v, 1, 2));
	setx(dir, "acl-default", "system.posix_acl_access", v, acl(v, 3, 4));
	setx(dir, "acl-default", "user.dir", "yes", 3);
	touch(sub, "inherits");
	close(folder(sub, "inherits too"));
	touch(sub, "does not");
	must(fremovexattr(openat(sub, "does not", O_RDONLY), "system.posix_acl_access"),
		"remove acl");
	free(big);
	close(sub);
	close(dir);
}

static void chattr(int dir, const char *name, int flags)
{
	int fd = openat(dir, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW), have = 0;

	must(ioctl(fd, FS_IOC_GETFLAGS, &have), "getflags");
	have |= flags;
	must(ioctl(fd, FS_IOC_SETFLAGS, &have), name);
	close(fd);
}

static void project(int dir, const char *name, uint32_t id)
{
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW);
	struct fsxattr x;

	must(ioctl(fd, FS_IOC_FSGETXATTR, &x), "fsgetxattr");
	x.fsx_projid = id;
	must(ioctl(fd, FS_IOC_FSSETXATTR, &x), "project");
	close(fd);
}

static void flags(int top)
{
	int dir = folder(top, "flags"), sub, in;

	close(file(dir, "immutable", 100, 1));
	must(linkat(dir, "immutable", dir, "immutable link", 0), "link");
	chattr(dir, "immutable", FS_IMMUTABLE_FL);
	close(file(dir, "append", 70000, 2));
	chattr(dir, "append", FS_APPEND_FL);
	touch(dir, "others");
	chattr(dir, "others", FS_NODUMP_FL | FS_NOATIME_FL | FS_SYNC_FL);
	sub = folder(dir, "immutable dir");
	touch(sub, "inside");
	in = folder(sub, "dir inside");
	touch(in, "deep inside");
	chattr(dir, "immutable dir", FS_IMMUTABLE_FL);
	close(sub);
	close(in);
	sub = folder(dir, "append dir");
	touch(sub, "inside");
	chattr(dir, "append dir", FS_APPEND_FL);
	close(sub);
	sub = folder(dir, "inheriting");
	chattr(dir, "inheriting", FS_NODUMP_FL | FS_NOATIME_FL);
	touch(sub, "inside");
	touch(sub, "not");
	close(sub);
	if (with_project) {
		sub = folder(dir, "project");
		project(dir, "project", 77);
		touch(sub, "own");
		project(sub, "own", 78);
		touch(sub, "none");
		project(sub, "none", 0);
		close(sub);
	}
	close(dir);
}

/* A path that no system call would take: 60 levels of 200 bytes. */
static void deep(int top)
{
	int dir = folder(top, "deep"), next;
	char name[201];

	for (int i = 0; i < 60; i++) {
		memset(name, 'a' + i % 26, 200);
		name[200] = '\0';
		next = folder(dir, name);
		close(file(dir, "here", 20, (unsigned)i));
		close(dir);
		dir = next;
	}
	close(file(dir, "bottom", 100, 1));
	must(linkat(dir, "bottom", top, "link to the bottom", 0), "link");
	must(linkat(dir, "bottom", dir, "bottom 2", 0), "link");
	close(dir);
}

/* Files are made as that user, with all of root's powers. */
static void create_as(uint32_t id)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2];

	setfsgid(id);
	setfsuid(id);
	must((int)syscall(SYS_capget, &head, data), "capget");
	data[0].effective = data[0].permitted;
	data[1].effective = data[1].permitted;
	must((int)syscall(SYS_capset, &head, data), "capset");
}

static void many(int top, long n)
{
	int dir = folder(top, "many");
	char name[32];

	for (long i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "entry-%07ld", i);
		touch(dir, name);
	}
	close(dir);
}

int main(int argc, char **argv)
{
	long n_many = 3000;
	int top;

	if (argc < 2)
		return 2;
	umask(0);
	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], "--base") == 0)
			base = (uint32_t)strtoul(argv[++i], NULL, 0);
		else if (strcmp(argv[i], "--ids") == 0)
			ids_max = (uint32_t)strtoul(argv[++i], NULL, 0);
		else if (strcmp(argv[i], "--xattr-max") == 0)
			xattr_max = strtoul(argv[++i], NULL, 0);
		else if (strcmp(argv[i], "--target-max") == 0)
			target_max = strtoul(argv[++i], NULL, 0);
		else if (strcmp(argv[i], "--many") == 0)
			n_many = strtol(argv[++i], NULL, 0);
		else if (strcmp(argv[i], "--project") == 0)
			with_project = true;
		else if (strcmp(argv[i], "--huge") == 0)
			with_huge = true;
		else if (strcmp(argv[i], "--flags") == 0)
			with_flags = true;
	}
	if (base)
		create_as(base);
	top = open(argv[1], O_RDONLY | O_DIRECTORY);
	must(top, argv[1]);
	names(top);
	sizes(top);
	holes(top);
	nodes(top);
	hard_links(top);
	xattrs(top);
	if (with_flags)
		flags(top);
	deep(top);
	many(top, n_many);
	modes_and_owners(top);
	times(top);
	return failures ? 1 : 0;
}
