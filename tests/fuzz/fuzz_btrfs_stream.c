/*
 * A peer's btrfs stream, read and applied to a folder. Its first byte says how the rest is meant:
 * bit 0 for version 2, bit 1 for bytes as they are but with right checksums, bit 2 for bytes as
 * they are. Otherwise commands are put together from them, so that a fuzzer gets beyond the outer
 * form: a command's number, how many attributes, and for each its type and length, or a well-known
 * value.
 *
 * What is beside the folder must stay as it is.
 */
#include <endian.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/beneath.h"
#include "base/str.h"
#include "fuzz.h"
#include "storage/btrfs_apply.h"
#include "storage/crc32c.h"

#define KNOWN 0x80 /* of an attribute's length: an index into known */

static const char *const known[] = {"", "a", "b", "d", "d/a", "d/d", "d/d/a", "way", "way/secret",
	"../outside/secret", "..", "/", "/tmp/x", "a/", "user.x", "security.capability",
	"system.posix_acl_default", "../outside", "../outside/new", "d/../a", "\1\0\0\0\0\0\0\0",
	"\0\20\0\0\0\0\0\0", "\xff\xff\xff\xff\xff\xff\xff\x7f", "\3\0\0\0", "0123456789abcdef",
	"\244\201\0\0\0\0\0\0", "\0\0\0\0\0\0\0\0\0\0\0\0"};
static const unsigned char known_len[] = {
	0, 1, 1, 1, 3, 3, 5, 3, 10, 17, 2, 1, 6, 2, 6, 19, 24, 10, 14, 6, 8, 8, 8, 4, 16, 8, 12};

static int top = -1, root;
static struct stat outside, secret; /* as they were made */

/* Where device nodes cannot be made, and nobody is root: a mistake of ours must not cost the
 * machine. */
