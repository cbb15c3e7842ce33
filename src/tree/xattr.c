#include "tree/xattr.h"

#include <endian.h>
#include <errno.h>
#include <linux/capability.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>

#include "base/alloc.h"
#include "base/str.h"

#define ACL_ACCESS     "system.posix_acl_access"
#define ACL_DEFAULT    "system.posix_acl_default"
#define CAPABILITY     "security.capability"
#define NAMES_FEW      256	  /* bytes of names that most files do not exceed */
#define ROOTID_FOREIGN UINT32_MAX /* a version 2 capability in a container whose root is not 0 */

void xattr_list_done(struct xattr_list *l)
{
	free(l->v);
	free(l->buf);
	*l = (struct xattr_list){0};
}

void xattr_list_clear(struct xattr_list *l)
{
	l->n = l->len = 0;
}

/* While it is filled, name and value are offsets into buf, which may move. */
int xattr_list_add(
	struct xattr_list *l, const char *name, const void *value, size_t len, struct err *err)
{
	size_t n = strlen(name) + 1;

	if (l->len + n + len > XATTR_TOTAL_MAX)
		return err_set(err, ERR_PROTOCOL, "more than %u MiB of extended attributes",
			XATTR_TOTAL_MAX >> 20);
	if (l->size - l->len < n + len) {
		l->size = MAX(l->size * 2, l->len + n + len);
		l->buf = xreallocarray(l->buf, l->size, 1);
	}
	if (l->n == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 16;
		l->v = xreallocarray(l->v, l->cap, sizeof(*l->v));
	}
	memcpy(l->buf + l->len, name, n);
	if (len)
		memcpy(l->buf + l->len + n, value, len);
	l->v[l->n++] = (struct xattr){
		(const char *)(uintptr_t)l->len, (const void *)(uintptr_t)(l->len + n), len};
	l->len += n + len;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct xattr *)a)->name, ((const struct xattr *)b)->name);
}

void xattr_list_seal(struct xattr_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		l->v[i].name = (const char *)l->buf + (uintptr_t)l->v[i].name;
		l->v[i].value = l->buf + (uintptr_t)l->v[i].value;
	}
	if (l->n > 1)
		qsort(l->v, l->n, sizeof(*l->v), by_name);
}

/* Reaching an inode: plain descriptors directly, O_PATH ones through the magic link, which leads to
 * the very inode. */

struct target {
	int fd;
	bool opath;
	char proc[40];
};

static struct target target_of(int fd, bool opath)
{
	struct target t = {.fd = fd, .opath = opath};

	if (opath)
		snprintf(t.proc, sizeof(t.proc), "/proc/self/fd/%d", fd);
	return t;
}

static ssize_t target_list(const struct target *t, char *buf, size_t n)
{
	return t->opath ? listxattr(t->proc, buf, n) : flistxattr(t->fd, buf, n);
}

static ssize_t target_get(const struct target *t, const char *name, void *buf, size_t n)
{
	return t->opath ? getxattr(t->proc, name, buf, n) : fgetxattr(t->fd, name, buf, n);
}

static int target_set(const struct target *t, const char *name, const void *buf, size_t n)
{
	return t->opath ? setxattr(t->proc, name, buf, n, 0) : fsetxattr(t->fd, name, buf, n, 0);
}

static int target_remove(const struct target *t, const char *name)
{
	return t->opath ? removexattr(t->proc, name) : fremovexattr(t->fd, name);
}

/* Ids inside */

typedef int id_fn(const struct idmap *m, bool gid, uint32_t id, uint32_t *ret);

static bool is_acl(const char *name)
{
	return str_eq(name, ACL_ACCESS) || str_eq(name, ACL_DEFAULT);
}

static int shift_acl(const struct idmap *map, id_fn *fn, void *value, size_t len, uint32_t *ret_bad)
{
	struct posix_acl_xattr_entry *e = (void *)((char *)value +
						   sizeof(struct posix_acl_xattr_header));
	size_t n;

	if (len < sizeof(struct posix_acl_xattr_header))
		return 0; /* not an ACL: the kernel of the other side will say so */
	n = (len - sizeof(struct posix_acl_xattr_header)) / sizeof(*e);
	for (size_t i = 0; i < n; i++) {
		uint16_t tag = le16toh(e[i].e_tag);
		uint32_t id = le32toh(e[i].e_id), to;

		if (tag != ACL_USER && tag != ACL_GROUP)
			continue;
		*ret_bad = id;
		if (fn(map, tag == ACL_GROUP, id, &to) < 0)
			return -1;
		e[i].e_id = htole32(to);
	}
	return 0;
}

