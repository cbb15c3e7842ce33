/*
 * Random operations on a tree, so many: what a busy container does, without its reasons.
 *
 *	churn DIR SEED COUNT [--flags] [--base ID] [--sparse] [--log FILE]
 *
 * Failures of single operations are ordinary: names are picked at random. --sparse: nearly all
 * operations go to the content of a few large files with holes, which have several names each.
 * --log: what was done, one a line, appended.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdarg.h>
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
static bool with_flags, sparse;
static FILE *story;

static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *fmt, ...)
{
	va_list ap;

	if (!story)
		return;
	va_start(ap, fmt);
	vfprintf(story, fmt, ap);
	va_end(ap);
	putc('\n', story);
}

static uint32_t rnd(uint32_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 20) % n;
}

/* Names of large files: fewer still, and no folder above them ever goes. */
static const char *pick_large(void)
{
	static const char *const dirs[] = {"", "large/", "large/er/", "larger/"};
	static char buf[4][32];
	static int turn;
	char *p = buf[turn++ & 3];

	snprintf(p, sizeof(buf[0]), "%sb%u", dirs[rnd(4)], rnd(4));
	return p;
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
	const char *name = pick(false);

	say("content of %s", name);
	return openat(top, name, flags | O_NOFOLLOW | O_NONBLOCK, 0644);
}

static void write_some(int fd, uint32_t n, uint64_t off)
{
	static char buf[300000];

	say("  write %u at %llu", n, (unsigned long long)off);
	for (uint32_t i = 0; i < n; i += 64)
		buf[i] = (char)rnd(256);
	if (pwrite(fd, buf, n, (off_t)off) < 0)
		return;
}

static void map_some(int fd, off_t size)
{
	char *p;

	if (size <= 4096)
		return;
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return;
	say("  store");
	p[rnd(4096)] = (char)rnd(256);
	munmap(p, 4096);
}

static void resize(int fd, uint32_t size)
{
	say("  truncate to %u", size);
	if (ftruncate(fd, size) < 0)
		say("  failed");
}

static void reshape(int fd, int mode, uint32_t off, uint32_t n)
{
	say("  fallocate %d at %u for %u", mode, off, n);
	if (fallocate(fd, mode, off, n) < 0)
		say("  failed");
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
	case 3: resize(fd, rnd(600000)); break;
	case 4:
		reshape(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, rnd(300000),
			1 + rnd(200000));
		break;
	case 5: write_some(fd, 5, rnd(600000)); break;
	default: map_some(fd, st.st_size);
	}
	close(fd);
}

static void change_large(void)
{
	const char *name = pick_large();
	int fd = openat(top, name, O_RDWR | O_CREAT, 0644);
	struct stat st;

	say("content of %s", name);
	if (fd < 0 || fstat(fd, &st) < 0)
		return;
	switch (rnd(12)) {
	case 0: resize(fd, rnd(1000000)); break;
	case 1: /* down and up: what was there is a hole now */
		resize(fd, rnd(500000));
		resize(fd, 300000 + rnd(700000));
		break;
	case 2: resize(fd, (uint32_t)(st.st_size - st.st_size % 4096)); break;
	case 3:
	case 4:
		reshape(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, rnd(200) * 4096,
			(1 + rnd(60)) * 4096);
		break;
	case 5:
		reshape(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, rnd(800000),
			1 + rnd(200000));
		break;
	case 6: reshape(fd, FALLOC_FL_ZERO_RANGE, rnd(800000), 1 + rnd(100000)); break;
	case 7: reshape(fd, FALLOC_FL_COLLAPSE_RANGE, rnd(200) * 4096, (1 + rnd(20)) * 4096); break;
	case 8: reshape(fd, FALLOC_FL_INSERT_RANGE, rnd(200) * 4096, (1 + rnd(20)) * 4096); break;
	case 9: write_some(fd, rnd(5000), rnd(900000)); break;
	case 10: map_some(fd, st.st_size); break;
	default: write_some(fd, rnd(200000), rnd(200) * 4096); break;
	}
	close(fd);
}

/* Names of the large files: some more, some less, some that change places. */
static void name_large(void)
{
	const char *a = pick_large(), *b = pick_large();

	switch (rnd(6)) {
	case 0:
	case 1:
		say("link %s %s", a, b);
		if (linkat(top, a, top, b, 0) == 0)
			return;
		(void)unlinkat(top, b, 0);
		(void)linkat(top, a, top, b, 0);
		return;
	case 2:
		say("exchange %s %s", a, b);
		(void)renameat2(top, a, top, b, RENAME_EXCHANGE);
		return;
	case 3:
		say("unlink %s", a);
		(void)unlinkat(top, a, 0);
		return;
	default: say("rename %s %s", a, b); (void)renameat(top, a, top, b);
	}
}

static void change_metadata(void)
{
	const char *name = pick(rnd(4) == 0);
	struct timespec ts[2] = {
		{rnd(1u << 31), rnd(1000000000)}, {rnd(1u << 31), rnd(1000000000)}};
	char attr[32];
	int fd, flags;

	say("metadata of %s", name);
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

	say("make %s", name);
	switch (rnd(8)) {
	case 0:
	case 1:
		name = pick(true);
		say("  mkdir %s", name);
		(void)mkdirat(top, name, rnd(2) ? 0755 : 0700);
		return;
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

	say("replace %s", name);
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
	bool dir = rnd(3) == 0, exchange = rnd(4) == 0;
	const char *from = pick(dir), *to = pick(dir);

	say("%s %s %s", exchange ? "exchange" : "rename", from, to);
	(void)renameat2(top, from, top, to, exchange ? RENAME_EXCHANGE : 0);
}

static void remove_dir(const char *name)
{
	char inner[300];

	say("remove folder %s", name);
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

static void link_some(void)
{
	const char *from = pick(false), *to = pick(false);

	say("link %s %s", from, to);
	if (linkat(top, from, top, to, 0) < 0)
		say("  failed");
}

static void unlink_some(void)
{
	const char *name = pick(false);

	say("unlink %s", name);
	(void)unlinkat(top, name, 0);
}

static void one(void)
{
	if (sparse && rnd(8)) {
		rnd(4) ? change_large() : name_large();
		return;
	}
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
	case 11: link_some(); break;
	case 12:
	case 13: unlink_some(); break;
	case 14: remove_dir(pick(true)); break;
	default: change_content();
	}
}

static void begin_sparse(void)
{
	(void)mkdirat(top, "large", 0755);
	(void)mkdirat(top, "large/er", 0755);
	(void)mkdirat(top, "larger", 0755);
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
		sparse |= strcmp(argv[i], "--sparse") == 0;
		if (strcmp(argv[i], "--base") == 0)
			base = (uint32_t)strtoul(argv[++i], NULL, 0);
		else if (strcmp(argv[i], "--log") == 0)
			story = fopen(argv[++i], "ae");
	}
	if (sparse)
		begin_sparse();
	while (n-- > 0)
		one();
	return story && fclose(story) ? 1 : 0;
}
