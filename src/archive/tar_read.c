#include "archive/tar.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <zlib.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/vec.h"

#define BUF_SIZE   (256u << 10)
#define LOOK_EVERY (UINT64_C(16) << 20)
#define ENTRY_COST 4096u /* bytes that a file counts for even if it is empty */

struct tar_reader {
	pid_t pid;
	int to, from; /* the tar goes there; how it ended comes from there */
	z_stream *gz; /* NULL: not gzip */
	bool gz_ended;
	unsigned char *buf;
	struct err why;
};

/* The child: its root is the container's. */

struct child {
	const struct idmap *map;
	struct tar_limits limits;
	struct archive *in, *out;
	uint64_t taken, unchecked;
	struct err *err;
};

static int refuse(struct child *c, struct archive *a, const char *path)
{
	const char *text = archive_error_string(a);
	_cleanup_free_ char *p = str_escape(path, strnlen(path, 300));

	return err_set(c->err, archive_errno(a) == ENOSPC ? ERR_NO_SPACE : ERR_CORRUPT, "%s: %s", p,
		text ? text : "cannot be unpacked");
}

static int check_room(struct child *c, uint64_t bytes)
{
	struct statvfs v;

	c->taken += bytes;
	c->unchecked += bytes;
	if (c->limits.max_size && c->taken > c->limits.max_size)
		return err_set(c->err, ERR_NO_SPACE,
			"the archive holds more than the %llu bytes that --max-size allows",
			(unsigned long long)c->limits.max_size);
	if (c->unchecked < LOOK_EVERY)
		return 0;
	c->unchecked = 0;
	if (statvfs(".", &v) < 0)
		return err_errno(c->err, "look for room");
	if ((uint64_t)v.f_bavail * v.f_frsize < c->limits.bytes ||
		(v.f_files && v.f_favail < c->limits.inodes))
		return err_set(c->err, ERR_NO_SPACE,
			"the pool is full: make room, or name another with --pool");
	return 0;
}

static int map_owner(struct child *c, struct archive_entry *e)
{
	int64_t u = archive_entry_uid(e), g = archive_entry_gid(e);
	uint32_t uid, gid;

	if (u < 0 || g < 0 || u > UINT32_MAX || g > UINT32_MAX ||
		idmap_to_disk(c->map, false, (uint32_t)u, &uid) < 0 ||
		idmap_to_disk(c->map, true, (uint32_t)g, &gid) < 0)
		return err_set(c->err, ERR_UNSUPPORTED,
			"a file of %lld:%lld is outside the container's id map", (long long)u,
			(long long)g);
	archive_entry_set_uid(e, uid);
	archive_entry_set_gid(e, gid);
	archive_entry_set_uname(e, NULL);
	archive_entry_set_gname(e, NULL);
	return 0;
}

struct acl_item {
	int type, permset, tag, id;
};
VEC(acl_item_vec, struct acl_item);

static int map_acl(struct child *c, struct archive_entry *e)
{
	struct acl_item_vec all = {0};
	struct acl_item i;
	const char *name;
	int r = 0;

	if (idmap_identity_on_disk(c->map))
		return 0;
	archive_entry_acl_reset(e, ARCHIVE_ENTRY_ACL_TYPE_ACCESS | ARCHIVE_ENTRY_ACL_TYPE_DEFAULT);
	while (archive_entry_acl_next(e,
		       ARCHIVE_ENTRY_ACL_TYPE_ACCESS | ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, &i.type,
		       &i.permset, &i.tag, &i.id, &name) == ARCHIVE_OK &&
		all.n < 65536)
		*acl_item_vec_push(&all) = i;
	archive_entry_acl_clear(e);
	for (size_t k = 0; r >= 0 && k < all.n; k++) {
		uint32_t id = (uint32_t)all.v[k].id;
		bool gid = all.v[k].tag == ARCHIVE_ENTRY_ACL_GROUP;

		if ((gid || all.v[k].tag == ARCHIVE_ENTRY_ACL_USER) &&
			idmap_to_disk(c->map, gid, id, &id) < 0)
			r = err_set(c->err, ERR_UNSUPPORTED,
				"an ACL names an id outside the container's map");
		archive_entry_acl_add_entry(
			e, all.v[k].type, all.v[k].permset, all.v[k].tag, (int)id, NULL);
	}
	acl_item_vec_done(&all);
	return r;
}

struct xattr_item {
	char *name;
	unsigned char *value;
	size_t len;
};
VEC(xattr_item_vec, struct xattr_item);

/* A capability of the container's root is bound to what that root is on the disk. */
static void bind_capability(struct xattr_item *x, uint32_t root)
{
	if (strcmp(x->name, "security.capability") || x->len != 20)
		return;
	x->value = xreallocarray(x->value, 24, 1);
	x->value[3] = 3; /* version 3: with a root */
	for (int i = 0; i < 4; i++)
		x->value[20 + i] = root >> 8 * i & 0xff;
	x->len = 24;
}

