#include "tree/ops.h"

#include <endian.h>
#include <limits.h>
#include <string.h>

#include "base/alloc.h"

enum kind {
	KIND_NONE,
	KIND_U32,
	KIND_U64,
	KIND_TIME,
	KIND_NAME,
	KIND_PATH,
	KIND_XATTR,
	KIND_TARGET,
	KIND_DATA,
	KIND_DIGEST
};

struct attr_def {
	enum kind kind;
	uint32_t min, max; /* bytes */
	size_t at;	   /* where a number goes in struct op */
};

#define U32(member)                                                                                \
	{                                                                                          \
		KIND_U32, 4, 4, offsetof(struct op, member)                                        \
	}
#define U64(member)                                                                                \
	{                                                                                          \
		KIND_U64, 8, 8, offsetof(struct op, member)                                        \
	}

static const struct attr_def attrs[ATTR_MAX] = {
	[ATTR_VERSION] = U32(version),
	[ATTR_SESSION] = U64(session),
	[ATTR_ID] = U64(id),
	[ATTR_FLAGS] = U32(flags),
	[ATTR_NAME] = {KIND_NAME, 2, NAME_MAX + 1, 0},
	[ATTR_PATH] = {KIND_PATH, 1, OP_PATH_MAX, offsetof(struct op, path)},
	[ATTR_UP] = U32(up),
	[ATTR_MODE] = U32(mode),
	[ATTR_UID] = U32(uid),
	[ATTR_GID] = U32(gid),
	[ATTR_ATIME] = {KIND_TIME, 12, 12, offsetof(struct op, atime)},
	[ATTR_MTIME] = {KIND_TIME, 12, 12, offsetof(struct op, mtime)},
	[ATTR_CHATTR] = U32(chattr),
	[ATTR_PROJECT] = U32(project),
	[ATTR_XATTR] = {KIND_XATTR, 2, XATTR_NAME_MAX + 1 + XATTR_SIZE_MAX, 0},
	[ATTR_RDEV] = U64(rdev),
	[ATTR_TARGET] = {KIND_TARGET, 2, PATH_MAX, 0},
	[ATTR_SIZE] = U64(size),
	[ATTR_OFFSET] = U64(offset),
	[ATTR_LENGTH] = U64(length),
	[ATTR_DATA] = {KIND_DATA, 0, OP_DATA_MAX, 0},
	[ATTR_DIGEST] = {KIND_DIGEST, 16, 16, 0},
};

#define A(a)	  (UINT64_C(1) << ATTR_##a)
#define META_MUST (A(ID) | A(MODE) | A(UID) | A(GID) | A(ATIME) | A(MTIME))
#define META_MAY  (META_MUST | A(CHATTR) | A(PROJECT) | A(XATTR))

static const struct {
	const char *name;
	uint64_t must, may;
} ops[OP_TYPE_MAX] = {
	[OP_BEGIN] = {"begin", A(VERSION) | A(SESSION) | A(ID), A(FLAGS)},
	[OP_MOVES] = {"moves", A(SESSION), A(FLAGS)},
	[OP_OUT] = {"out", A(OFFSET) | A(PATH), 0},
	[OP_MAKE] = {"make", A(OFFSET) | A(PATH), 0},
	[OP_IN] = {"in", A(OFFSET) | A(PATH), 0},
	[OP_MOVED] = {"moved", 0, 0},
	[OP_DIR] = {"dir", A(ID) | A(UP), A(NAME) | A(FLAGS)},
	[OP_XATTRS] = {"xattrs", A(XATTR), 0},
	[OP_MKDIR] = {"mkdir", A(NAME) | A(ID), A(CHATTR)},
	[OP_FILE] = {"file", META_MUST | A(NAME) | A(SIZE) | A(FLAGS),
		META_MAY | A(OFFSET) | A(DATA)},
	[OP_NODE] = {"node", META_MUST | A(NAME), META_MAY | A(RDEV) | A(TARGET)},
	[OP_LINK] = {"link", A(NAME) | A(ID) | A(PATH), 0},
	[OP_DATA] = {"data", A(OFFSET) | A(DATA), 0},
	[OP_HOLE] = {"hole", A(OFFSET) | A(LENGTH), 0},
	[OP_CLOSE] = {"close", 0, 0},
	[OP_META] = {"meta", META_MUST | A(NAME), META_MAY},
	[OP_KEEP] = {"keep", A(NAME), 0},
	[OP_DROP] = {"drop", A(NAME), 0},
	[OP_DONE] = {"done", META_MUST, META_MAY},
	[OP_END] = {"end", 0, A(DIGEST)},
};

