#include "tree/apply.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/beneath.h"
#include "base/str.h"
#include "tree/digest.h"
#include "tree/filler.h"

void apply_init(struct apply *a, int rootfd, const struct idmap *map, const char *state_dir,
	struct tree_result *res)
{
	*a = (struct apply){.rootfd = rootfd,
		.map = map,
		.state_dir = state_dir,
		.res = res,
		.file = -1,
		.orphans = -1};
	walk_init(&a->w, rootfd, false);
}

void apply_done(struct apply *a)
{
	filler_free(a->filler);
	if (a->file >= 0)
		close(a->file);
	if (a->orphans >= 0)
		close(a->orphans);
	walk_done(&a->w);
	names_done(&a->names);
	entry_done(&a->e);
}

bool apply_complete(const struct apply *a)
{
	return !a->in_dir && a->file < 0 && a->batch == BATCH_NONE;
}

static int failed_at(struct apply *a, const char *name, struct err *err)
{
	_cleanup_free_ char *path = walk_path(&a->w, name);

	return err_prefix(err, "%s", path);
}

static void refused(void *ctx, const char *what, int errnum)
{
	struct apply *a = ctx;
	_cleanup_free_ char *path = NULL, *text = NULL;

	if (a->res->n_unsupported++ >= TREE_UNSUPPORTED_MAX)
		return;
	path = walk_path(&a->w, a->name[0] ? a->name : NULL);
	text = xasprintf(
		"%s: %s: this file system cannot hold it (%s)", path, what, strerror(errnum));
	strv_push(&a->res->unsupported, text);
}

/* Removing and making room */

/* Immutable and append-only folders refuse changes in them; DONE sets the flags again. */
bool apply_unlock(int dirfd)
{
	int saved = errno;
	bool retry = (saved == EPERM || saved == EACCES) && entry_unlock(dirfd) == 0;

	errno = saved;
	return retry;
}

int apply_remove(struct apply *a, int dirfd, const char *name, struct err *err)
{
	for (int tries = 0; tries < 2; tries++) {
		if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
			return 0;
		if (errno == EISDIR)
			break;
		if (errno != EPERM || !apply_unlock(dirfd))
			break;
	}
	return beneath_remove_tree(dirfd, name, err);
}

/* After a failed attempt to make name: is it worth another? What is in the way goes, a locked
 * folder is unlocked. */
static bool make_room(struct apply *a, int dirfd, const char *name, int tries, struct err *err)
{
	if (tries)
		return false;
	if (errno == EEXIST) {
		if (apply_remove(a, dirfd, name, err) < 0)
			return false;
		errno = EEXIST;
		return true;
	}
	return apply_unlock(dirfd);
}

static int make_failed(struct apply *a, const char *name, struct err *err)
{
	if (err->code == ERR_NONE)
		err_errno(err, "create");
	return failed_at(a, name, err);
}

/* Folders */

static int apply_dir(struct apply *a, const struct op *op, struct err *err)
{
	int fd, r;

	if (op->up > a->w.n)
		return err_set(err, ERR_PROTOCOL, "a folder above the root");
	walk_up(&a->w, op->up);
	for (size_t i = 0; i < op->n_names; i++)
		walk_down(&a->w, op->names[i], op->id);
	fd = walk_fd(&a->w, err);
	if (fd < 0)
		return fd == -ERR_NOT_FOUND
			       ? err_set(err, ERR_STATE,
					 "the destination lacks a folder that it should have: %s",
					 err->text)
			       : fd;
	if (a->kept) {
		_cleanup_free_ char *path = walk_raw_path(&a->w, NULL);

		kept_touch(a->kept, path);
	}
	a->in_dir = true;
	a->placed = false;
	a->exact = op->flags & OP_F_EXACT;
	a->defaults.known = false;
	names_clear(&a->names);
	r = a->exact ? names_read(&a->names, fd, err) : 0;
	return r < 0 ? failed_at(a, NULL, err) : 0;
}

