#include "base/beneath.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/kernel.h"
#include "base/str.h"

/*
 * Descriptors only: a name is looked up in a held directory, never along a path. Memory and
 * descriptors are bounded however deep the tree is: what lies deeper than LEVELS is renamed up to
 * the top of the tree and taken from there, which needs no "..".
 */
#define LEVELS 32

struct level {
	DIR *dir;
	char name[NAME_MAX + 1]; /* in the level above; of the first level: in top_fd */
	bool progress;		 /* something went away since the last pass began */
};

struct removal {
	int top_fd; /* where the tree's name is; not ours to change */
	dev_t dev;
	size_t depth; /* levels in use */
	struct level levels[LEVELS];
};

static void removal_done(struct removal *rm)
{
	while (rm->depth)
		closedir(rm->levels[--rm->depth].dir);
}

static int here(const struct removal *rm)
{
	return rm->depth ? dirfd(rm->levels[rm->depth - 1].dir) : rm->top_fd;
}

/* "tree/a/b/name", for errors. */
static char *path_of(const struct removal *rm, const char *name)
{
	struct str s = STR_INIT;

	for (size_t i = 0; i < rm->depth; i++)
		str_addf(&s, "%s/", rm->levels[i].name);
	str_add(&s, name);
	return str_take(&s);
}

static int is_mounted(const struct removal *rm, const char *name, struct err *err)
{
	_cleanup_free_ char *path = path_of(rm, name);

	return err_set(err, ERR_BUSY,
		"%s is a mount point: unmount it first, nothing in it was touched", path);
}

static int failed(const struct removal *rm, const char *name, struct err *err)
{
	int saved = errno;
	_cleanup_free_ char *path = NULL;

	if (saved == EBUSY || saved == EXDEV)
		return is_mounted(rm, name, err);
	path = path_of(rm, name);
	errno = saved;
	return err_errno(err, "remove %s", path);
}

/* Lifts immutable and append-only. Devices and pipes are never opened for that: opening can do
 * things. */
static void clear_flags_fd(int fd)
{
	int flags;

	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 && (flags & (FS_IMMUTABLE_FL | FS_APPEND_FL))) {
		flags &= ~(FS_IMMUTABLE_FL | FS_APPEND_FL);
		(void)ioctl(fd, FS_IOC_SETFLAGS, &flags);
	}
}

static void clear_flags(const struct removal *rm, const char *name)
{
	_cleanup_close_ int handle = beneath_open_raw(here(rm), name, O_PATH, 0, 0);
	_cleanup_close_ int fd = -1;
	char proc[64];
	struct stat st;

	if (rm->depth)
		clear_flags_fd(here(rm));
	if (handle < 0 || fstat(handle, &st) < 0 || (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)))
		return;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", handle);
	fd = open(proc, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd >= 0)
		clear_flags_fd(fd);
}

/* 0 if it is gone, -1 with errno. */
static int unlink_one(const struct removal *rm, const char *name, int flags)
{
	if (unlinkat(here(rm), name, flags) == 0 || errno == ENOENT)
		return 0;
	if (errno != EPERM && errno != EACCES)
		return -1;
	clear_flags(rm, name);
	return unlinkat(here(rm), name, flags) == 0 || errno == ENOENT ? 0 : -1;
}

/* Another file system inside without a mount: a btrfs subvolume, which its driver deletes, not we.
 */
static int check_same_dev(const struct removal *rm, const char *name, int fd, struct err *err)
{
	_cleanup_free_ char *path = NULL;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return failed(rm, name, err);
	if (st.st_dev == rm->dev)
		return 0;
	path = path_of(rm, name);
	return err_set(err, ERR_BUSY,
		"%s is a btrfs subvolume: delete it first, nothing in it was touched", path);
}

static int enter(struct removal *rm, const char *name, int dir_fd, struct err *err)
{
	struct level *l = &rm->levels[rm->depth];

	l->dir = fdopendir(dir_fd);
	if (!l->dir) {
		failed(rm, name, err);
		close(dir_fd);
		return -(int)err->code;
	}
	strcpy(l->name, name);
	l->progress = false;
	rm->depth++;
	return 0;
}

/* Moves a folder that lies too deep to the top of the tree, where a later pass finds it. */
static int lift(const struct removal *rm, const char *name)
{
	int top = dirfd(rm->levels[0].dir);
	unsigned long long id;
	char fresh[64];

	if (kernel_random(&id, sizeof(id)) < 0)
		return -1;
	snprintf(fresh, sizeof(fresh), ".removing-%016llx", id);
	if (renameat(here(rm), name, top, fresh) == 0)
		return 0;
	if (errno != EPERM && errno != EACCES)
		return -1;
	clear_flags(rm, name);
	clear_flags_fd(top);
	return renameat(here(rm), name, top, fresh);
}