const char *op_name(enum op_type type)
{
	return type < OP_TYPE_MAX && ops[type].name ? ops[type].name : "?";
}

static uint32_t get32(const unsigned char *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return le32toh(v);
}

static uint64_t get64(const unsigned char *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return le64toh(v);
}

static bool string_ok(const unsigned char *p, size_t n)
{
	return memchr(p, '\0', n) == p + n - 1;
}

static bool name_ok(const char *s)
{
	return *s && !strchr(s, '/') && strcmp(s, ".") != 0 && strcmp(s, "..") != 0;
}

/* "" or names joined by single slashes. */
static bool path_ok(const char *s)
{
	for (;;) {
		size_t n = strcspn(s, "/");

		if (n == 0 || n > NAME_MAX || (s[0] == '.' && (n == 1 || (n == 2 && s[1] == '.'))))
			return false;
		if (!s[n])
			return true;
		s += n + 1;
	}
}

static bool get_name(const unsigned char *p, size_t n, struct op *op)
{
	const char *s = (const char *)p;

	if (!string_ok(p, n) || !name_ok(s))
		return false;
	op->name = s;
	if (op->type == OP_DIR) {
		if (op->n_names == OP_NAMES_MAX)
			return false;
		op->names[op->n_names++] = s;
	}
	return true;
}

static bool get_xattr(const unsigned char *p, size_t n, struct op *op)
{
	const unsigned char *nul = memchr(p, '\0', n);
	size_t len;

	if (!nul || nul == p || op->n_xattrs == OP_XATTRS_COUNT)
		return false;
	len = n - (size_t)(nul + 1 - p);
	if (nul - p > XATTR_NAME_MAX || len > XATTR_SIZE_MAX)
		return false;
	op->xattrs[op->n_xattrs++] = (struct xattr){(const char *)p, nul + 1, len};
	return true;
}

static bool get_time(const unsigned char *p, struct timespec *ret)
{
	uint32_t nsec = get32(p + 8);

	ret->tv_sec = (time_t)get64(p);
	ret->tv_nsec = nsec;
	return nsec < 1000000000;
}

static bool get_path(const unsigned char *p, size_t n, const char **ret)
{
	*ret = (const char *)p;
	return string_ok(p, n) && (n == 1 || path_ok(*ret));
}

static bool get_attr(enum op_attr a, const unsigned char *p, size_t n, struct op *op)
{
	void *at = (char *)op + attrs[a].at;

	switch (attrs[a].kind) {
	case KIND_U32: *(uint32_t *)at = get32(p); return true;
	case KIND_U64: *(uint64_t *)at = get64(p); return true;
	case KIND_TIME: return get_time(p, at);
	case KIND_NAME: return get_name(p, n, op);
	case KIND_PATH: return get_path(p, n, at);
	case KIND_XATTR: return get_xattr(p, n, op);
	case KIND_TARGET: op->target = (const char *)p; return string_ok(p, n);
	case KIND_DATA:
		op->data = p;
		op->data_len = n;
		return true;
	case KIND_DIGEST: op->digest = p; return true;
	case KIND_NONE: break;
	}
	return false;
}

static void op_clear(struct op *op, enum op_type type)
{
	memset(op, 0, offsetof(struct op, names)); /* the arrays have their counts */
	op->n_names = op->n_xattrs = 0;
	op->type = type;
}