static int apply_mkdir(struct apply *a, int dirfd, const struct op *op, struct err *err)
{
	struct stat st;

	for (int tries = 0;; tries++) {
		if (mkdirat(dirfd, op->name, 0700) == 0)
			return 0;
		if (errno == EEXIST && fstatat(dirfd, op->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			S_ISDIR(st.st_mode))
			return 0;
		if (!make_room(a, dirfd, op->name, tries, err))
			return make_failed(a, op->name, err);
	}
}

/* Metadata */

static int take_entry(struct apply *a, const struct op *op, struct err *err)
{
	int r = entry_get(op, &a->e, err);

	a->name[0] = '\0';
	if (op->name)
		memcpy(a->name, op->name, strlen(op->name) + 1);
	return r;
}

static struct entry_target target_of(struct apply *a, int fd, bool opath, bool fresh, uint32_t made)
{
	return (struct entry_target){.fd = fd,
		.opath = opath,
		.fresh = fresh,
		.made = made,
		.defaults = a->defaults.known ? &a->defaults : NULL,
		.map = a->map,
		.refused = refused,
		.ctx = a,
		.verify_times = !a->times_verified};
}

static int write_entry(
	struct apply *a, int fd, bool opath, bool fresh, uint32_t made, struct err *err)
{
	struct entry_target t = target_of(a, fd, opath, fresh, made);
	int r = entry_write(&t, &a->e, err);

	a->times_verified = a->times_verified || a->e.mtime.tv_nsec;
	xattr_list_clear(&a->e.xattrs);
	return r;
}

static int write_metadata_of_folder(struct apply *a, struct err *err)
{
	int fd = walk_fd(&a->w, err), r;

	if (fd < 0)
		return fd;
	(void)entry_unlock(fd);
	r = write_entry(a, fd, false, false, 0, err);
	return r < 0 ? failed_at(a, NULL, err) : 0;
}

static int apply_folder_done(struct apply *a, const struct op *op, struct err *err)
{
	const char *name;
	size_t pos = 0;
	int fd = walk_fd(&a->w, err), r;

	if (fd < 0)
		return fd;
	while (a->exact && (name = names_unseen(&a->names, &pos))) {
		r = apply_remove(a, fd, name, err);
		if (r < 0)
			return failed_at(a, name, err);
		a->res->deleted++;
	}
	if (!S_ISDIR(op->mode))
		return err_set(err, ERR_PROTOCOL, "a folder that is none");
	r = take_entry(a, op, err);
	if (r >= 0)
		r = write_metadata_of_folder(a, err);
	a->in_dir = false;
	return r;
}

static int open_existing(int dirfd, const char *name, bool *ret_opath)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	*ret_opath = !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
	return openat(dirfd, name,
		O_NOFOLLOW | O_CLOEXEC | (*ret_opath ? O_PATH : O_RDONLY | O_NONBLOCK));
}

static int apply_meta(struct apply *a, int dirfd, const struct op *op, struct err *err)
{
	bool opath;
	_cleanup_close_ int fd = open_existing(dirfd, op->name, &opath);
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0) {
		err_errno(err, "open");
		err->code = ERR_STATE;
		return failed_at(a, op->name, err);
	}
	if ((st.st_mode & S_IFMT) != (op->mode & S_IFMT)) {
		err_set(err, ERR_STATE, "it is of another type at the destination");
		return failed_at(a, op->name, err);
	}
	r = take_entry(a, op, err);
	if (r >= 0 && !opath)
		(void)entry_unlock(fd);
	if (r >= 0)
		r = write_entry(a, fd, opath, false, 0, err);
	return r < 0 ? failed_at(a, op->name, err) : 0;
}

/* Files */

/* With the bits that it will have in the end, never with more. */
static int create_file(struct apply *a, int dirfd, const char *name, uint32_t mode, struct err *err)
{
	int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY;

	for (int tries = 0;; tries++) {
		int fd = openat(dirfd, name, flags, mode & 0777);

		if (fd >= 0)
			return fd;
		if (!make_room(a, dirfd, name, tries, err))
			return make_failed(a, name, err);
	}
}