static uint32_t cap_revision(const void *value, size_t len)
{
	uint32_t magic;

	if (len < sizeof(magic))
		return 0;
	memcpy(&magic, value, sizeof(magic));
	return le32toh(magic) & VFS_CAP_REVISION_MASK;
}

static void cap_set_revision(void *value, uint32_t revision)
{
	uint32_t magic;

	memcpy(&magic, value, sizeof(magic));
	magic = htole32((le32toh(magic) & ~VFS_CAP_REVISION_MASK) | revision);
	memcpy(value, &magic, sizeof(magic));
}

/* value has room for version 3. */
static int cap_from_disk(
	const struct idmap *map, unsigned char *value, size_t *len, uint32_t *ret_bad)
{
	uint32_t revision = cap_revision(value, *len), rootid = 0;

	if (revision == VFS_CAP_REVISION_3 && *len == XATTR_CAPS_SZ_3) {
		memcpy(&rootid, value + XATTR_CAPS_SZ_2, 4);
		rootid = *ret_bad = le32toh(rootid);
		if (idmap_from_disk(map, false, rootid, &rootid) < 0)
			return -1;
	} else if (revision != VFS_CAP_REVISION_2 || *len != XATTR_CAPS_SZ_2) {
		return 0;
	} else if (idmap_from_disk(map, false, 0, &rootid) < 0) {
		rootid = ROOTID_FOREIGN;
	}
	cap_set_revision(value, rootid ? VFS_CAP_REVISION_3 : VFS_CAP_REVISION_2);
	*len = rootid ? XATTR_CAPS_SZ_3 : XATTR_CAPS_SZ_2;
	rootid = htole32(rootid);
	if (*len == XATTR_CAPS_SZ_3)
		memcpy(value + XATTR_CAPS_SZ_2, &rootid, 4);
	return 0;
}

/* -1: no place in the map; -2: would gain force here, as this container's root is the host's. */
static int cap_to_disk(
	const struct idmap *map, unsigned char *value, size_t *len, uint32_t *ret_bad)
{
	uint32_t revision = cap_revision(value, *len), rootid = 0, root = 0;

	if (revision == VFS_CAP_REVISION_3 && *len == XATTR_CAPS_SZ_3) {
		memcpy(&rootid, value + XATTR_CAPS_SZ_2, 4);
		rootid = le32toh(rootid);
	} else if (revision != VFS_CAP_REVISION_2 || *len != XATTR_CAPS_SZ_2) {
		return 0;
	}
	*ret_bad = rootid;
	if (rootid == ROOTID_FOREIGN) {
		if (idmap_to_disk(map, false, 0, &root) == 0 && root == 0)
			return -2;
		rootid = 0;
	} else if (idmap_to_disk(map, false, rootid, &rootid) < 0) {
		return -1;
	}
	cap_set_revision(value, rootid ? VFS_CAP_REVISION_3 : VFS_CAP_REVISION_2);
	*len = rootid ? XATTR_CAPS_SZ_3 : XATTR_CAPS_SZ_2;
	rootid = htole32(rootid);
	if (*len == XATTR_CAPS_SZ_3)
		memcpy(value + XATTR_CAPS_SZ_2, &rootid, 4);
	return 0;
}

static int read_one(const struct target *t, const char *name, const struct idmap *map,
	struct xattr_list *ret, struct err *err)
{
	static _Thread_local unsigned char value[XATTR_SIZE_MAX];
	ssize_t n = target_get(t, name, value, sizeof(value));
	size_t len = (size_t)n;
	uint32_t bad = 0;
	int r = 0;

	if (n < 0)
		return errno == ENODATA ? 0 : err_errno(err, "read attribute %s", name);
	if (map && is_acl(name))
		r = shift_acl(map, idmap_from_disk, value, len, &bad);
	else if (map && str_eq(name, CAPABILITY))
		r = cap_from_disk(map, value, &len, &bad);
	if (r < 0)
		return err_set(err, ERR_UNSUPPORTED,
			"id %u in %s is outside the container's id map", bad, name);
	return xattr_list_add(ret, name, value, len, err);
}