/* A folder: emptied by going into it, or lifted. */
static int remove_folder(struct removal *rm, const char *name, struct err *err)
{
	_cleanup_close_ int fd = beneath_open_raw(here(rm), name, O_RDONLY | O_DIRECTORY, 0, 0);
	int r;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return failed(rm, name, err);
	r = check_same_dev(rm, name, fd, err);
	if (r < 0)
		return r;
	if (rm->depth < LEVELS)
		return enter(rm, name, TAKE_FD(fd), err);
	if (lift(rm, name) < 0 && errno != ENOENT)
		return failed(rm, name, err);
	rm->levels[rm->depth - 1].progress = true;
	return 0;
}

static int remove_entry(struct removal *rm, const char *name, bool maybe_folder, struct err *err)
{
	if (!maybe_folder) {
		if (unlink_one(rm, name, 0) == 0) {
			if (rm->depth)
				rm->levels[rm->depth - 1].progress = true;
			return 0;
		}
		if (errno != EISDIR)
			return failed(rm, name, err);
	}
	return remove_folder(rm, name, err);
}

/* All entries of the deepest level are seen: remove it, or look again if something came meanwhile.
 */
static int leave(struct removal *rm, struct err *err)
{
	struct level *l = &rm->levels[rm->depth - 1];
	int r;

	rm->depth--;
	r = unlink_one(rm, l->name, AT_REMOVEDIR);
	if (r < 0 && errno == ENOTEMPTY && l->progress) {
		rm->depth++;
		l->progress = false;
		rewinddir(l->dir);
		return 0;
	}
	if (r < 0)
		failed(rm, l->name, err);
	closedir(l->dir);
	if (r == 0 && rm->depth)
		rm->levels[rm->depth - 1].progress = true;
	return r < 0 ? -(int)err->code : 0;
}

static int step(struct removal *rm, struct err *err)
{
	struct dirent *e;
	int r = cancel_check(err);

	if (r < 0)
		return r;
	errno = 0;
	e = readdir(rm->levels[rm->depth - 1].dir);
	if (!e && errno)
		return failed(rm, ".", err);
	if (!e)
		return leave(rm, err);
	if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
		return 0;
	return remove_entry(rm, e->d_name, e->d_type == DT_DIR, err);
}

static void unescape_octal(char *s)
{
	char *out = s;

	for (; *s; s++) {
		if (s[0] == '\\' && s[1] && s[2] && s[3]) {
			*out++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 3;
		} else {
			*out++ = *s;
		}
	}
	*out = '\0';
}

/*
 * A mount below is found before anything is removed, so that a forgotten one does not leave half a
 * tree. The kernel's refusals on the way (RESOLVE_NO_XDEV, EBUSY) are what safety rests on; this is
 * for good manners.
 */
static int check_no_mounts(int fd, struct err *err)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/mountinfo", "re");
	_cleanup_free_ char *line = NULL;
	char proc[64], path[PATH_MAX];
	size_t cap = 0;
	ssize_t n;

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	n = readlink(proc, path, sizeof(path) - 1);
	if (!f || n < 0 || n >= PATH_MAX - 1)
		return 0;
	path[n] = '\0';
	while (getline(&line, &cap, f) > 0) {
		char mounted[PATH_MAX];

		if (sscanf(line, "%*s %*s %*s %*s %4095s", mounted) != 1)
			continue;
		unescape_octal(mounted);
		if (str_starts(mounted, path) && mounted[n] == '/')
			return err_set(err, ERR_BUSY,
				"%s is a mount point: unmount it first, nothing was removed",
				mounted);
	}
	return 0;
}

static int remove_tree(struct removal *rm, const char *name, struct err *err)
{
	_cleanup_close_ int fd = -1;
	struct stat above, st;
	int r = fstatat(rm->top_fd, name, &st, AT_SYMLINK_NOFOLLOW);

	if (r < 0 && errno == ENOENT)
		return 0;
	if (r >= 0 && S_ISDIR(st.st_mode))
		r = fd = beneath_open_raw(rm->top_fd, name, O_PATH | O_DIRECTORY, 0, 0);
	if (r < 0 || fstatat(rm->top_fd, ".", &above, 0) < 0)
		return failed(rm, name, err);
	rm->dev = above.st_dev;
	if (S_ISDIR(st.st_mode)) {
		r = check_no_mounts(fd, err);
		if (r < 0)
			return r;
	}
	r = remove_entry(rm, name, S_ISDIR(st.st_mode), err);
	while (r >= 0 && rm->depth)
		r = step(rm, err);
	return r;
}

int beneath_remove_tree(int dirfd, const char *name, struct err *err)
{
	_cleanup_close_ int parent = -1;
	const char *last;
	struct removal *rm;
	int r;

	parent = beneath_parent(dirfd, name, &last, err);
	if (parent < 0)
		return parent;
	rm = xnew(struct removal);
	rm->top_fd = parent;
	r = remove_tree(rm, last, err);
	removal_done(rm);
	free(rm);
	return r;
}
