#include "tree/scan.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/alloc.h"

#define ROUNDS_MAX 64 /* folders that moved into folders that moved into ... */

/* From inodes to folders of the index */

struct gather {
	struct sender *s;
	struct idset seen;
	struct id_vec *ret;
	int fs_type;
};

static void add_dir(struct gather *g, uint64_t id)
{
	if (idset_has(&g->seen, id))
		return;
	idset_add(&g->seen, id);
	*id_vec_push(g->ret) = id;
}

static void add_inode(struct gather *g, uint64_t id)
{
	struct index_entry e;
	struct index_dir d;
	uint64_t dir;
	size_t pos = 0;

	if (index_dir(&g->s->ix, id, &d))
		add_dir(g, id);
	while (index_name(&g->s->ix, id, &pos, &e, &dir))
		add_dir(g, dir);
}

/* Looked at by its handle. 0: it is gone, of which we hear otherwise, too; -1: there is no telling.
 */
static int stat_inode(const struct gather *g, const struct watch_item *i, struct stat *ret)
{
	union {
		struct file_handle h;
		char room[sizeof(struct file_handle) + sizeof(((struct watch_handle *)0)->data)];
	} u = {0};
	_cleanup_close_ int fd = -1;
	struct watch_handle h;

	watch_handle_make(g->fs_type, i->inode, i->generation, &h);
	u.h.handle_bytes = h.bytes;
	u.h.handle_type = h.type;
	memcpy(u.h.f_handle, h.data, h.bytes);
	fd = open_by_handle_at(g->s->root, &u.h, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ESTALE ? 0 : -1;
	return fstat(fd, ret) == 0 ? 1 : -1;
}

static bool is_as_known(int64_t ctime, uint32_t flags, const struct stat *st)
{
	return ctime == entry_nsec(&st->st_ctim) && !(flags & (INDEX_F_RACY | INDEX_F_PARTIAL));
}

/* One that may have changed. What is not of this tree is not in the index: nearly all of what
 * happens on a file system of many containers ends here. */
static void add_if_changed(struct gather *g, const struct watch_item *i)
{
	struct index_entry e;
	struct index_dir d;
	struct stat st;
	uint64_t dir;
	size_t pos = 0;
	int there;
	bool is_dir = index_dir(&g->s->ix, i->inode, &d);

	if (!is_dir && !index_name(&g->s->ix, i->inode, &pos, &e, &dir))
		return;
	there = stat_inode(g, i, &st);
	if (there == 0)
		return;
	/* What cannot be looked at is looked at by its name. */
	if (is_dir && (there < 0 || !is_as_known(d.ctime, d.flags, &st)))
		add_dir(g, d.id);
	pos = 0;
	while (index_name(&g->s->ix, i->inode, &pos, &e, &dir))
		if (there < 0 || !is_as_known(e.ctime, e.flags, &st))
			add_dir(g, dir);
}

/* Folders that changed while they were sent, or could not be: they show nothing more. */
static void add_owed(struct gather *g)
{
	struct index_dir d;
	size_t pos = 0;

	while (index_each_dir(&g->s->ix, &pos, &d))
		if (d.flags & INDEX_F_RACY)
			add_dir(g, d.id);
}

static int gather(struct sender *s, struct id_vec *ret, struct err *err)
{
	struct gather g = {.s = s, .ret = ret};
	struct statfs fs;

	if (fstatfs(s->root, &fs) < 0)
		return err_errno(err, "ask what file system it is");
	g.fs_type = (int)fs.f_type;
	add_owed(&g);
	for (size_t i = 0; i < s->changes.n; i++) {
		if (s->changes.v[i].sure)
			add_inode(&g, s->changes.v[i].inode);
		else
			add_if_changed(&g, &s->changes.v[i]);
	}
	idset_done(&g.seen);
	return 0;
}

/* Looking into them */

/* A folder, and what is below it and new. */
static int scan_below(struct scan *sc, uint64_t id, struct err *err)
{
	size_t first = sc->todo.n;
	int r = scan_dir(sc, id, err);

	if (r < 0)
		return r;
	idset_add(&sc->done, id);
	while (r >= 0 && sc->todo.n > first) {
		uint64_t next = sc->todo.v[--sc->todo.n];

		if (idset_has(&sc->done, next))
			continue;
		r = scan_dir(sc, next, err);
		if (r == -ERR_NOT_FOUND) {
			err_clear(err);
			sender_owe(sc->s, next);
			sc->odd = true;
			r = 0;
		}
		idset_add(&sc->done, next);
	}
	return r;
}

/* Those that are not where the index has them are tried again once others have been looked into:
 * that is where they are found. */
static int scan_round(struct scan *sc, struct id_vec *dirs, struct err *err)
{
	size_t left = 0, before = dirs->n;
	int r = 0;

	for (size_t i = 0; i < before && r >= 0; i++) {
		if (idset_has(&sc->done, dirs->v[i]))
			continue;
		r = scan_below(sc, dirs->v[i], err);
		if (r == -ERR_NOT_FOUND) {
			err_clear(err);
			dirs->v[left++] = dirs->v[i];
			r = 0;
		}
		if (r >= 0)
			r = stream_flush(sc->s->s, err);
	}
	dirs->n = left;
	return r < 0 ? r : left < before;
}

/* What was found nowhere must be gone with a folder above it. */
static bool settle_lost(struct scan *sc, const struct id_vec *dirs)
{
	struct index_dir d;

	if (sc->odd && sc->s->a->final)
		return false;
	for (size_t i = 0; i < dirs->n; i++) {
		if (!index_dir(&sc->s->ix, dirs->v[i], &d) || !moves_is_there(&sc->s->moves, &d))
			continue;
		if (sc->s->a->final)
			return false;
		sender_owe(sc->s, d.id); /* it moved while we looked */
		sc->s->res->vanished++;
	}
	return true;
}

static void start_over(struct sender *s, struct id_vec *ret)
{
	moves_done(&s->moves);
	moves_init(&s->moves, &s->ix);
	places_done(&s->places);
	ret->n = 0;
}

int scan_changes(struct sender *s, struct id_vec *ret, struct err *err)
{
	_cleanup_(id_vec_done) struct id_vec dirs = {0};
	struct index_dir root;
	bool whole = false;
	struct scan sc;
	int r = gather(s, &dirs, err);

	s->moves.tracked = true;
	scan_init(&sc, s, ret);
	sc.tracked = true;
	if (index_dir(&s->ix, s->w.root_id, &root))
		(void)moves_see(&s->moves, &root);
	for (int i = 0; r >= 0 && i < ROUNDS_MAX && dirs.n; i++) {
		r = scan_round(&sc, &dirs, err);
		if (r == 0)
			break;
	}
	if (r >= 0)
		whole = settle_lost(&sc, &dirs) && !moves_into_lost(&s->moves, s);
	if (r >= 0 && !whole)
		start_over(s, ret);
	s->res->entries = index_n_dirs(&s->ix) + index_n_names(&s->ix);
	scan_done(&sc);
	return r < 0 ? r : whole;
}
