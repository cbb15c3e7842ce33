#include "storage/btrfs_stream.h"

#include <endian.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "storage/crc32c.h"

#define MAGIC	       "btrfs-stream" /* its NUL belongs to it */
#define HEADER	       (sizeof(MAGIC) + 4)
#define COMMAND_HEADER ((size_t)10) /* length of what follows, number, checksum */
#define CRC_AT	       ((size_t)6)
#define ATTR_HEADER    ((size_t)4) /* type, length */
#define BUFFER	       ((size_t)1 << 20)

struct btrfs_reader {
	struct stream *in;
	uint32_t version;
	uint64_t offset;
	size_t last;	   /* bytes of what was read last, before begin */
	size_t begin, end; /* what is read and not yet used */
	uint8_t buf[BUFFER];
};

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) | (uint32_t)get16(p + 2) << 16;
}

static uint64_t get64(const uint8_t *p)
{
	return (uint64_t)get32(p) | (uint64_t)get32(p + 4) << 32;
}

/* Names and lengths */

static const char *const number_names[BTRFS_NUMBER_MAX] = {
	[BTRFS_SUBVOL] = "subvol",
	[BTRFS_SNAPSHOT] = "snapshot",
	[BTRFS_MKFILE] = "mkfile",
	[BTRFS_MKDIR] = "mkdir",
	[BTRFS_MKNOD] = "mknod",
	[BTRFS_MKFIFO] = "mkfifo",
	[BTRFS_MKSOCK] = "mksock",
	[BTRFS_SYMLINK] = "symlink",
	[BTRFS_RENAME] = "rename",
	[BTRFS_LINK] = "link",
	[BTRFS_UNLINK] = "unlink",
	[BTRFS_RMDIR] = "rmdir",
	[BTRFS_SET_XATTR] = "set_xattr",
	[BTRFS_REMOVE_XATTR] = "remove_xattr",
	[BTRFS_WRITE] = "write",
	[BTRFS_CLONE] = "clone",
	[BTRFS_TRUNCATE] = "truncate",
	[BTRFS_CHMOD] = "chmod",
	[BTRFS_CHOWN] = "chown",
	[BTRFS_UTIMES] = "utimes",
	[BTRFS_END] = "end",
	[BTRFS_UPDATE_EXTENT] = "update_extent",
	[BTRFS_FALLOCATE] = "fallocate",
	[BTRFS_FILEATTR] = "fileattr",
	[BTRFS_ENCODED_WRITE] = "encoded_write",
};

const char *btrfs_number_name(unsigned number)
{
	return number < BTRFS_NUMBER_MAX && number_names[number] ? number_names[number] : "unknown";
}

static int bad_attr(const struct btrfs_command *c, enum btrfs_attr a, struct err *err)
{
	return err_set(err, ERR_PROTOCOL, "btrfs stream: attribute %d of \"%s\" is %s", (int)a,
		btrfs_number_name(c->number), c->attr[a].p ? "malformed" : "missing");
}

int btrfs_u32(const struct btrfs_command *c, enum btrfs_attr a, uint32_t *ret, struct err *err)
{
	if (!c->attr[a].p || c->attr[a].n != 4)
		return bad_attr(c, a, err);
	*ret = get32(c->attr[a].p);
	return 0;
}

int btrfs_u64(const struct btrfs_command *c, enum btrfs_attr a, uint64_t *ret, struct err *err)
{
	if (!c->attr[a].p || c->attr[a].n != 8)
		return bad_attr(c, a, err);
	*ret = get64(c->attr[a].p);
	return 0;
}

int btrfs_uuid(
	const struct btrfs_command *c, enum btrfs_attr a, uint8_t ret[SUBVOL_UUID], struct err *err)
{
	if (!c->attr[a].p || c->attr[a].n != SUBVOL_UUID)
		return bad_attr(c, a, err);
	memcpy(ret, c->attr[a].p, SUBVOL_UUID);
	return 0;
}