static int open_file(struct apply *a, int dirfd, const char *name, struct err *err)
{
	bool opath = false;
	_cleanup_close_ int reading = open_existing(dirfd, name, &opath);
	struct stat st;
	char proc[40];
	int fd;

	if (reading < 0 || fstat(reading, &st) < 0 || !S_ISREG(st.st_mode)) {
		err_set(err, ERR_STATE, "the destination lacks a file that it should have");
		return failed_at(a, name, err);
	}
	(void)entry_unlock(reading);
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", reading);
	fd = open(proc, O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (fd < 0) {
		err_errno(err, "open");
		return failed_at(a, name, err);
	}
	return fd;
}

static int write_at(int fd, const void *buf, size_t n, uint64_t off, struct err *err)
{
	const char *p = buf;

	while (n) {
		ssize_t k = pwrite(fd, p, n, (off_t)off);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return err_errno(err, "write");
		p += k;
		n -= (size_t)k;
		off += (uint64_t)k;
	}
	return 0;
}

static int close_file(struct apply *a, bool truncate, struct err *err)
{
	int r = 0;

	if (truncate && ftruncate(a->file, (off_t)a->file_size) < 0)
		r = err_errno(err, "set size");
	if (r >= 0)
		r = write_entry(a, a->file, false, a->fresh, a->made, err);
	/* What is to be written late (network file systems) can fail here; for ours syncfs says it.
	 */
	if (close(a->file) < 0 && r >= 0)
		r = err_errno(err, "close");
	a->file = -1;
	return r < 0 ? failed_at(a, a->name, err) : 0;
}

static int begin_file(struct apply *a, const struct op *op, struct err *err)
{
	uint32_t missing;

	if (a->fresh && !a->defaults.known) {
		int r = entry_probe(a->file, &a->defaults, err);

		if (r < 0)
			return r;
	}
	/* A default ACL changes the bits, too, and so does the mask of this process. */
	a->made = a->fresh && !a->defaults.xattrs && !(a->e.mode & 0777 & ~a->defaults.kept)
			  ? a->e.mode & 0777
			  : 0;
	if (a->fresh && a->e.chattr & ENTRY_CHATTR_EARLY)
		(void)entry_set_chattr(
			a->file, ENTRY_CHATTR_EARLY, a->e.chattr & ENTRY_CHATTR_EARLY, &missing);
	if (op->flags & OP_F_EMPTY && ftruncate(a->file, 0) < 0)
		return err_errno(err, "empty it");
	return 0;
}

/* Is it one that the other thread can finish? */
static bool leave_to_filler(struct apply *a, const struct op *op)
{
	struct entry_target t = target_of(a, a->file, false, a->fresh, a->made);
	struct entry_rest rest;

	if (!(op->flags & OP_F_WHOLE) || op->data_len != op->size || op->data_len > FILLER_MAX ||
		!entry_rest(&t, &a->e, &rest))
		return false;
	if (!a->filler)
		a->filler = filler_new();
	if (!a->filler)
		return false;
	filler_take(a->filler, a->file, op->data, op->data_len, &rest, op->name,
		a->placed ? NULL : walk_path(&a->w, NULL));
	a->placed = true;
	a->file = -1;
	return true;
}

static int apply_file(struct apply *a, int dirfd, const struct op *op, struct err *err)
{
	int r;

	if (!S_ISREG(op->mode) || op->size > INT64_MAX || (op->data && !(op->flags & OP_F_WHOLE)) ||
		(op->flags & OP_F_WHOLE && op->data_len > op->size))
		return err_set(err, ERR_PROTOCOL, "a file that makes no sense");
	r = take_entry(a, op, err);
	if (r < 0)
		return r;
	a->fresh = !(op->flags & OP_F_PATCH);
	r = a->fresh ? create_file(a, dirfd, op->name, op->mode, err)
		     : open_file(a, dirfd, op->name, err);
	if (r < 0)
		return r;
	a->file = r;
	a->file_size = op->size;
	r = begin_file(a, op, err);
	if (r >= 0 && leave_to_filler(a, op)) {
		a->res->bytes += op->data_len;
		return 0;
	}
	if (r >= 0 && op->data_len)
		r = write_at(a->file, op->data, op->data_len, 0, err);
	if (r < 0)
		return failed_at(a, op->name, err);
	a->res->bytes += op->data_len;
	return op->flags & OP_F_WHOLE ? close_file(a, op->data_len != op->size, err) : 0;
}

static int apply_data(struct apply *a, const struct op *op, struct err *err)
{
	int r;

	if (op->offset > a->file_size || op->data_len > a->file_size - op->offset)
		return err_set(err, ERR_PROTOCOL, "content beyond the end of the file");
	r = write_at(a->file, op->data, op->data_len, op->offset, err);
	a->res->bytes += op->data_len;
	return r < 0 ? failed_at(a, a->name, err) : 0;
}

/* Where holes cannot be punched, zeros do; never beyond what is there. */
static int write_zeros(struct apply *a, uint64_t off, uint64_t n, struct err *err)
{
	static const char zeros[65536];
	struct stat st;
	int r = 0;

	if (fstat(a->file, &st) < 0)
		return err_errno(err, "stat");
	if (off >= (uint64_t)st.st_size)
		return 0;
	n = MIN(n, (uint64_t)st.st_size - off);
	for (; n && r >= 0; off += MIN(n, sizeof(zeros)), n -= MIN(n, sizeof(zeros)))
		r = write_at(a->file, zeros, (size_t)MIN(n, sizeof(zeros)), off, err);
	return r;
}

static int apply_hole(struct apply *a, const struct op *op, struct err *err)
{
	uint64_t n = op->length;
	int r = 0;

	if (op->offset > a->file_size || n > a->file_size - op->offset || !n)
		return err_set(err, ERR_PROTOCOL, "a hole beyond the end of the file");
	/* A block that the file ends in only goes if all of it is asked for. */
	if (op->offset + n == a->file_size && a->file_size < INT64_MAX - DIGEST_BLOCK)
		n += DIGEST_BLOCK;
	if (fallocate(a->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)op->offset,
		    (off_t)n) < 0)
		r = errno == EOPNOTSUPP ? write_zeros(a, op->offset, op->length, err)
					: err_errno(err, "punch a hole");
	return r < 0 ? failed_at(a, a->name, err) : 0;
}