static int decode_attrs(const unsigned char *p, size_t n, struct op *op, struct err *err)
{
	bool repeats;

	while (n) {
		uint32_t head = n >= 4 ? get32(p) : 0, a = head >> 24, len = head & 0xffffff;

		if (a == 0 || a >= ATTR_MAX ||
			!((ops[op->type].may | ops[op->type].must) >> a & 1) || len > n - 4)
			return err_set(err, ERR_PROTOCOL,
				"operation %s: attribute %u does not belong there",
				op_name(op->type), a);
		repeats = a == ATTR_XATTR || (a == ATTR_NAME && op->type == OP_DIR);
		if (len < attrs[a].min || len > attrs[a].max || (op_has(op, a) && !repeats) ||
			!get_attr(a, p + 4, len, op))
			return err_set(err, ERR_PROTOCOL,
				"operation %s: attribute %u is not well formed", op_name(op->type),
				a);
		op->have |= UINT64_C(1) << a;
		p += 4 + len;
		n -= 4 + len;
	}
	if ((op->have & ops[op->type].must) != ops[op->type].must)
		return err_set(err, ERR_PROTOCOL, "operation %s: attributes are missing",
			op_name(op->type));
	if (op->flags & ~OP_F_ALL)
		return err_set(err, ERR_PROTOCOL, "operation %s: unknown flags", op_name(op->type));
	return 0;
}

int op_decode(const void *buf, size_t n, struct op *ret, struct err *err)
{
	const unsigned char *p = buf;
	uint32_t type, len;
	int r;

	if (n < OP_HEAD)
		return 0;
	type = get32(p); /* the bytes after the type are zero */
	len = get32(p + 4);
	if (type == 0 || type >= OP_TYPE_MAX)
		return err_set(err, ERR_PROTOCOL, "unknown operation %u", type);
	if (len > OP_MAX - OP_HEAD)
		return err_set(err, ERR_PROTOCOL, "operation %s of %u bytes", op_name(type), len);
	if (n - OP_HEAD < len)
		return 0;
	op_clear(ret, type);
	r = decode_attrs(p + OP_HEAD, len, ret, err);
	return r < 0 ? r : (int)(OP_HEAD + len);
}

/* Building */

static unsigned char *grow(struct opbuf *b, size_t n)
{
	if (b->cap - b->len < n) {
		b->cap = MAX(b->cap * 2, b->len + n + 4096);
		b->buf = xreallocarray(b->buf, b->cap, 1);
	}
	b->len += n;
	return b->buf + b->len - n;
}

void opbuf_done(struct opbuf *b)
{
	free(b->buf);
	*b = (struct opbuf){0};
}

static void put32(unsigned char *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, 4);
}

static void put64(unsigned char *p, uint64_t v)
{
	v = htole64(v);
	memcpy(p, &v, 8);
}

static unsigned char *put_attr(struct opbuf *b, enum op_attr a, size_t n)
{
	unsigned char *p = grow(b, 4 + n);

	put32(p, (uint32_t)a << 24 | (uint32_t)n);
	return p + 4;
}

void op_begin(struct opbuf *b, enum op_type type)
{
	b->op = b->len;
	put32(grow(b, OP_HEAD), type);
}

void op_end(struct opbuf *b)
{
	put32(b->buf + b->op + 4, (uint32_t)(b->len - b->op - OP_HEAD));
}

void op_u32(struct opbuf *b, enum op_attr a, uint32_t v)
{
	put32(put_attr(b, a, 4), v);
}

void op_u64(struct opbuf *b, enum op_attr a, uint64_t v)
{
	put64(put_attr(b, a, 8), v);
}

void op_time(struct opbuf *b, enum op_attr a, struct timespec t)
{
	unsigned char *p = put_attr(b, a, 12);

	put64(p, (uint64_t)t.tv_sec);
	put32(p + 8, (uint32_t)t.tv_nsec);
}

void op_bytes(struct opbuf *b, enum op_attr a, const void *p, size_t n)
{
	unsigned char *at = put_attr(b, a, n);

	if (n)
		memcpy(at, p, n);
}

void op_str(struct opbuf *b, enum op_attr a, const char *s)
{
	op_bytes(b, a, s, strlen(s) + 1);
}

void op_xattr(struct opbuf *b, const struct xattr *x)
{
	size_t n = strlen(x->name) + 1;
	unsigned char *p = put_attr(b, ATTR_XATTR, n + x->len);

	memcpy(p, x->name, n);
	if (x->len)
		memcpy(p + n, x->value, x->len);
}

void *op_room(struct opbuf *b, enum op_attr a, size_t n)
{
	unsigned char *p = put_attr(b, a, n);

	b->attr = (size_t)(p - b->buf);
	return p;
}

void op_filled(struct opbuf *b, size_t n)
{
	uint32_t a = get32(b->buf + b->attr - 4) >> 24;

	put32(b->buf + b->attr - 4, a << 24 | (uint32_t)n);
	b->len = b->attr + n;
}
