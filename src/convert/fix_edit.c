#include "convert/fix_edit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/beneath.h"
#include "base/json.h"
#include "base/str.h"
#include "convert/guest.h"

#define LOG	    "log"
#define LOG_MAX	    (4u << 20)
#define CHANGES_MAX 4096
#define NEW	    ".wherry-new"

void fix_done(struct fix *f)
{
	for (size_t i = 0; i < f->changes.n; i++) {
		free(f->changes.v[i].path);
		free(f->changes.v[i].what);
	}
	fix_change_vec_done(&f->changes);
	if (f->store > 0)
		close(f->store);
	f->store = 0;
}

static void note(struct fix *f, const char *path, const char *what)
{
	*fix_change_vec_push(&f->changes) = (struct fix_change){
		f->name, xstrdup(path), xstrdup(what)};
}

/* The lines of the log. */
static int read_log(int store, char ***ret, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	int r = guest_read(store, LOG, LOG_MAX, &text, err);

	if (r < 0)
		return r;
	*ret = str_split(text ? text : "", "\n", false);
	return 0;
}

static int open_store(int root, struct err *err)
{
	int fd = beneath_open(root, FIX_STORE, O_RDONLY | O_DIRECTORY, 0, err);

	return fd < 0 ? err_prefix(err, "the container's record of fix-ups") : fd;
}

static int make_store(struct fix *f, struct err *err)
{
	_cleanup_strv_ char **lines = NULL;
	int r;

	if (f->store > 0)
		return 0;
	r = beneath_mkdirs(f->root, "var/lib", 0755, err);
	if (r >= 0)
		r = beneath_mkdirs(f->root, FIX_STORE, 0700, err);
	if (r < 0)
		return r;
	f->store = open_store(f->root, err);
	if (f->store < 0)
		return f->store;
	r = read_log(f->store, &lines, err);
	f->next = (unsigned)strv_len(lines);
	return r < 0 ? r : 0;
}

/* Durable before the change itself. */
static int add_log(struct fix *f, const char *path, bool was, const char *now, struct err *err)
{
	_cleanup_json_ json_t *o = json_object();
	_cleanup_free_ char *line = NULL, *text = NULL;
	_cleanup_close_ int fd = -1;

	json_put_u64(o, "n", f->next);
	json_put_str(o, "fix", f->name);
	json_put_str(o, "path", path);
	json_put_bool(o, "was", was);
	json_put_str(o, "now", now);
	line = json_text(o);
	text = xasprintf("%s\n", line);
	fd = beneath_open(f->store, LOG, O_WRONLY | O_CREAT | O_APPEND, 0600, err);
	if (fd < 0)
		return fd;
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text) || fsync(fd) < 0 ||
		fsync(f->store) < 0)
		return err_errno(err, "write the record of fix-ups");
	f->next++;
	return 0;
}

static void saved_name(unsigned n, const char *suffix, char out[32])
{
	snprintf(out, 32, "%04u%s", n, suffix);
}

/* Owner, mode and extended attributes of the file that it replaces, or the owner of its folder. */
static void take_metadata(int fd, int dir, const char *name)
{
	_cleanup_close_ int old = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char list[4096], value[65536];
	struct stat st;
	ssize_t n;

	if (old < 0) {
		if (fstat(dir, &st) == 0 && fchown(fd, st.st_uid, st.st_gid) < 0)
			return;
		(void)!fchmod(fd, 0644);
		return;
	}
	if (fstat(old, &st) < 0 || fchown(fd, st.st_uid, st.st_gid) < 0 ||
		fchmod(fd, st.st_mode & 07777) < 0)
		return;
	n = flistxattr(old, list, sizeof(list));
	for (ssize_t at = 0; at < n; at += (ssize_t)strlen(list + at) + 1) {
		ssize_t k = fgetxattr(old, list + at, value, sizeof(value));

		if (k >= 0)
			(void)!fsetxattr(fd, list + at, value, (size_t)k, 0);
	}
}

