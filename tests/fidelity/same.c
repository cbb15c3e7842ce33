/*
 * Are two trees the same? Compares everything that a file system says, by a walk of its own that
 * shares nothing with the tree engine.
 *
 *	same A B [--ids FROM TO COUNT]... [--flags MASK] [--no-atime] [--no-layout] [--no-project]
 *
 * --ids: id FROM+n of A is TO+n of B. --flags: the chattr flags that both file systems know. Exit
 * status 0: the same; 1: each difference is said, one a line.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <search.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define BLOCK 4096

static struct {
	uint32_t from, to, count;
} ids[16];
static int n_ids;
static unsigned flags_mask = FS_SYNC_FL | FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL |
			     FS_NOATIME_FL;
static bool with_atime = true, with_layout = true, with_project = true;
static unsigned long differences, entries;
static char path[1 << 20];
static size_t path_len;

static void differ(const char *fmt, const char *detail)
{
	if (differences++ < 100) {
		for (size_t i = 0; i < path_len; i++)
			if ((unsigned char)path[i] < ' ' || (unsigned char)path[i] > '~')
				printf("\\x%02x", (unsigned char)path[i]);
			else
				putchar(path[i]);
		printf(": %s %s\n", fmt, detail);
	}
}

static void differ_num(const char *what, long long a, long long b)
{
	char text[64];

	snprintf(text, sizeof(text), "%lld, %lld", a, b);
	differ(what, text);
}

static uint32_t map(uint32_t id)
{
	for (int i = 0; i < n_ids; i++)
		if (id >= ids[i].from && id - ids[i].from < ids[i].count)
			return ids[i].to + (id - ids[i].from);
	return n_ids ? UINT32_MAX : id;
}

static void fatal(const char *what)
{
	fprintf(stderr, "same: %.*s: %s: %s\n", (int)path_len, path, what, strerror(errno));
	exit(2);
}

/* Hard links: an inode of A goes with exactly one inode of B, and the other way round. */
struct pair {
	ino_t a, b;
	struct pair *next;
};
static void *by_a, *by_b;
static struct pair *pairs;

static int cmp_a(const void *x, const void *y)
{
	ino_t p = ((const struct pair *)x)->a, q = ((const struct pair *)y)->a;

	return p < q ? -1 : p > q;
}

static int cmp_b(const void *x, const void *y)
{
	ino_t p = ((const struct pair *)x)->b, q = ((const struct pair *)y)->b;

	return p < q ? -1 : p > q;
}

static void check_links(const struct stat *a, const struct stat *b)
{
	struct pair *p = malloc(sizeof(*p)), **at;

	if (a->st_nlink != b->st_nlink)
		differ_num("names", (long long)a->st_nlink, (long long)b->st_nlink);
	*p = (struct pair){a->st_ino, b->st_ino, pairs};
	pairs = p;
	at = tsearch(p, &by_a, cmp_a);
	if ((*at)->b != b->st_ino)
		differ("not the same inode as its other names", "");
	at = tsearch(p, &by_b, cmp_b);
	if ((*at)->a != a->st_ino)
		differ("is the same inode as another file's", "");
}

/* Extended attributes */

struct xattrs {
	char names[65536];
	ssize_t n;
};

static ssize_t get(int fd, const char *name, void *buf, size_t n)
{
	char proc[40];

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	return getxattr(proc, name, buf, n);
}

static void list(int fd, struct xattrs *x)
{
	char proc[40];

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	x->n = listxattr(proc, x->names, sizeof(x->names));
	if (x->n < 0 && errno != EOPNOTSUPP)
		fatal("listxattr");
}