static void map_xattrs(struct child *c, struct archive_entry *e)
{
	struct xattr_item_vec all = {0};
	const char *name;
	const void *value;
	uint32_t root;
	size_t len;

	if (idmap_identity_on_disk(c->map) || idmap_to_disk(c->map, false, 0, &root) < 0)
		return;
	archive_entry_xattr_reset(e);
	while (archive_entry_xattr_next(e, &name, &value, &len) == ARCHIVE_OK) {
		struct xattr_item x = {xstrdup(name), xmemdup(value, len), len};

		bind_capability(&x, root);
		*xattr_item_vec_push(&all) = x;
	}
	archive_entry_xattr_clear(e);
	for (size_t i = 0; i < all.n; i++) {
		archive_entry_xattr_add_entry(e, all.v[i].name, all.v[i].value, all.v[i].len);
		free(all.v[i].name);
		free(all.v[i].value);
	}
	xattr_item_vec_done(&all);
}

static int copy_content(struct child *c, const char *path)
{
	const void *buf;
	size_t n;
	int64_t at;
	int r;

	while ((r = archive_read_data_block(c->in, &buf, &n, &at)) == ARCHIVE_OK) {
		r = check_room(c, n);
		if (r < 0)
			return r;
		if (archive_write_data_block(c->out, buf, n, at) < ARCHIVE_WARN)
			return refuse(c, c->out, path);
	}
	return r < ARCHIVE_WARN ? refuse(c, c->in, path) : 0;
}

static int take_entry(struct child *c, struct archive_entry *e)
{
	const char *path = archive_entry_pathname(e);
	int r;

	if (!path)
		return err_set(c->err, ERR_CORRUPT, "the archive has a file without a name");
	r = map_owner(c, e);
	if (r >= 0)
		r = map_acl(c, e);
	map_xattrs(c, e);
	if (r >= 0)
		r = check_room(c, ENTRY_COST);
	if (r < 0)
		return err_prefix(c->err, "%.300s", path);
	if (archive_write_header(c->out, e) < ARCHIVE_WARN)
		return refuse(c, c->out, path);
	if (archive_entry_size(e) > 0)
		r = copy_content(c, path);
	if (r >= 0 && archive_write_finish_entry(c->out) < ARCHIVE_WARN)
		return refuse(c, c->out, path);
	return r;
}

static int unpack(struct child *c, int fd)
{
	struct archive_entry *e;
	int r;

	c->in = archive_read_new();
	c->out = archive_write_disk_new();
	archive_read_support_filter_zstd(c->in);
	archive_read_support_format_tar(c->in);
	/* Zeros behind the end are padding, another tar file is read on (as tar -i does), anything
	 * else is damage. */
	archive_read_set_format_option(c->in, "tar", "read_concatenated_archives", "1");
	archive_write_disk_set_options(
		c->out, ARCHIVE_EXTRACT_OWNER | ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_TIME |
				ARCHIVE_EXTRACT_ACL | ARCHIVE_EXTRACT_XATTR |
				ARCHIVE_EXTRACT_FFLAGS | ARCHIVE_EXTRACT_SECURE_SYMLINKS |
				ARCHIVE_EXTRACT_SECURE_NODOTDOT | ARCHIVE_EXTRACT_UNLINK);
	if (archive_read_open_fd(c->in, fd, BUF_SIZE) != ARCHIVE_OK)
		return refuse(c, c->in, "the files");
	while ((r = archive_read_next_header(c->in, &e)) >= ARCHIVE_WARN && r != ARCHIVE_EOF) {
		r = take_entry(c, e);
		if (r < 0)
			return r;
	}
	if (r != ARCHIVE_EOF)
		return refuse(c, c->in, "the files");
	/* Times and modes of folders are set here. */
	if (archive_write_close(c->out) < ARCHIVE_WARN)
		return refuse(c, c->out, "the files");
	return 0;
}

static int confine(int rootfd, struct err *err)
{
	if (fchdir(rootfd) < 0 || chroot(".") < 0 || chdir("/") < 0)
		return err_errno(err, "enter the new root");
	umask(0);
	return 0;
}

static _noreturn_ void child(int rootfd, struct child *c, int from, int report)
{
	struct err err = ERR_INIT;
	int r = confine(rootfd, &err);

	c->err = &err;
	if (r >= 0)
		r = unpack(c, from);
	if (r < 0 && write(report, &err, sizeof(err)) < 0)
		_exit(2);
	_exit(r < 0);
}

/* The parent */