static int write_new(int dir, const char *as, const char *like, const char *text, struct err *err)
{
	size_t n = strlen(text), done = 0;
	_cleanup_close_ int fd = -1;

	if (unlinkat(dir, as, 0) < 0 && errno != ENOENT)
		return err_errno(err, "remove %s in the container", as);
	fd = openat(dir, as, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(err, "make %s in the container", as);
	while (done < n) {
		ssize_t r = write(fd, text + done, n - done);

		if (r < 0)
			return err_errno(err, "write %s in the container", as);
		done += (size_t)r;
	}
	if (like)
		take_metadata(fd, dir, like);
	return fsync(fd) < 0 ? err_errno(err, "write %s in the container", as) : 0;
}

/* The inode that is at path gets a second name in the store; a folder moves there. */
static int save(struct fix *f, int dir, const char *name, bool *ret_was, struct err *err)
{
	char as[32];
	struct stat st;

	*ret_was = fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	if (!*ret_was)
		return errno == ENOENT ? 0 : err_errno(err, "look at %s in the container", name);
	saved_name(f->next, ".was", as);
	(void)!unlinkat(f->store, as, 0); /* of a run that was cut off before its log */
	if (S_ISDIR(st.st_mode))
		return 0; /* the caller renames it */
	if (linkat(dir, name, f->store, as, 0) < 0)
		return err_errno(err, "keep %s of the container", name);
	return 0;
}

/* Those that are missing of path's folders, each recorded. */
static int make_folders(struct fix *f, const char *path, struct err *err)
{
	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		_cleanup_free_ char *folder = xstrndup(path, (size_t)(slash - path));
		int r;

		if (guest_has(f->root, folder))
			continue;
		r = make_store(f, err);
		if (r >= 0)
			r = add_log(f, folder, false, "folder", err);
		if (r >= 0)
			r = beneath_mkdirs(f->root, folder, 0755, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int open_parent(
	struct fix *f, const char *path, bool make, const char **name, struct err *err)
{
	_cleanup_close_ int held = -1;
	int fd, r = make ? make_folders(f, path, err) : 0;

	if (r < 0)
		return r;
	held = beneath_parent(f->root, path, name, err);
	if (held < 0)
		return held;
	/* One that can be synced. */
	fd = openat(held, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_errno(err, "open the folder of %s", path) : fd;
}

/* What is there is kept, and it is recorded what will be there. */
static int begin(struct fix *f, int dir, const char *path, const char *name, const char *now,
	struct err *err)
{
	bool was;
	int r = make_store(f, err);

	if (r >= 0 && f->next >= CHANGES_MAX)
		r = err_set(err, ERR_STATE, "too many changes are recorded in the container");
	if (r >= 0)
		r = save(f, dir, name, &was, err);
	return r < 0 ? r : add_log(f, path, was, now, err);
}

int fix_write(struct fix *f, const char *path, const char *text, const char *what, struct err *err)
{
	_cleanup_free_ char *old = NULL;
	_cleanup_close_ int dir = -1;
	const char *name;
	char copy[32];
	int r = guest_read(f->root, path, FIX_FILE_MAX, &old, err);

	if (r < 0)
		return r;
	if (r > 0 && str_eq(old, text))
		return 0;
	note(f, path, what ? what : r > 0 ? "rewritten" : "made");
	if (f->dry)
		return 1;
	dir = open_parent(f, path, true, &name, err);
	if (dir < 0)
		return dir;
	r = make_store(f, err);
	if (r < 0)
		return r;
	saved_name(f->next, ".now", copy);
	r = write_new(f->store, copy, NULL, text, err);
	if (r >= 0)
		r = write_new(dir, NEW, name, text, err);
	if (r >= 0)
		r = begin(f, dir, path, name, "file", err);
	if (r < 0)
		return r;
	if (renameat(dir, NEW, dir, name) < 0 || fsync(dir) < 0)
		return err_errno(err, "write %s in the container", path);
	return 1;
}

static bool link_is(int dir, const char *name, const char *target)
{
	char buf[PATH_MAX];
	ssize_t n = readlinkat(dir, name, buf, sizeof(buf) - 1);

	if (n < 0)
		return false;
	buf[n] = '\0';
	return str_eq(buf, target);
}

int fix_link(struct fix *f, const char *path, const char *target, struct err *err)
{
	_cleanup_free_ char *what = xasprintf("a link to %s", target);
	_cleanup_free_ char *now = xasprintf("link %s", target);
	_cleanup_close_ int dir = -1;
	const char *name;
	int r;

	dir = open_parent(f, path, !f->dry, &name, err);
	if (dir < 0 && f->dry) {
		err_clear(err);
		note(f, path, what);
		return 1;
	}
	if (dir < 0)
		return dir;
	if (link_is(dir, name, target))
		return 0;
	note(f, path, what);
	if (f->dry)
		return 1;
	(void)!unlinkat(dir, NEW, 0);
	if (symlinkat(target, dir, NEW) < 0)
		return err_errno(err, "make a link in the container");
	r = begin(f, dir, path, name, now, err);
	if (r < 0)
		return r;
	if (renameat(dir, NEW, dir, name) < 0 || fsync(dir) < 0)
		return err_errno(err, "make %s in the container", path);
	return 1;
}

int fix_remove(struct fix *f, const char *path, struct err *err)
{
	_cleanup_close_ int dir = -1;
	const char *name;
	char as[32];
	struct stat st;
	int r;

	if (!guest_has(f->root, path))
		return 0;
	dir = open_parent(f, path, false, &name, err);
	if (dir < 0)
		return dir;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_errno(err, "look at %s in the container", path);
	note(f, path, "taken away");
	if (f->dry)
		return 1;
	r = make_store(f, err);
	if (r < 0)
		return r;
	saved_name(f->next, ".was", as);
	r = begin(f, dir, path, name, "gone", err);
	if (r < 0)
		return r;
	if (S_ISDIR(st.st_mode) ? renameat(dir, name, f->store, as) < 0
				: unlinkat(dir, name, 0) < 0)
		return err_errno(err, "take %s out of the container", path);
	return fsync(dir) < 0 ? err_errno(err, "take %s out of the container", path) : 1;
}

/* Taking back */

struct record {
	uint64_t n;
	char *fix, *path, *now;
	bool was;
};

static const struct json_field fields[] = {
	JSON_U64(struct record, n, "n", JSON_REQUIRED, 0, CHANGES_MAX),
	JSON_STR(struct record, fix, "fix", JSON_REQUIRED, 64),
	JSON_STR(struct record, path, "path", JSON_REQUIRED, PATH_MAX),
	JSON_STR(struct record, now, "now", JSON_REQUIRED, PATH_MAX + 8),
	JSON_BOOL(struct record, was, "was", JSON_REQUIRED),
	JSON_END,
};

static void record_done(struct record *rec)
{
	free(rec->fix);
	free(rec->path);
	free(rec->now);
}

/* Is there what the fix-up left? Or already what was before, since a run was cut off? */
static bool as_left(int root, int store, int dir, const char *name, const struct record *rec)
{
	_cleanup_free_ char *want = NULL, *have = NULL;
	struct err ignored = ERR_INIT;
	char copy[32];
	struct stat st;

	if (str_eq(rec->now, "gone"))
		return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
	if (str_starts(rec->now, "link "))
		return link_is(dir, name, rec->now + strlen("link "));
	saved_name((unsigned)rec->n, ".now", copy);
	return guest_read(store, copy, FIX_FILE_MAX, &want, &ignored) > 0 &&
	       guest_read(root, rec->path, FIX_FILE_MAX, &have, &ignored) > 0 && str_eq(want, have);
}

static bool same_inode(int a, const char *an, int b, const char *bn)
{
	struct stat x, y;

	return fstatat(a, an, &x, AT_SYMLINK_NOFOLLOW) == 0 &&
	       fstatat(b, bn, &y, AT_SYMLINK_NOFOLLOW) == 0 && x.st_ino == y.st_ino &&
	       x.st_dev == y.st_dev;
}

static bool exists(int dir, const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* NULL: taken back. Else why not. */
static const char *take_back(int root, int store, const struct record *rec)
{
	struct err ignored = ERR_INIT;
	const char *name;
	_cleanup_close_ int dir = beneath_parent(root, rec->path, &name, &ignored);
	char was[32], now[32];

	if (dir < 0)
		return "its folder is gone";
	saved_name((unsigned)rec->n, ".was", was);
	saved_name((unsigned)rec->n, ".now", now);
	if (rec->was ? !exists(store, was) : !exists(dir, name))
		return NULL;		/* taken back before */
	if (str_eq(rec->now, "folder")) /* one with files of others stays */
		return unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOTEMPTY
			       ? NULL
			       : "it cannot be removed";
	if (rec->was && same_inode(dir, name, store, was))
		(void)!unlinkat(store, was, 0); /* it never happened */
	else if (!as_left(root, store, dir, name, rec))
		return "it was changed since, and is left as it is";
	else if (rec->was && renameat(store, was, dir, name) < 0)
		return "what was there cannot be put back";
	else if (!rec->was && unlinkat(dir, name, 0) < 0 && errno != ENOENT)
		return "it cannot be removed";
	(void)!unlinkat(store, now, 0);
	return NULL;
}

static int revert_line(int root, int store, const char *line,
	void (*said)(void *ctx, const char *path, const char *what), void *ctx)
{
	_cleanup_(record_done) struct record rec = {0};
	_cleanup_json_ json_t *v = NULL;
	struct err err = ERR_INIT;
	const char *why;

	if (json_parse(line, strlen(line), LOG_MAX, &v, &err) < 0 ||
		json_read(v, fields, 0, &rec, &err) < 0 || !beneath_path_ok(rec.path)) {
		said(ctx, FIX_STORE, "a line of its record makes no sense");
		return 1;
	}
	why = take_back(root, store, &rec);
	said(ctx, rec.path, why ? why : "as it was before");
	return !!why;
}

int fix_revert(int root, void (*said)(void *ctx, const char *path, const char *what), void *ctx,
	struct err *err)
{
	_cleanup_close_ int store = -1;
	_cleanup_strv_ char **lines = NULL;
	int failed = 0, r;

	if (!guest_has(root, FIX_STORE))
		return 0;
	store = open_store(root, err);
	if (store < 0)
		return store;
	r = read_log(store, &lines, err);
	if (r < 0)
		return r;
	for (size_t i = strv_len(lines); i > 0; i--)
		failed += revert_line(root, store, lines[i - 1], said, ctx);
	if (failed)
		return failed;
	return beneath_remove_tree(root, FIX_STORE, err);
}