static uint32_t get32(const unsigned char *p)
{
	return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

static void put32(unsigned char *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (unsigned char)(v >> (8 * i));
}

/* What the blob of A should be in B. */
static void shift(const char *name, unsigned char *v, ssize_t *n)
{
	if (!n_ids)
		return;
	if (strncmp(name, "system.posix_acl_", 17) == 0)
		for (ssize_t at = 4; at + 8 <= *n; at += 8)
			if (v[at] == 2 || v[at] == 8)
				put32(v + at + 4, map(get32(v + at + 4)));
	if (strcmp(name, "security.capability") == 0) {
		uint32_t root = *n == 24 ? get32(v + 20) : 0;

		root = map(root);
		v[3] = root ? 3 : 2;
		*n = root ? 24 : 20;
		if (root)
			put32(v + 20, root);
	}
}

/* ACLs once more, as xfs keeps them. */
static bool shadow(const char *name)
{
	return strncmp(name, "trusted.SGI_ACL_", 16) == 0;
}

static bool has(const struct xattrs *x, const char *name)
{
	for (const char *p = x->names; x->n > 0 && p < x->names + x->n; p += strlen(p) + 1)
		if (strcmp(p, name) == 0)
			return true;
	return false;
}

static void check_xattrs(int fa, int fb)
{
	static struct xattrs a, b;
	static unsigned char va[65536 + 8], vb[65536 + 8];

	list(fa, &a);
	list(fb, &b);
	for (const char *p = a.names; a.n > 0 && p < a.names + a.n; p += strlen(p) + 1) {
		ssize_t na = get(fa, p, va, 65536), nb = get(fb, p, vb, 65536);

		if (shadow(p))
			continue;
		if (na < 0)
			fatal("getxattr");
		if (nb < 0) {
			differ("lacks attribute", p);
			continue;
		}
		shift(p, va, &na);
		if (na != nb || memcmp(va, vb, (size_t)na) != 0)
			differ("attribute differs:", p);
	}
	for (const char *p = b.names; b.n > 0 && p < b.names + b.n; p += strlen(p) + 1)
		if (!has(&a, p) && !shadow(p))
			differ("has attribute too much:", p);
}

/* Flags, content */

static void check_flags(int fa, int fb)
{
	int a = 0, b = 0;
	struct fsxattr x = {0}, y = {0};
	bool had = ioctl(fa, FS_IOC_GETFLAGS, &a) == 0;

	(void)ioctl(fb, FS_IOC_GETFLAGS, &b);
	if (had && ((a ^ b) & (int)flags_mask)) {
		char text[64];

		snprintf(text, sizeof(text), "%x, %x", a & (int)flags_mask, b & (int)flags_mask);
		differ("flags", text);
	}
	if (!with_project || ioctl(fa, FS_IOC_FSGETXATTR, &x) < 0 ||
		ioctl(fb, FS_IOC_FSGETXATTR, &y) < 0)
		return;
	if (x.fsx_projid != y.fsx_projid)
		differ_num("project", x.fsx_projid, y.fsx_projid);
}

static void check_layout(int fa, int fb, off_t size)
{
	off_t at = 0;

	for (int i = 0; at < size && i < 100000; i++) {
		off_t da = lseek(fa, at, SEEK_DATA), db = lseek(fb, at, SEEK_DATA), ha, hb;

		da = da < 0 ? size : da;
		db = db < 0 ? size : db;
		if (da != db) {
			differ_num("data begins at", da, db);
			return;
		}
		if (da >= size)
			return;
		ha = lseek(fa, da, SEEK_HOLE);
		hb = lseek(fb, da, SEEK_HOLE);
		if (ha != hb) {
			differ_num("hole begins at", ha, hb);
			return;
		}
		at = ha;
	}
}

static void check_range(int fa, int fb, off_t from, off_t to)
{
	static char a[1 << 18], b[1 << 18];

	while (from < to) {
		size_t n = to - from > (off_t)sizeof(a) ? sizeof(a) : (size_t)(to - from);
		ssize_t x = pread(fa, a, n, from), y = pread(fb, b, n, from);

		if (x < 0 || y < 0)
			fatal("read");
		if (x != y || memcmp(a, b, (size_t)x) != 0) {
			for (ssize_t i = 0; i < x && i < y; i++)
				if (a[i] != b[i]) {
					differ_num("content differs at", from + i, 0);
					return;
				}
			differ("content is shorter", "");
			return;
		}
		if (x == 0)
			return;
		from += x;
	}
}

/* Where either has data. */
static void check_content(int fa, int fb, off_t size)
{
	off_t at = 0;

	while (at < size) {
		off_t da = lseek(fa, at, SEEK_DATA), db = lseek(fb, at, SEEK_DATA), from, to;

		da = da < 0 ? size : da;
		db = db < 0 ? size : db;
		from = da < db ? da : db;
		if (from >= size)
			break;
		to = da <= db ? lseek(fa, da, SEEK_HOLE) : lseek(fb, db, SEEK_HOLE);
		check_range(fa, fb, from, to > size ? size : to);
		at = to;
	}
	if (with_layout)
		check_layout(fa, fb, size);
}

static void check_time(const char *what, const struct timespec *a, const struct timespec *b)
{
	char text[96];

	if (a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec)
		return;
	snprintf(text, sizeof(text), "%lld.%09ld, %lld.%09ld", (long long)a->tv_sec, a->tv_nsec,
		(long long)b->tv_sec, b->tv_nsec);
	differ(what, text);
}

static void check_target(int fa, int fb)
{
	char a[4097], b[4097];
	ssize_t n = readlinkat(fa, "", a, sizeof(a)), m = readlinkat(fb, "", b, sizeof(b));

	if (n != m || n < 0 || memcmp(a, b, (size_t)n) != 0)
		differ("target", "");
}

static int reopen(int fd)
{
	char proc[40];

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	fd = open(proc, O_RDONLY | O_NONBLOCK | O_NOATIME | O_CLOEXEC);
	if (fd < 0)
		fatal("open");
	return fd;
}

static void check_dir(int fa, int fb);

static void check(int pa, int pb, const char *name)
{
	int fa = openat(pa, name, O_PATH | O_NOFOLLOW | O_CLOEXEC), ra = -1, rb = -1;
	int fb = openat(pb, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat a, b;

	entries++;
	if (fa < 0 || fb < 0 || fstat(fa, &a) < 0 || fstat(fb, &b) < 0)
		fatal("open");
	if (a.st_mode != b.st_mode)
		differ_num("mode", a.st_mode, b.st_mode);
	if (map(a.st_uid) != b.st_uid)
		differ_num("owner", a.st_uid, b.st_uid);
	if (map(a.st_gid) != b.st_gid)
		differ_num("group", a.st_gid, b.st_gid);
	check_time("mtime", &a.st_mtim, &b.st_mtim);
	if (with_atime)
		check_time("atime", &a.st_atim, &b.st_atim);
	if (!S_ISDIR(a.st_mode))
		check_links(&a, &b);
	if ((S_ISCHR(a.st_mode) || S_ISBLK(a.st_mode)) && a.st_rdev != b.st_rdev)
		differ("device number", "");
	if ((a.st_mode & S_IFMT) == (b.st_mode & S_IFMT)) {
		check_xattrs(fa, fb);
		if (S_ISLNK(a.st_mode))
			check_target(fa, fb);
		if (S_ISREG(a.st_mode) || S_ISDIR(a.st_mode)) {
			ra = reopen(fa);
			rb = reopen(fb);
			check_flags(ra, rb);
		}
		if (S_ISREG(a.st_mode)) {
			if (a.st_size != b.st_size)
				differ_num("size", a.st_size, b.st_size);
			check_content(ra, rb, a.st_size);
		}
	}
	close(fa);
	close(fb);
	if (ra >= 0 && S_ISDIR(a.st_mode))
		check_dir(ra, rb); /* closes them */
	else if (ra >= 0)
		close(ra), close(rb);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static char **names_in(int fd, size_t *ret_n)
{
	DIR *d = fdopendir(dup(fd));
	char **v = NULL;
	size_t n = 0;

	if (!d)
		fatal("opendir");
	rewinddir(d);
	for (struct dirent *e; (e = readdir(d));) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (n % 1024 == 0)
			v = realloc(v, (n + 1024) * sizeof(*v));
		v[n++] = strdup(e->d_name);
	}
	closedir(d);
	if (n)
		qsort(v, n, sizeof(*v), by_name);
	*ret_n = n;
	return v;
}

static void descend(int fa, int fb, const char *name)
{
	size_t len = path_len, n = strlen(name);

	memcpy(path + path_len, name, n);
	path_len += n;
	check(fa, fb, name);
	path_len = len;
}

static void only(const char *where, const char *name)
{
	size_t len = path_len, n = strlen(name);

	memcpy(path + path_len, name, n);
	path_len += n;
	differ(where, "");
	path_len = len;
}

static void check_dir(int fa, int fb)
{
	size_t na, nb, i = 0, k = 0, len = path_len;
	char **a = names_in(fa, &na), **b = names_in(fb, &nb);

	if (path_len)
		path[path_len++] = '/';
	while (i < na || k < nb) {
		int r = i == na ? 1 : k == nb ? -1 : strcmp(a[i], b[k]);

		if (r < 0)
			only("missing", a[i++]);
		else if (r > 0)
			only("too much", b[k++]);
		else
			descend(fa, fb, a[i]), i++, k++;
	}
	path_len = len;
	for (i = 0; i < na; i++)
		free(a[i]);
	for (k = 0; k < nb; k++)
		free(b[k]);
	free(a);
	free(b);
	close(fa);
	close(fb);
}

static uint32_t number(const char *s)
{
	return s ? (uint32_t)strtoul(s, NULL, 0) : 0;
}

int main(int argc, char **argv)
{
	int fa, fb;

	if (argc < 3)
		return 2;
	for (int i = 3; i < argc; i++) {
		if (strcmp(argv[i], "--no-atime") == 0)
			with_atime = false;
		else if (strcmp(argv[i], "--no-layout") == 0)
			with_layout = false;
		else if (strcmp(argv[i], "--no-project") == 0)
			with_project = false;
		else if (strcmp(argv[i], "--flags") == 0)
			flags_mask = number(argv[++i]);
		else if (strcmp(argv[i], "--ids") == 0 && i + 3 < argc) {
			ids[n_ids].from = number(argv[++i]);
			ids[n_ids].to = number(argv[++i]);
			ids[n_ids++].count = number(argv[++i]);
		}
	}
	fa = open(argv[1], O_RDONLY | O_DIRECTORY);
	fb = open(argv[2], O_RDONLY | O_DIRECTORY);
	if (fa < 0 || fb < 0)
		fatal("open the roots");
	/* What is not written back yet can show as a hole: see fd_write_back. */
	if (syncfs(fa) < 0 || syncfs(fb) < 0)
		fatal("sync");
	check(fa, fb, ".");
	if (differences)
		printf("%lu differences in %lu entries\n", differences, entries);
	return differences ? 1 : 0;
}