int btrfs_time(
	const struct btrfs_command *c, enum btrfs_attr a, struct timespec *ret, struct err *err)
{
	const uint8_t *p = c->attr[a].p;

	if (!p || c->attr[a].n != 12 || get32(p + 8) >= 1000000000)
		return bad_attr(c, a, err);
	*ret = (struct timespec){(time_t)get64(p), (long)get32(p + 8)};
	return 0;
}

int btrfs_text(
	const struct btrfs_command *c, enum btrfs_attr a, char *buf, size_t size, struct err *err)
{
	const struct btrfs_bytes *b = &c->attr[a];

	if (!b->p || b->n >= size || memchr(b->p, '\0', b->n))
		return bad_attr(c, a, err);
	memcpy(buf, b->p, b->n);
	buf[b->n] = '\0';
	return 0;
}

/* The reader */

struct btrfs_reader *btrfs_reader_new(struct stream *in, uint64_t offset)
{
	struct btrfs_reader *r = xnew(struct btrfs_reader);

	r->in = in;
	r->offset = offset;
	return r;
}

void btrfs_reader_free(struct btrfs_reader *r)
{
	free(r);
}

void btrfs_reader_freep(struct btrfs_reader **r)
{
	btrfs_reader_free(*r);
}

uint32_t btrfs_reader_version(const struct btrfs_reader *r)
{
	return r->version;
}

void btrfs_reader_set_version(struct btrfs_reader *r, uint32_t version)
{
	r->version = version;
}

uint64_t btrfs_reader_offset(const struct btrfs_reader *r)
{
	return r->offset;
}

struct btrfs_bytes btrfs_reader_bytes(const struct btrfs_reader *r)
{
	return (struct btrfs_bytes){r->buf + r->begin - r->last, r->last};
}

/* Makes n bytes from begin on available; 0 if there was not even one. */
static int fill(struct btrfs_reader *r, size_t n, struct err *err)
{
	if (r->begin + n > BUFFER) {
		memmove(r->buf, r->buf + r->begin, r->end - r->begin);
		r->end -= r->begin;
		r->begin = 0;
	}
	while (r->end - r->begin < n) {
		ssize_t k = stream_read(r->in, r->buf + r->end, BUFFER - r->end, err);

		if (k < 0)
			return (int)k;
		if (k == 0 && r->begin == r->end)
			return 0;
		if (k == 0)
			return err_set(err, ERR_PROTOCOL,
				"btrfs stream: it ended too early, after %llu bytes",
				(unsigned long long)r->offset);
		r->end += (size_t)k;
	}
	return 1;
}

static void use(struct btrfs_reader *r, size_t n)
{
	r->last = n;
	r->begin += n;
	r->offset += n;
}

int btrfs_reader_header(struct btrfs_reader *r, struct err *err)
{
	int ret = fill(r, HEADER, err);

	if (ret < 0)
		return ret;
	if (ret == 0 || memcmp(r->buf + r->begin, MAGIC, sizeof(MAGIC)) != 0)
		return err_set(err, ERR_PROTOCOL, "this is not a btrfs stream");
	r->version = get32(r->buf + r->begin + sizeof(MAGIC));
	if (r->version != 1 && r->version != 2)
		return err_set(err, ERR_UNSUPPORTED,
			"btrfs stream: version %u is not known here, only 1 and 2", r->version);
	use(r, HEADER);
	return 0;
}

static int malformed(const struct btrfs_reader *r, const char *what, struct err *err)
{
	return err_set(err, ERR_PROTOCOL, "btrfs stream: %s in the command at byte %llu", what,
		(unsigned long long)r->offset);
}

static int check_crc(
	const struct btrfs_reader *r, const uint8_t *command, size_t n, struct err *err)
{
	static const uint8_t zero[4];
	uint32_t crc = crc32c(0, command, CRC_AT);

	crc = crc32c(crc, zero, sizeof(zero));
	crc = crc32c(crc, command + COMMAND_HEADER, n - COMMAND_HEADER);
	if (crc == get32(command + CRC_AT))
		return 0;
	return malformed(r, "a wrong checksum", err);
}

/* Data of version 2 have no length of their own. */
static int parse_attr(const struct btrfs_reader *r, const uint8_t **p, const uint8_t *end,
	struct btrfs_command *ret, struct err *err)
{
	unsigned type, head = ATTR_HEADER;
	size_t n;

