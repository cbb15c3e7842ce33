#include "archive/tar.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/fd.h"
#include "base/str.h"
#include "base/vec.h"
#include "tree/entry.h"
#include "tree/walk.h"

#define CHUNK	  (1u << 20)
#define HOLES_MAX 100000 /* of one file; one with more is written in full */

struct folder { /* its names, so far as they are not written */
	char **names;
	size_t n, at;
};
VEC(folder_vec, struct folder);

struct writer {
	struct archive *a;
	int fd;
	const struct idmap *map;
	bool still;
	struct walk w;
	struct folder_vec folders;
	struct archive_entry_linkresolver *links;
	struct entry e;
	char *chunk;
	struct progress *p;
	struct tar_result res;
	struct err why; /* of the descriptor */
};

static ssize_t on_write(struct archive *a, void *ctx, const void *buf, size_t n)
{
	struct writer *t = ctx;

	if (fd_write_all(t->fd, buf, n, CLOCK_NEVER, &t->why) >= 0)
		return (ssize_t)n;
	archive_set_error(a, EIO, "%s", t->why.text);
	return -1;
}

static int fail(struct writer *t, const char *what, struct err *err)
{
	const char *text = archive_error_string(t->a);

	if (t->why.code)
		return err_copy(err, &t->why);
	return err_set(err, ERR_IO, "%s: %s", what, text ? text : "cannot be written");
}

/* It is not as it was a moment ago: ordinary while the container runs. */
static int changed(struct writer *t, const char *name, struct err *err)
{
	_cleanup_free_ char *path = walk_path(&t->w, name);

	if (!t->still)
		return 0;
	return err_set(err, ERR_IO, "%s changed while it was read", path);
}

/* Metadata */

static void add_acl(struct archive_entry *ae, int type, const struct xattr *x)
{
	static const struct {
		uint16_t on_disk;
		int tag;
	} tags[] = {{0x01, ARCHIVE_ENTRY_ACL_USER_OBJ}, {0x02, ARCHIVE_ENTRY_ACL_USER},
		{0x04, ARCHIVE_ENTRY_ACL_GROUP_OBJ}, {0x08, ARCHIVE_ENTRY_ACL_GROUP},
		{0x10, ARCHIVE_ENTRY_ACL_MASK}, {0x20, ARCHIVE_ENTRY_ACL_OTHER}};
	const unsigned char *p = x->value;

	for (size_t at = 4; at + 8 <= x->len; at += 8) {
		uint16_t tag, perm;
		uint32_t id;

		memcpy(&tag, p + at, 2);
		memcpy(&perm, p + at + 2, 2);
		memcpy(&id, p + at + 4, 4);
		for (size_t i = 0; i < ARRAY_SIZE(tags); i++)
			if (le16toh(tag) == tags[i].on_disk)
				archive_entry_acl_add_entry(ae, type, le16toh(perm) & 7,
					tags[i].tag, (int)le32toh(id), NULL);
	}
}

static void add_xattrs(struct archive_entry *ae, const struct entry *e)
{
	for (size_t i = 0; i < e->xattrs.n; i++) {
		const struct xattr *x = &e->xattrs.v[i];

		if (str_eq(x->name, "system.posix_acl_access"))
			add_acl(ae, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, x);
		else if (str_eq(x->name, "system.posix_acl_default"))
			add_acl(ae, ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, x);
		else
			archive_entry_xattr_add_entry(ae, x->name, x->value, x->len);
	}
}

static struct archive_entry *make_entry(struct writer *t, const char *name)
{
	_cleanup_free_ char *path = walk_raw_path(&t->w, name);
	_cleanup_free_ char *dotted = *path ? xasprintf("./%s", path) : xstrdup(".");
	struct archive_entry *ae = archive_entry_new();
	const struct entry *e = &t->e;

	archive_entry_set_pathname(ae, dotted);
	archive_entry_set_mode(ae, e->mode);
	archive_entry_set_uid(ae, e->uid);
	archive_entry_set_gid(ae, e->gid);
	archive_entry_set_mtime(ae, e->mtime.tv_sec, e->mtime.tv_nsec);
	archive_entry_set_atime(ae, e->atime.tv_sec, e->atime.tv_nsec);
	archive_entry_set_nlink(ae, e->nlink);
	archive_entry_set_dev(ae, e->dev);
	archive_entry_set_ino64(ae, (int64_t)e->id);
	if (S_ISREG(e->mode))
		archive_entry_set_size(ae, (int64_t)e->size);
	if (S_ISLNK(e->mode))
		archive_entry_set_symlink(ae, e->target);
	if (entry_is_device(e->mode))
		archive_entry_set_rdev(ae, makedev(e->major, e->minor));
	add_xattrs(ae, e);
	return ae;
}