/* Everything else that has a name */

static int make_node(int dirfd, const char *name, const struct entry *e)
{
	if (S_ISLNK(e->mode))
		return symlinkat(e->target, dirfd, name);
	return mknodat(dirfd, name, (e->mode & S_IFMT) | 0600, makedev(e->major, e->minor));
}

static bool node_ok(const struct op *op)
{
	switch (op->mode & S_IFMT) {
	case S_IFLNK: return op->target && !op_has(op, ATTR_RDEV);
	case S_IFCHR:
	case S_IFBLK: return !op->target && op_has(op, ATTR_RDEV);
	case S_IFIFO:
	case S_IFSOCK: return !op->target && !op_has(op, ATTR_RDEV);
	default: return false;
	}
}

static int apply_node(struct apply *a, int dirfd, const struct op *op, struct err *err)
{
	_cleanup_close_ int fd = -1;
	int r;

	if (!node_ok(op))
		return err_set(err, ERR_PROTOCOL, "an entry that makes no sense");
	r = take_entry(a, op, err);
	if (r < 0)
		return r;
	for (int tries = 0; make_node(dirfd, op->name, &a->e) < 0; tries++)
		if (!make_room(a, dirfd, op->name, tries, err))
			return make_failed(a, op->name, err);
	fd = openat(dirfd, op->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		err_errno(err, "open");
		return failed_at(a, op->name, err);
	}
	r = write_entry(a, fd, true, true, 0, err);
	return r < 0 ? failed_at(a, op->name, err) : 0;
}

/* An immutable inode gets no new names: for the moment of linking it is not. */
static int link_locked(int from, const char *last, int dirfd, const char *name)
{
	bool opath = true;
	_cleanup_close_ int fd = open_existing(from, last, &opath);
	uint32_t missing;
	struct entry_defaults was;
	struct err err = ERR_INIT;
	int r;

	if (fd < 0 || opath || entry_probe(fd, &was, &err) < 0 ||
		!(was.chattr & ENTRY_CHATTR_LOCK)) {
		errno = EPERM;
		return -1;
	}
	(void)entry_unlock(fd);
	r = linkat(from, last, dirfd, name, 0);
	(void)entry_set_chattr(fd, ENTRY_CHATTR, was.chattr, &missing);
	return r;
}