	if ((size_t)(end - *p) < 2)
		return malformed(r, "half an attribute", err);
	type = get16(*p);
	if (type == 0 || type >= BTRFS_A_MAX)
		return malformed(r, "an unknown attribute", err);
	if (ret->attr[type].p)
		return malformed(r, "an attribute twice", err);
	if (r->version >= 2 && type == BTRFS_A_DATA) {
		head = 2;
		n = (size_t)(end - *p) - head;
	} else {
		if ((size_t)(end - *p) < head)
			return malformed(r, "half an attribute", err);
		n = get16(*p + 2);
		if (n > (size_t)(end - *p) - head)
			return malformed(r, "an attribute that is too long", err);
	}
	ret->attr[type] = (struct btrfs_bytes){*p + head, n};
	*p += head + n;
	return 0;
}

static int parse(const struct btrfs_reader *r, const uint8_t *command, size_t n,
	struct btrfs_command *ret, struct err *err)
{
	const uint8_t *p = command + COMMAND_HEADER, *end = command + n;
	int k = 0;

	*ret = (struct btrfs_command){.number = get16(command + 4)};
	if (ret->number == 0 || ret->number >= BTRFS_NUMBER_MAX)
		return malformed(r, "an unknown number", err);
	while (k >= 0 && p < end)
		k = parse_attr(r, &p, end, ret, err);
	return k;
}

int btrfs_reader_next(struct btrfs_reader *r, struct btrfs_command *ret, struct err *err)
{
	const uint8_t *command;
	uint32_t body;
	size_t n;
	int k;

	k = fill(r, COMMAND_HEADER, err);
	if (k <= 0)
		return k;
	body = get32(r->buf + r->begin);
	if (body > BTRFS_COMMAND_MAX - COMMAND_HEADER)
		return malformed(r, "too many bytes", err);
	n = COMMAND_HEADER + body;
	k = fill(r, n, err);
	if (k < 0)
		return k;
	command = r->buf + r->begin;
	k = check_crc(r, command, n, err);
	if (k >= 0)
		k = parse(r, command, n, ret, err);
	if (k < 0)
		return k;
	use(r, n);
	return 1;
}

int btrfs_reader_end(struct btrfs_reader *r, struct err *err)
{
	uint8_t byte;
	ssize_t k = r->begin < r->end ? 1 : stream_read(r->in, &byte, 1, err);

	if (k < 0)
		return (int)k;
	return k ? err_set(err, ERR_PROTOCOL, "btrfs stream: something follows its end") : 0;
}

/* The writer */

void btrfs_put_header(struct str *s, uint32_t version)
{
	uint32_t le = htole32(version);

	str_addn(s, MAGIC, sizeof(MAGIC));
	str_addn(s, &le, sizeof(le));
}

size_t btrfs_put_command(struct str *s, enum btrfs_number number)
{
	size_t at = s->len;
	uint8_t head[COMMAND_HEADER] = {0};

	head[4] = (uint8_t)number;
	str_addn(s, head, sizeof(head));
	return at;
}

void btrfs_put_attr(struct str *s, enum btrfs_attr a, const void *p, size_t n)
{
	uint8_t head[ATTR_HEADER] = {(uint8_t)a, 0, (uint8_t)n, (uint8_t)(n >> 8)};

	str_addn(s, head, sizeof(head));
	str_addn(s, p, n);
}

void btrfs_put_u64(struct str *s, enum btrfs_attr a, uint64_t value)
{
	uint64_t le = htole64(value);

	btrfs_put_attr(s, a, &le, sizeof(le));
}

void btrfs_put_done(struct str *s, size_t command)
{
	uint8_t *p = (uint8_t *)s->buf + command;
	uint32_t body = htole32((uint32_t)(s->len - command - COMMAND_HEADER));
	uint32_t crc;

	memcpy(p, &body, sizeof(body));
	crc = htole32(crc32c(0, p, s->len - command));
	memcpy(p + CRC_AT, &crc, sizeof(crc));
}