/* Content */

static void add_holes(struct archive_entry *ae, int fd, off_t size)
{
	off_t at = 0;
	size_t n = 0;

	if (lseek(fd, 0, SEEK_HOLE) < size)
		fd_write_back(fd);
	while (at < size) {
		off_t data = lseek(fd, at, SEEK_DATA), hole;

		if (data < 0) {
			if (errno == ENXIO) /* the rest is one hole */
				archive_entry_sparse_add_entry(ae, size, 0);
			return;
		}
		hole = lseek(fd, data, SEEK_HOLE);
		if (hole < 0 || (data == 0 && hole >= size))
			return;
		if (++n > HOLES_MAX) {
			archive_entry_sparse_clear(ae);
			return;
		}
		archive_entry_sparse_add_entry(ae, data, MIN(hole, size) - data);
		at = hole;
	}
}

/* The holes are counted by the library, but not read: no data, only their length. */
static ssize_t read_at(struct writer *t, int fd, off_t at, size_t n)
{
	off_t data = lseek(fd, at, SEEK_DATA);

	if (data > at || (data < 0 && errno == ENXIO)) {
		memset(t->chunk, 0, n);
		return data < 0 ? (ssize_t)n : (ssize_t)MIN((off_t)n, data - at);
	}
	return pread(fd, t->chunk, n, at);
}

static int write_content(
	struct writer *t, struct archive_entry *ae, int fd, const char *name, struct err *err)
{
	off_t size = archive_entry_size(ae), at = 0;
	int r = 0;

	while (r >= 0 && at < size) {
		ssize_t n = read_at(t, fd, at, (size_t)MIN((off_t)CHUNK, size - at));

		r = cancel_check(err);
		if (r < 0)
			break;
		if (n <= 0) { /* shorter than it was: zeros make it up */
			r = changed(t, name, err);
			memset(t->chunk, 0, CHUNK);
			n = (ssize_t)MIN((off_t)CHUNK, size - at);
		}
		if (r >= 0 && archive_write_data(t->a, t->chunk, (size_t)n) < 0)
			r = fail(t, name, err);
		at += n;
		progress_add(t->p, (uint64_t)n);
	}
	t->res.bytes += (uint64_t)at;
	return r;
}

static int write_entry(
	struct writer *t, struct archive_entry *ae, int fd, const char *name, struct err *err)
{
	struct archive_entry *spare = NULL;
	int r = 0;

	archive_entry_linkify(t->links, &ae, &spare);
	if (fd >= 0 && archive_entry_size(ae) > 0)
		add_holes(ae, fd, archive_entry_size(ae));
	if (archive_write_header(t->a, ae) < ARCHIVE_WARN)
		r = fail(t, name ? name : ".", err);
	else if (fd >= 0 && archive_entry_size(ae) > 0)
		r = write_content(t, ae, fd, name, err);
	t->res.entries++;
	progress_item(t->p, 1);
	archive_entry_free(ae);
	return r;
}

/* Walking */

static int open_name(int dirfd, const char *name, const struct stat *st)
{
	int flags = O_NOFOLLOW | O_CLOEXEC;

	if (S_ISREG(st->st_mode) || S_ISDIR(st->st_mode))
		flags |= O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOATIME;
	else
		flags |= O_PATH;
	return openat(dirfd, name, flags);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list_folder(struct writer *t, int dirfd, struct err *err)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOATIME);
	_cleanup_closedir_ DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct folder f = {0};
	size_t cap = 0;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return err_errno(err, "list a folder");
	}
	for (struct dirent *e; (e = readdir(d));) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (f.n == cap) {
			cap = cap ? cap * 2 : 16;
			f.names = xreallocarray(f.names, cap, sizeof(char *));
		}
		f.names[f.n++] = xstrdup(e->d_name);
	}
	if (f.n)
		qsort(f.names, f.n, sizeof(char *), by_name);
	*folder_vec_push(&t->folders) = f;
	return 0;
}