/* How xfs shows the ACLs that it keeps: they travel under their right names. */
static bool is_shadow(const char *name)
{
	return str_eq(name, "trusted.SGI_ACL_FILE") || str_eq(name, "trusted.SGI_ACL_DEFAULT");
}

/* The kernel clears as much memory as it is offered room, and most files have no attributes. */
static ssize_t list_names(const struct target *t, char names[XATTR_LIST_MAX])
{
	ssize_t n = target_list(t, names, NAMES_FEW);

	return n < 0 && errno == ERANGE ? target_list(t, names, XATTR_LIST_MAX) : n;
}

int xattr_read(int fd, bool opath, const struct idmap *map, struct xattr_list *ret, struct err *err)
{
	static _Thread_local char names[XATTR_LIST_MAX];
	struct target t = target_of(fd, opath);
	ssize_t n = list_names(&t, names);

	xattr_list_clear(ret);
	if (n < 0 && errno != EOPNOTSUPP)
		return err_errno(err, "list extended attributes");
	for (const char *p = names; n > 0 && p < names + n; p += strlen(p) + 1) {
		int r = is_shadow(p) ? 0 : read_one(&t, p, map, ret, err);

		if (r < 0)
			return r;
	}
	xattr_list_seal(ret);
	return 0;
}

/* Writing */

static const struct xattr *find(const struct xattr_list *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (str_eq(l->v[i].name, name))
			return &l->v[i];
	return NULL;
}

/* The labels of a security module come by themselves with a new file; they are no part of the
 * container. */
static bool is_label(const char *name)
{
	return str_eq(name, "security.selinux") || str_eq(name, "security.SMACK64");
}

static void remove_others(const struct target *t, const struct xattr_list *have,
	const struct xattr_list *want, void (*refused)(void *ctx, const char *name, int errnum),
	void *ctx)
{
	for (size_t i = 0; i < have->n; i++) {
		const char *name = have->v[i].name;

		if (!find(want, name) && !is_label(name) && target_remove(t, name) < 0 &&
			errno != ENODATA)
			refused(ctx, name, errno);
	}
}

static int write_one(const struct target *t, const struct idmap *map, const struct xattr *x,
	const struct xattr *have, struct err *err)
{
	static _Thread_local unsigned char value[XATTR_SIZE_MAX];
	size_t len = x->len;
	uint32_t bad = 0;
	int r = 0;

	if (len)
		memcpy(value, x->value, len);
	if (map && is_acl(x->name))
		r = shift_acl(map, idmap_to_disk, value, len, &bad);
	else if (map && str_eq(x->name, CAPABILITY))
		r = cap_to_disk(map, value, &len, &bad);
	if (r == -2)
		return EPERM;
	if (r < 0)
		return err_set(err, ERR_UNSUPPORTED,
			"id %u in %s is outside the container's id map", bad, x->name);
	if (have && have->len == len && memcmp(have->value, value, len) == 0)
		return 0;
	return target_set(t, x->name, value, len) < 0 ? errno : 0;
}

/* ENOSPC is also what a file system says that has no more room in the inode. */
static bool is_fatal(int fd, int errnum)
{
	struct statvfs v;

	if (errnum == ENOSPC)
		return fstatvfs(fd, &v) < 0 || v.f_bavail == 0 || v.f_favail == 0;
	return errnum == EIO || errnum == EDQUOT || errnum == EROFS || errnum == ENOMEM;
}

int xattr_write(int fd, bool opath, const struct idmap *map, const struct xattr_list *want,
	bool may_have_others, void (*refused)(void *ctx, const char *name, int errnum), void *ctx,
	struct err *err)
{
	struct target t = target_of(fd, opath);
	_cleanup_(xattr_list_done) struct xattr_list have = {0};

	if (may_have_others) {
		int r = xattr_read(fd, opath, NULL, &have, err);

		if (r < 0)
			return r;
		remove_others(&t, &have, want, refused, ctx);
	}
	for (size_t i = 0; i < want->n; i++) {
		const char *name = want->v[i].name;
		int r = write_one(&t, map, &want->v[i], find(&have, name), err);

		if (r < 0)
			return r;
		if (r > 0 && is_fatal(fd, r)) {
			errno = r;
			return err_errno(err, "set attribute %s", name);
		} else if (r > 0) {
			refused(ctx, name, r);
		}
	}
	return 0;
}