int tar_reader_new(int rootfd, const struct idmap *map, bool gzip, const struct tar_limits *limits,
	struct tar_reader **ret, struct err *err)
{
	struct child c = {.map = map, .limits = *limits};
	struct tar_reader *t;
	int to[2], from[2];
	int r = fd_pipe(to, err);

	if (r < 0)
		return r;
	r = fd_pipe(from, err);
	if (r < 0) {
		close(to[0]);
		close(to[1]);
		return r;
	}
	t = xnew(struct tar_reader);
	t->to = to[1];
	t->from = from[0];
	t->buf = xmalloc(BUF_SIZE);
	t->pid = proc_fork(err);
	if (t->pid == 0) {
		close(to[1]);
		close(from[0]);
		child(rootfd, &c, to[0], from[1]);
	}
	close(to[0]);
	close(from[1]);
	if (t->pid > 0 && gzip) {
		t->gz = xnew(z_stream);
		if (inflateInit2(t->gz, 15 + 16) != Z_OK)
			abort();
	}
	if (t->pid < 0) {
		r = (int)t->pid;
		tar_reader_free(t);
		return r;
	}
	*ret = t;
	return 0;
}

/* Why the child ended; its word is better than ours. */
static int ended(struct tar_reader *t, int r, struct err *err)
{
	struct err theirs;
	struct err e = ERR_INIT;
	int status = 0;

	if (t->to >= 0)
		close(TAKE_FD(t->to));
	cancel_shield();
	if (t->pid > 0) {
		ssize_t n = fd_read_full(t->from, &theirs, sizeof(theirs), true, CLOCK_NEVER, &e);

		if (waitpid(t->pid, &status, 0) == t->pid)
			t->pid = 0;
		if (n == sizeof(theirs) && r != -ERR_CANCELLED) {
			theirs.text[sizeof(theirs.text) - 1] = 0;
			r = theirs.code < ERR_CODE_MAX && theirs.code > ERR_NONE
				    ? err_copy(err, &theirs)
				    : err_set(err, ERR_INTERNAL, "unpacking failed");
		} else if (r >= 0 && status != 0) {
			r = err_set(err, ERR_INTERNAL, "the process that unpacks died");
		}
	}
	cancel_unshield();
	return r;
}

static int pass_on(struct tar_reader *t, const void *buf, size_t n, struct err *err)
{
	int r = fd_write_all(t->to, buf, n, CLOCK_NEVER, err);

	/* The child reads to the end, unless something is wrong. */
	if (r >= 0 || r == -ERR_CANCELLED)
		return r;
	err_clear(err);
	r = ended(t, 0, err);
	t->to = -1;
	return r;
}

static int inflate_on(struct tar_reader *t, const void *buf, size_t n, struct err *err)
{
	int r = 0, z;

	t->gz->next_in = (Bytef *)(uintptr_t)buf;
	t->gz->avail_in = (uInt)n;
	while (r >= 0 && (t->gz->avail_in > 0 || t->gz->avail_out == 0)) {
		if (t->gz_ended && t->gz->avail_in > 0) { /* another member */
			inflateReset(t->gz);
			t->gz_ended = false;
		} else if (t->gz_ended) {
			break;
		}
		t->gz->next_out = t->buf;
		t->gz->avail_out = BUF_SIZE;
		z = inflate(t->gz, Z_NO_FLUSH);
		if (z != Z_OK && z != Z_STREAM_END && z != Z_BUF_ERROR)
			return err_set(err, ERR_CORRUPT, "the compressed files are damaged");
		t->gz_ended = z == Z_STREAM_END;
		if (t->gz->avail_out < BUF_SIZE && t->to >= 0)
			r = pass_on(t, t->buf, BUF_SIZE - t->gz->avail_out, err);
		if (z == Z_BUF_ERROR)
			break;
	}
	return r;
}

int tar_reader_feed(struct tar_reader *t, const void *buf, size_t n, struct err *err)
{
	if (t->gz)
		return inflate_on(t, buf, n, err);
	return t->to < 0 ? 0 : pass_on(t, buf, n, err);
}

int tar_reader_end(struct tar_reader *t, struct err *err)
{
	int r = 0;

	if (t->gz && !t->gz_ended)
		r = err_set(err, ERR_CORRUPT, "the compressed files are cut off");
	return ended(t, r, err);
}

void tar_reader_free(struct tar_reader *t)
{
	if (!t)
		return;
	if (t->pid > 0) {
		kill(t->pid, SIGKILL);
		waitpid(t->pid, NULL, 0);
	}
	if (t->to >= 0)
		close(t->to);
	if (t->from >= 0)
		close(t->from);
	if (t->gz) {
		inflateEnd(t->gz);
		free(t->gz);
	}
	free(t->buf);
	free(t);
}