static void confine(void)
{
	int fd;

	if (geteuid() != 0 || unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return;
	for (const char *const *p = (const char *const[]){"setgroups", "uid_map", "gid_map", NULL};
		*p; p++) {
		_cleanup_free_ char *path = xasprintf("/proc/self/%s", *p);
		const char *text = **p == 's' ? "deny" : "0 0 1";

		fd = open(path, O_WRONLY | O_CLOEXEC);
		fuzz_must(fd >= 0 && write(fd, text, strlen(text)) > 0);
		close(fd);
	}
}

static void start_over(void)
{
	struct err err = ERR_INIT;

	fuzz_must(beneath_remove_tree(top, "root", &err) >= 0);
	fuzz_must(mkdirat(top, "root", 0755) == 0);
	root = openat(top, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fuzz_must(root >= 0);
}

static void prepare(void)
{
	char path[] = "/dev/shm/wherry-fuzz-XXXXXX";
	int fd;

	confine();
	fuzz_must(mkdtemp(path));
	top = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fuzz_must(top >= 0 && mkdirat(top, "outside", 0755) == 0);
	fd = openat(top, "outside/secret", O_WRONLY | O_CREAT | O_EXCL, 0600);
	fuzz_must(fd >= 0 && write(fd, "secret", 6) == 6 && fstat(fd, &secret) == 0);
	close(fd);
	fuzz_must(fstatat(top, "outside", &outside, 0) == 0);
}

static void finish(void)
{
	char proc[64], path[64];
	struct err err = ERR_INIT;
	ssize_t n;

	if (top < 0)
		return;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", top);
	n = readlink(proc, path, sizeof(path) - 1);
	if (n < 0 || beneath_remove_tree(top, "root", &err) < 0 ||
		beneath_remove_tree(top, "outside", &err) < 0)
		return;
	path[n] = '\0';
	(void)rmdir(path);
}

static bool is_as_before(const struct stat *was, const char *path)
{
	struct stat st;

	return fstatat(top, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == was->st_ino &&
	       st.st_mode == was->st_mode && st.st_nlink == was->st_nlink &&
	       st.st_uid == was->st_uid && st.st_size == was->st_size &&
	       st.st_ctim.tv_sec == was->st_ctim.tv_sec &&
	       st.st_ctim.tv_nsec == was->st_ctim.tv_nsec;
}

static void check_outside(void)
{
	struct stat st;

	fuzz_must(is_as_before(&outside, "outside") && is_as_before(&secret, "outside/secret"));
	/* The two folders. */
	fuzz_must(fstat(top, &st) == 0 && st.st_nlink == 4 && st.st_size == outside.st_size + 20);
}

/* Raw bytes with the checksums that they ought to have. */
static void put_corrected(struct str *s, const uint8_t *p, size_t n)
{
	while (n > 10) {
		uint32_t body, crc = 0;
		size_t at = s->len;

		memcpy(&body, p, sizeof(body));
		body = MIN(le32toh(body), (uint32_t)(n - 10));
		str_addn(s, p, 10 + body);
		memcpy(s->buf + at + 6, &crc, sizeof(crc));
		crc = htole32(crc32c(0, s->buf + at, 10 + body));
		memcpy(s->buf + at + 6, &crc, sizeof(crc));
		p += 10 + body;
		n -= 10 + body;
	}
}

static void put_composed(struct str *s, const uint8_t *p, size_t n, unsigned version)
{
	while (n >= 2) {
		size_t c = btrfs_put_command(s, (enum btrfs_number)(p[0] % 32));
		unsigned attrs = p[1] % 12;

		p += 2;
		n -= 2;
		for (; attrs && n >= 2; attrs--) {
			unsigned type = p[0] % 34, len = p[1];
			const void *value = p + 2;

			p += 2;
			n -= 2;
			if (len & KNOWN) {
				value = known[(len & 0x7f) % ARRAY_SIZE(known)];
				len = known_len[(len & 0x7f) % ARRAY_SIZE(known)];
			} else {
				len = MIN(len, (unsigned)n);
				p += len;
				n -= len;
			}
			if (version == 2 && type == BTRFS_A_DATA) {
				str_addn(s, "\23", 2);
				str_addn(s, value, len);
				break;
			}
			btrfs_put_attr(s, (enum btrfs_attr)type, value, len);
		}
		btrfs_put_done(s, c);
	}
}

static void apply(const struct str *s)
{
	_cleanup_stream_ struct stream *in = stream_mem_new(s->buf, s->len);
	_cleanup_btrfs_reader_ struct btrfs_reader *reader = btrfs_reader_new(in, 0);
	struct btrfs_origin self = {.fd = root, .transid = 1}, from = {.fd = root, .transid = 4096};
	_cleanup_btrfs_apply_ struct btrfs_apply *a = NULL;
	struct btrfs_command c;
	struct err err = ERR_INIT;
	int r = btrfs_reader_header(reader, &err);

	memcpy(self.uuid, "0123456789abcdef", sizeof(self.uuid));
	memcpy(from.uuid, self.uuid, sizeof(from.uuid));
	a = btrfs_apply_new(&self, &from);
	while (r >= 0 && (r = btrfs_reader_next(reader, &c, &err)) > 0)
		r = btrfs_apply_command(a, &c, &err);
	fuzz_must(r >= 0 || err.code != ERR_NONE);
	if (r >= 0)
		(void)!btrfs_apply_settle(a, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	_cleanup_(str_done) struct str s = STR_INIT;

	if (n == 0)
		return 0;
	if (top < 0) {
		prepare();
		atexit(finish);
	}
	start_over();
	if (data[0] & 4) {
		str_addn(&s, data + 1, n - 1);
	} else {
		btrfs_put_header(&s, 1 + (data[0] & 1));
		if (data[0] & 2)
			put_corrected(&s, data + 1, n - 1);
		else
			put_composed(&s, data + 1, n - 1, 1 + (data[0] & 1));
	}
	apply(&s);
	close(root);
	check_outside();
	return 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv);

/* Namespaces are only for processes without threads, and libFuzzer is about to start one. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	prepare();
	atexit(finish);
	return 0;
}
