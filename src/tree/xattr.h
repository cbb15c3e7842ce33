/*
 * Extended attributes of one inode, as raw blobs, sorted by name. The ids inside ACLs and file
 * capabilities are those of the container while they travel: xattr_read maps them from the disk,
 * xattr_write to it. A capability bound to the container's own root travels as version 2, which is
 * what a container without an id map has.
 */
#pragma once

#include <linux/limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "model/idmap.h"

#define XATTR_TOTAL_MAX (64u << 20) /* of one inode */

struct xattr {
	const char *name;
	const void *value;
	size_t len;
};

struct xattr_list {
	struct xattr *v;
	size_t n, cap;
	unsigned char *buf; /* holds names and values */
	size_t len, size;
};
void xattr_list_done(struct xattr_list *l);
void xattr_list_clear(struct xattr_list *l);
/* Copies name and value in; -ERR_PROTOCOL over XATTR_TOTAL_MAX. */
int xattr_list_add(struct xattr_list *l, const char *name, const void *value, size_t len,
	struct err *err) _must_use_;
void xattr_list_seal(struct xattr_list *l); /* after the last add: sorts, and makes v valid */

/* fd may be an O_PATH descriptor (then opath). map NULL: nothing is mapped. One that vanishes
 * meanwhile is left out. -ERR_UNSUPPORTED: an id that the map does not have. */
int xattr_read(int fd, bool opath, const struct idmap *map, struct xattr_list *ret,
	struct err *err) _must_use_;
/* Makes those of fd equal to want. What the file system cannot hold is told to refused, the rest
 * goes on. */
int xattr_write(int fd, bool opath, const struct idmap *map, const struct xattr_list *want,
	bool may_have_others, void (*refused)(void *ctx, const char *name, int errnum), void *ctx,
	struct err *err) _must_use_;
