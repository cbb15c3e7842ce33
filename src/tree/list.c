#include "tree/list.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "tree/entry.h"

#define BUF_SIZE (64u << 10)

static void close_ahead(struct list *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].fd >= 0)
			close(l->v[i].fd);
	l->n = 0;
}

static int64_t change_time(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 ? -1 : entry_nsec(&st.st_ctim);
}

void list_begin(struct list *l, int dirfd)
{
	close_ahead(l);
	l->fd = dirfd;
	l->pos = l->len = 0;
	l->end = false;
	l->quick = LIST_LOOKS;
	l->chunks = 0;
	l->ctime = change_time(dirfd);
	names_clear(&l->given);
	if (!l->buf)
		l->buf = xmalloc(BUF_SIZE);
	(void)lseek(dirfd, 0, SEEK_SET);
}

void list_done(struct list *l)
{
	close_ahead(l);
	free(l->v);
	free(l->buf);
	str_done(&l->names);
	names_done(&l->given);
	*l = (struct list){0};
}

const char *list_name(const struct list *l, const struct list_item *i)
{
	return l->names.buf + i->name;
}

static void add(struct list *l, const struct dirent64 *d)
{
	if (d->d_name[0] == '.' && (!d->d_name[1] || (d->d_name[1] == '.' && !d->d_name[2])))
		return;
	if (l->n == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 64;
		l->v = xreallocarray(l->v, l->cap, sizeof(*l->v));
	}
	l->v[l->n++] = (struct list_item){.id = d->d_ino,
		.mode = DTTOIF(d->d_type),
		.name = (uint32_t)l->names.len,
		.fd = -1};
	str_addn(&l->names, d->d_name, strlen(d->d_name) + 1);
}

static int read_names(struct list *l, struct err *err)
{
	while (l->n < LIST_CHUNK && !l->end) {
		if (l->pos == l->len) {
			ssize_t n = syscall(SYS_getdents64, l->fd, l->buf, BUF_SIZE);

			if (n < 0 && errno == ENOENT)
				n = 0; /* the folder was removed under us: it is empty */
			if (n < 0)
				return err_errno(err, "list folder");
			l->pos = 0;
			l->len = (size_t)n;
			l->end = n == 0;
			continue;
		}
		add(l, (const struct dirent64 *)(l->buf + l->pos));
		l->pos += ((const struct dirent64 *)(l->buf + l->pos))->d_reclen;
	}
	return 0;
}

static int by_id(const void *a, const void *b)
{
	const struct list_item *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

/* The root of another subvolume: its id is known once it is opened. */
static uint64_t id_of_other(struct walk *w, const char *name)
{
	struct err err = ERR_INIT;
	uint64_t id = 0;

	walk_down(w, name, 0);
	if (walk_fd(w, &err) >= 0)
		id = walk_id(w);
	walk_up(w, 1);
	return id;
}

bool list_seen(struct list_item *i, const struct walk *w, const struct stat *st)
{
	i->id = walk_entry_id(w, st);
	i->ctime = entry_nsec(&st->st_ctim);
	i->size = (uint64_t)st->st_size;
	i->blocks = (uint64_t)st->st_blocks;
	i->mode = st->st_mode;
	i->nlink = (uint32_t)st->st_nlink;
	return i->id != 0;
}

int list_look(struct list *l, struct list_item *i, struct walk *w, struct err *err)
{
	struct stat st;

	if (fstatat(l->fd, list_name(l, i), &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0) {
		_cleanup_free_ char *path = NULL;

		if (errno == ENOENT)
			return 1;
		path = walk_path(w, list_name(l, i));
		return err_errno(err, "stat %s", path);
	}
	if (!list_seen(i, w, &st) && S_ISDIR(st.st_mode))
		i->id = id_of_other(w, list_name(l, i));
	if (!i->id) {
		_cleanup_free_ char *path = walk_path(w, list_name(l, i));

		return err_set(err, ERR_BUSY,
			"%s: another file system is mounted there; unmount it first", path);
	}
	return 0;
}

static int by_name(const void *a, const void *b, void *list)
{
	return strcmp(list_name(list, a), list_name(list, b));
}

/* Drops names that came twice, in this chunk or in one before. */
static void drop_twins(struct list *l)
{
	size_t kept = 0;

	if (l->n > 1)
		qsort_r(l->v, l->n, sizeof(*l->v), by_name, l);
	for (size_t i = 0; i < l->n; i++) {
		const char *name = list_name(l, &l->v[i]);

		if (kept && strcmp(list_name(l, &l->v[kept - 1]), name) == 0)
			continue;
		if (l->chunks && names_see(&l->given, name))
			continue;
		l->v[kept++] = l->v[i];
	}
	l->n = kept;
	for (size_t i = 0; i < l->n && !l->end; i++)
		names_add(&l->given, list_name(l, &l->v[i]));
}

static bool is_left(const struct list *l, const struct list_item *i)
{
	return l->quick == LIST_NAMES || (l->quick == LIST_NO_FILES && S_ISREG(i->mode));
}

int list_more(struct list *l, struct walk *w, struct err *err)
{
	size_t kept = 0;
	int r;

	close_ahead(l);
	str_trunc(&l->names, 0);
	r = read_names(l, err);
	if (r < 0)
		return r;
	if (l->chunks || !l->end || change_time(l->fd) != l->ctime)
		drop_twins(l);
	l->chunks++;
	if (l->n > 1)
		qsort(l->v, l->n, sizeof(*l->v), by_id);
	for (size_t i = 0; i < l->n; i++) {
		r = is_left(l, &l->v[i]) ? 0 : list_look(l, &l->v[i], w, err);
		if (r < 0) {
			l->n = 0;
			return r;
		}
		if (r > 0)
			l->vanished++;
		else
			l->v[kept++] = l->v[i];
	}
	r = l->n > 0;
	l->n = kept;
	return r;
}
