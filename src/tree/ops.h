/*
 * The wire form of a tree pass: operations, each a type (u8, three zero bytes) and a length (u32),
 * with attributes, each a tag (the top byte) and a length (the other three) in a u32. All is
 * little-endian; strings end with a NUL that counts. Two tables (ops.c) say which operation carries
 * which attributes and how long each may be; nothing is allocated for what a peer says. Most
 * operations say what is to be, not what to do to what is, so that they can be sent again.
 *
 *	BEGIN		version, session, root
 *	MOVES		a batch by its number: applied once, whatever happens between
 *	OUT		a name that goes out of the way, by a number
 *	MAKE IN		a folder that must be; where a number goes
 *	MOVED		the batch ends
 *	DIR		go up so many folders, then down these names;
 *			exact: what is not mentioned until DONE goes
 *	XATTRS		extended attributes for the next entry, when they are many
 *	MKDIR FILE	name is that, whatever was there
 *	NODE LINK
 *	DATA HOLE	content of the FILE before; CLOSE ends it
 *	META		another inode's attributes, same content
 *	KEEP DROP	name stays; name goes
 *	DONE		the folder's own metadata
 *	END
 *
 * Building:	op_begin(&b, OP_FILE); op_str(&b, ATTR_NAME, name); ...; op_end(&b);
 * Reading:	r = op_decode(buf, n, &op, &err);	// its length, 0: more bytes are needed
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/err.h"
#include "tree/xattr.h"

#define OPS_VERSION 1u
#define OP_HEAD	    8u
#define OP_DATA_MAX (512u << 10) /* bytes of content in one operation */
#define OP_XATTRS_MAX                                                                              \
	(512u << 10) /* bytes of extended attributes in one operation; more go ahead in XATTRS */
#define OP_MAX		(2u << 20) /* any operation */
#define OP_PATH_MAX	(1u << 20) /* a path inside the tree: longer than PATH_MAX is ordinary */
#define OP_NAMES_MAX	512	   /* names in one DIR; deeper goes in several */
#define OP_XATTRS_COUNT 1024

enum op_type {
	OP_BEGIN = 1,
	OP_MOVES,
	OP_OUT,
	OP_MAKE,
	OP_IN,
	OP_MOVED,
	OP_DIR,
	OP_XATTRS,
	OP_MKDIR,
	OP_FILE,
	OP_NODE,
	OP_LINK,
	OP_DATA,
	OP_HOLE,
	OP_CLOSE,
	OP_META,
	OP_KEEP,
	OP_DROP,
	OP_DONE,
	OP_END,
	OP_TYPE_MAX
};

enum op_attr {
	ATTR_VERSION = 1,
	ATTR_SESSION,
	ATTR_ID,    /* the source's name for an inode */
	ATTR_FLAGS, /* OP_F_* */
	ATTR_NAME,
	ATTR_PATH, /* from the root; "" is the root itself */
	ATTR_UP,
	ATTR_MODE, /* with the type's bits */
	ATTR_UID,
	ATTR_GID,
	ATTR_ATIME,
	ATTR_MTIME,
	ATTR_CHATTR, /* FS_*_FL */
	ATTR_PROJECT,
	ATTR_XATTR, /* name, NUL, value */
	ATTR_RDEV,  /* major << 32 | minor */
	ATTR_TARGET,
	ATTR_SIZE,
	ATTR_OFFSET,
	ATTR_LENGTH,
	ATTR_DATA,
	ATTR_DIGEST,
	ATTR_MAX
};

#define OP_F_FINAL 1u /* BEGIN: nothing may change any more after this pass */
#define OP_F_EXACT 2u /* DIR: see above */
#define OP_F_PATCH                                                                                 \
	4u /* FILE: the file is there, its content is changed in place; without it, it starts      \
	      empty */
#define OP_F_WHOLE 8u  /* FILE: all content is in this operation, no CLOSE follows */
#define OP_F_EMPTY 16u /* FILE: the file that is there loses its content first */
#define OP_F_DROPS 32u /* MOVES: what goes out is gone, nothing comes in */
#define OP_F_FRESH 64u /* BEGIN: the source knows nothing of what is here */
#define OP_F_ALL   127u

struct op {
	enum op_type type;
	uint64_t have; /* bit (1 << attr) for each attribute there */
	uint64_t session, id, rdev, size, offset, length;
	uint32_t version, flags, up, mode, uid, gid, chattr, project;
	struct timespec atime, mtime;
	/* These point into the buffer given to op_decode. */
	const char *name, *path, *target;
	const void *data;
	size_t data_len;
	const void *digest;		 /* 16 bytes */
	const char *names[OP_NAMES_MAX]; /* of DIR */
	size_t n_names;
	struct xattr xattrs[OP_XATTRS_COUNT];
	size_t n_xattrs;
};

#define op_has(op, attr) (((op)->have >> (attr)) & 1)

/* The length of the operation at buf, 0 if n bytes do not hold it all yet, -ERR_PROTOCOL. */
int op_decode(const void *buf, size_t n, struct op *ret, struct err *err) _must_use_;
const char *op_name(enum op_type type);

struct opbuf {
	unsigned char *buf;
	size_t len, cap;
	size_t op, attr; /* where the operation and the open attribute being built begin */
};
void opbuf_done(struct opbuf *b);
void op_begin(struct opbuf *b, enum op_type type);
void op_u32(struct opbuf *b, enum op_attr a, uint32_t v);
void op_u64(struct opbuf *b, enum op_attr a, uint64_t v);
void op_time(struct opbuf *b, enum op_attr a, struct timespec t);
void op_str(struct opbuf *b, enum op_attr a, const char *s);
void op_bytes(struct opbuf *b, enum op_attr a, const void *p, size_t n);
void op_xattr(struct opbuf *b, const struct xattr *x);
/* Room for an attribute of up to n bytes, to be read into; then its true length. */
void *op_room(struct opbuf *b, enum op_attr a, size_t n);
void op_filled(struct opbuf *b, size_t n);
void op_end(struct opbuf *b);
