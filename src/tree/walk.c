#include "tree/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/beneath.h"
#include "base/kernel.h"
#include "base/str.h"
#include "tree/digest.h"

void walk_init(struct walk *w, int rootfd, bool check)
{
	struct stat st = {0};

	(void)fstat(rootfd, &st);
	*w = (struct walk){
		.rootfd = rootfd, .root_id = st.st_ino, .root_dev = st.st_dev, .check = check};
}

static void close_level(struct walk_level *l)
{
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
}

void walk_up(struct walk *w, size_t n)
{
	while (n-- && w->n) {
		struct walk_level *l = &w->v[--w->n];

		close_level(l);
		free(l->name);
	}
}

void walk_done(struct walk *w)
{
	walk_up(w, w->n);
	free(w->v);
	w->v = NULL;
}

void walk_down(struct walk *w, const char *name, uint64_t id)
{
	if (w->n == w->cap) {
		w->cap = w->cap ? w->cap * 2 : 32;
		w->v = xreallocarray(w->v, w->cap, sizeof(*w->v));
	}
	w->v[w->n++] = (struct walk_level){.name = xstrdup(name), .fd = -1, .id = id};
	if (w->n > WALK_OPEN_MAX)
		close_level(&w->v[w->n - 1 - WALK_OPEN_MAX]);
}

/* Inode numbers are only unique within a subvolume of btrfs, and its device number is another after
 * each mount: the number of the subvolume stays. */
static int subvolume_id(int fd, uint64_t *ret)
{
	struct btrfs_ioctl_ino_lookup_args a = {.objectid = BTRFS_FIRST_FREE_OBJECTID};
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0 || fs.f_type != BTRFS_SUPER_MAGIC ||
		ioctl(fd, BTRFS_IOC_INO_LOOKUP, &a) < 0)
		return -1;
	*ret = a.treeid;
	return 0;
}

static uint64_t mix(uint64_t subvol, uint64_t ino)
{
	uint64_t both[2] = {subvol, ino};

	return subvol ? digest_u64(both, sizeof(both)) | UINT64_C(1) << 63 : ino;
}

static int check_level(struct walk *w, size_t i, struct err *err)
{
	struct walk_level *l = &w->v[i];
	dev_t dev = i ? w->v[i - 1].dev : w->root_dev;
	uint64_t subvol = i ? w->v[i - 1].subvol : 0;
	struct stat st;

	if (fstat(l->fd, &st) < 0)
		return err_errno(err, "stat folder");
	if (st.st_dev != dev && st.st_dev != w->root_dev && subvolume_id(l->fd, &subvol) < 0)
		return err_set(err, ERR_BUSY, "another file system is mounted there");
	if (st.st_dev == w->root_dev)
		subvol = 0;
	l->dev = st.st_dev;
	l->subvol = subvol;
	if (l->id && mix(subvol, st.st_ino) != l->id)
		return err_set(err, ERR_NOT_FOUND, "it was moved away");
	l->id = mix(subvol, st.st_ino);
	return 0;
}

static int open_level(struct walk *w, size_t i, int above, struct err *err)
{
	struct walk_level *l = &w->v[i];
	int flags = O_RDONLY | O_DIRECTORY | O_NONBLOCK;
	int r;

	l->fd = beneath_open_raw(above, l->name, flags | O_NOATIME, 0, 0);
	if (l->fd < 0 && errno == EPERM)
		l->fd = beneath_open_raw(above, l->name, flags, 0, 0);
	if (l->fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
		return err_set(err, ERR_NOT_FOUND, "it is no folder any more");
	if (l->fd < 0)
		return err_errno(err, "open folder");
	r = w->check ? check_level(w, i, err) : 0;
	if (r < 0)
		close_level(l);
	return r;
}

int walk_fd(struct walk *w, struct err *err)
{
	size_t i = w->n;

	while (i && w->v[i - 1].fd < 0)
		i--;
	for (; i < w->n; i++) {
		int r = open_level(w, i, i ? w->v[i - 1].fd : w->rootfd, err);

		if (r < 0) {
			_cleanup_free_ char *path = walk_path(w, NULL);

			return err_prefix(err, "%s", path);
		}
		if (i >= WALK_OPEN_MAX)
			close_level(&w->v[i - WALK_OPEN_MAX]);
	}
	return w->n ? w->v[w->n - 1].fd : w->rootfd;
}

uint64_t walk_id(const struct walk *w)
{
	return w->n ? w->v[w->n - 1].id : w->root_id;
}

uint64_t walk_entry_id(const struct walk *w, const struct stat *st)
{
	const struct walk_level *l = w->n ? &w->v[w->n - 1] : NULL;

	if (!l || st->st_dev == w->root_dev)
		return st->st_ino;
	if (st->st_dev == l->dev)
		return mix(l->subvol, st->st_ino);
	return 0; /* the root of another subvolume, or of a file system: its folder says which */
}

static void join(struct str *s, const char *name)
{
	if (s->len)
		str_addc(s, '/');
	str_add(s, name);
}

char *walk_raw_path(const struct walk *w, const char *name)
{
	struct str s = STR_INIT;

	for (size_t i = 0; i < w->n; i++)
		join(&s, w->v[i].name);
	if (name)
		join(&s, name);
	return str_take(&s);
}

char *walk_path(const struct walk *w, const char *name)
{
	_cleanup_free_ char *raw = walk_raw_path(w, name);
	size_t n = strlen(raw);

	if (n > 700) { /* it goes into a message: its end says most */
		char *e = str_escape(raw + n - 300, 300);
		char *s = xasprintf("...%s", e);

		free(e);
		return s;
	}
	return *raw ? str_escape(raw, n) : xstrdup(".");
}

int walk_private_root(int rootfd, struct err *err)
{
	int opened;

	if (kernel_check(err) < 0)
		return -(int)err->code;
	opened = kernel_private_mount(rootfd);

	if (opened < 0)
		opened = fcntl(rootfd, F_DUPFD_CLOEXEC, 3);
	return opened >= 0 ? opened : err_errno(err, "duplicate the root's descriptor");
}