static bool same_inode(int dir_a, const char *a, int dir_b, const char *b)
{
	struct stat x, y;

	return fstatat(dir_a, a, &x, AT_SYMLINK_NOFOLLOW) == 0 &&
	       fstatat(dir_b, b, &y, AT_SYMLINK_NOFOLLOW) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

static int apply_link(struct apply *a, int dirfd, const struct op *op, struct err *err)
{
	_cleanup_close_ int from = -1;
	const char *last;

	if (!*op->path)
		return err_set(err, ERR_PROTOCOL, "a link to the root");
	from = beneath_parent(a->rootfd, op->path, &last, err);
	if (from < 0) {
		err->code = ERR_STATE;
		return failed_at(a, op->name, err);
	}
	for (int tries = 0;; tries++) {
		if (linkat(from, last, dirfd, op->name, 0) == 0)
			return 0;
		if (errno == EEXIST && same_inode(from, last, dirfd, op->name))
			return 0;
		if (errno == ENOENT) {
			err_set(err, ERR_STATE, "the destination lacks the file it is a name of");
			return failed_at(a, op->name, err);
		}
		if (errno == EPERM && !tries) {
			(void)apply_unlock(dirfd);
			if (link_locked(from, last, dirfd, op->name) == 0)
				return 0;
		}
		if (!make_room(a, dirfd, op->name, tries, err))
			return make_failed(a, op->name, err);
	}
}

static int apply_drop(struct apply *a, int dirfd, const struct op *op, struct err *err)
{
	int r = apply_remove(a, dirfd, op->name, err);

	a->res->deleted++;
	return r < 0 ? failed_at(a, op->name, err) : 0;
}

static int apply_keep(struct apply *a, const struct op *op, struct err *err)
{
	if (!a->exact)
		return err_set(err, ERR_PROTOCOL, "operation keep in a folder where all stays");
	if (names_see(&a->names, op->name))
		return 0;
	err_set(err, ERR_STATE, "the destination lacks it, but should have it");
	return failed_at(a, op->name, err);
}

static int apply_xattrs(struct apply *a, const struct op *op, struct err *err)
{
	for (size_t i = 0; i < op->n_xattrs; i++) {
		const struct xattr *x = &op->xattrs[i];
		int r = xattr_list_add(&a->e.xattrs, x->name, x->value, x->len, err);

		if (r < 0)
			return r;
	}
	return 0;
}

static int apply_named(struct apply *a, const struct op *op, struct err *err)
{
	int dirfd = walk_fd(&a->w, err);

	if (dirfd < 0)
		return dirfd;
	if (a->exact && op->type != OP_DROP)
		(void)names_see(&a->names, op->name);
	a->res->sent++;
	switch (op->type) {
	case OP_MKDIR: return apply_mkdir(a, dirfd, op, err);
	case OP_FILE: return apply_file(a, dirfd, op, err);
	case OP_NODE: return apply_node(a, dirfd, op, err);
	case OP_LINK: return apply_link(a, dirfd, op, err);
	case OP_META: return apply_meta(a, dirfd, op, err);
	default: return apply_drop(a, dirfd, op, err);
	}
}

static bool order_ok(const struct apply *a, enum op_type type)
{
	bool content = type == OP_DATA || type == OP_HOLE || type == OP_CLOSE;

	if (content || a->file >= 0)
		return content && a->file >= 0;
	if (type >= OP_OUT && type <= OP_MOVED)
		return a->batch != BATCH_NONE;
	return a->batch == BATCH_NONE && (a->in_dir || type == OP_DIR || type == OP_MOVES);
}

int apply_wait(struct apply *a, struct err *err)
{
	return a->filler ? filler_wait(a->filler, err) : 0;
}

void apply_kick(struct apply *a)
{
	if (a->filler)
		filler_kick(a->filler);
}

/* May it be done before new files in its folder are complete? Names and other inodes may. */
static bool is_independent(const struct op *op)
{
	switch (op->type) {
	case OP_FILE: return !(op->flags & OP_F_PATCH);
	case OP_DATA:
	case OP_HOLE:
	case OP_CLOSE:
	case OP_DIR:
	case OP_DONE:
	case OP_KEEP:
	case OP_LINK:
	case OP_MKDIR:
	case OP_NODE:
	case OP_XATTRS: return true;
	default: return false;
	}
}

int apply_op(struct apply *a, const struct op *op, struct err *err)
{
	int r = is_independent(op) ? 0 : apply_wait(a, err);

	if (r < 0)
		return r;
	if (!order_ok(a, op->type))
		return err_set(
			err, ERR_PROTOCOL, "operation %s does not belong there", op_name(op->type));
	switch (op->type) {
	case OP_MOVES:
	case OP_OUT:
	case OP_MAKE:
	case OP_IN:
	case OP_MOVED: return apply_moves_op(a, op, err);
	case OP_DIR: return apply_dir(a, op, err);
	case OP_DONE: return apply_folder_done(a, op, err);
	case OP_KEEP: return apply_keep(a, op, err);
	case OP_XATTRS: return apply_xattrs(a, op, err);
	case OP_DATA: return apply_data(a, op, err);
	case OP_HOLE: return apply_hole(a, op, err);
	case OP_CLOSE: return close_file(a, true, err);
	case OP_MKDIR:
	case OP_FILE:
	case OP_NODE:
	case OP_LINK:
	case OP_META:
	case OP_DROP: return apply_named(a, op, err);
	default:
		return err_set(
			err, ERR_PROTOCOL, "operation %s does not belong there", op_name(op->type));
	}
}