static int enter(struct writer *t, const char *name, struct err *err)
{
	int fd, r;

	walk_down(&t->w, name, t->e.id);
	fd = walk_fd(&t->w, err);
	if (fd < 0) {
		walk_up(&t->w, 1);
		r = changed(t, name, err);
		return r;
	}
	return list_folder(t, fd, err);
}

static int visit(struct writer *t, int dirfd, const char *name, struct err *err)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return changed(t, name, err);
	fd = open_name(dirfd, name, &st);
	if (fd < 0 || fstat(fd, &st) < 0)
		return changed(t, name, err);
	if (S_ISSOCK(st.st_mode)) {
		t->res.sockets++;
		return 0;
	}
	r = entry_read(fd, !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode), t->map, &t->e, err);
	if (r < 0) {
		_cleanup_free_ char *path = walk_path(&t->w, name);

		return err_prefix(err, "%s", path);
	}
	t->e.id = walk_entry_id(&t->w, &st);
	r = write_entry(t, make_entry(t, name), S_ISREG(st.st_mode) ? fd : -1, name, err);
	return r < 0 || !S_ISDIR(st.st_mode) ? r : enter(t, name, err);
}

static void drop_folder(struct writer *t)
{
	struct folder *f = &t->folders.v[--t->folders.n];

	while (f->n > 0)
		free(f->names[--f->n]);
	free(f->names);
}

static int write_root(struct writer *t, int root, struct err *err)
{
	int r = entry_read(root, false, t->map, &t->e, err);

	if (r < 0)
		return r;
	r = write_entry(t, make_entry(t, NULL), -1, NULL, err);
	return r < 0 ? r : list_folder(t, root, err);
}

static int write_all(struct writer *t, int root, struct err *err)
{
	int r = write_root(t, root, err);

	while (r >= 0 && t->folders.n) {
		struct folder *f = &t->folders.v[t->folders.n - 1];
		int dirfd = f->at < f->n ? walk_fd(&t->w, err) : -1;

		r = cancel_check(err);
		if (r >= 0 && dirfd >= 0) {
			r = visit(t, dirfd, f->names[f->at++], err);
			continue;
		}
		if (r >= 0 && f->at < f->n) /* the folder itself has gone */
			r = changed(t, NULL, err);
		drop_folder(t);
		if (t->folders.n)
			walk_up(&t->w, 1);
	}
	if (r >= 0 && archive_write_close(t->a) < ARCHIVE_WARN)
		r = fail(t, "the archive", err);
	return r;
}

static int open_archive(struct writer *t, enum archive_compression compression, struct err *err)
{
	int r = archive_write_set_format_pax(t->a), f = ARCHIVE_OK;

	archive_write_set_format_option(t->a, "pax", "hdrcharset", "BINARY");
	if (compression == COMPRESS_GZIP || compression == COMPRESS_AUTO)
		f = archive_write_add_filter_gzip(t->a);
	else if (compression == COMPRESS_ZSTD)
		f = archive_write_add_filter_zstd(t->a);
	archive_write_set_bytes_in_last_block(t->a, 1);
	if (r < ARCHIVE_WARN || f < ARCHIVE_WARN ||
		archive_write_open(t->a, t, NULL, on_write, NULL) < ARCHIVE_WARN)
		return fail(t, "the archive", err);
	return 0;
}

int tar_write(int rootfd, const struct idmap *map, int fd, enum archive_compression compression,
	bool still, struct progress *p, struct tar_result *ret, struct err *err)
{
	_cleanup_close_ int root = walk_private_root(rootfd, err);
	struct writer t = {.fd = fd, .map = map, .still = still, .p = p, .why = ERR_INIT};
	int r;

	if (root < 0)
		return root;
	t.a = archive_write_new();
	t.links = archive_entry_linkresolver_new();
	archive_entry_linkresolver_set_strategy(t.links, ARCHIVE_FORMAT_TAR_PAX_INTERCHANGE);
	t.chunk = xmalloc(CHUNK);
	walk_init(&t.w, root, true);
	r = open_archive(&t, compression, err);
	if (r >= 0)
		r = write_all(&t, root, err);
	while (t.folders.n)
		drop_folder(&t);
	folder_vec_done(&t.folders);
	entry_done(&t.e);
	walk_done(&t.w);
	archive_entry_linkresolver_free(t.links);
	archive_write_free(t.a);
	free(t.chunk);
	if (r >= 0)
		*ret = t.res;
	return r;
}
