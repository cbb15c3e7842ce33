#include "tree/scan.h"

#include "base/alloc.h"
#include "base/cancel.h"

void scan_init(struct scan *sc, struct sender *s, struct id_vec *ret)
{
	*sc = (struct scan){.s = s, .ret = ret};
	walk_init(&sc->w, s->root, true);
}

void scan_done(struct scan *sc)
{
	walk_done(&sc->w);
	list_done(&sc->list);
	id_vec_done(&sc->todo);
	idset_done(&sc->done);
}

static bool same_inode(const struct list_item *i, const struct index_entry *old)
{
	return old->id == i->id && (old->mode & S_IFMT) == (i->mode & S_IFMT);
}

static bool same_file(const struct list_item *i, const struct index_entry *old)
{
	return old->ctime == i->ctime && (!S_ISREG(i->mode) || old->size == i->size) &&
	       !(old->flags & (INDEX_F_RACY | INDEX_F_PARTIAL));
}

/* Did it move below itself while we looked? What is above here is where it was found to be. */
static bool is_above(const struct sender *s, uint64_t here, uint64_t id)
{
	uint64_t parent;
	const char *name;

	while (here != id && sender_place(s, here, &parent, &name))
		here = parent;
	return here == id;
}

/* A folder is looked into where it is met first; false: it is not where the index has it. */
static bool meet_dir(
	struct scan *sc, uint64_t here, const struct list_item *i, const char *name, bool same)
{
	struct sender *s = sc->s;
	struct index_dir d;

	if (!index_dir(&s->ix, i->id, &d)) {
		/* New, but what is in it may have come from elsewhere. */
		if (!places_find(&s->places, i->id)) {
			places_put(&s->places, i->id, here, name);
			*id_vec_push(&sc->todo) = i->id;
		}
		return false;
	}
	if (!moves_see(&s->moves, &d))
		return false;
	if (!same && sc->tracked && is_above(s, here, i->id)) {
		sender_owe(s, i->id);
		return false;
	}
	if (!sc->tracked || d.ctime != i->ctime || d.flags & INDEX_F_RACY)
		*id_vec_push(&sc->todo) = i->id;
	if (same)
		return true;
	places_put(&s->places, i->id, here, name);
	moves_new(&s->moves, i->id, here, name, true);
	return false;
}

static bool scan_name(struct scan *sc, struct diff *d, uint64_t here, const struct list_item *i)
{
	const char *name = list_name(&sc->list, i);
	struct sender *s = sc->s;
	struct index_entry old, other;
	bool found = diff_find(d, name, &old), same = found && same_inode(i, &old);
	uint64_t dir;
	size_t pos = 0;

	if (found && !same)
		moves_gone(&s->moves, &old);
	if (S_ISDIR(i->mode))
		return meet_dir(sc, here, i, name, same);
	if (!same && S_ISREG(i->mode) && !s->ix.distrust &&
		index_name(&s->ix, i->id, &pos, &other, &dir))
		moves_new(&s->moves, i->id, here, name, false);
	return same && same_file(i, &old);
}

static int scan_names(
	struct scan *sc, struct diff *d, uint64_t here, bool *ret_dirty, struct err *err)
{
	struct index_entry old;
	int r;

	while ((r = list_more(&sc->list, &sc->w, err)) > 0) {
		for (size_t k = 0; k < sc->list.n; k++)
			*ret_dirty |= !scan_name(sc, d, here, &sc->list.v[k]);
		if (d->known)
			sc->entries += sc->list.n;
		r = cancel_check(err);
		if (r < 0)
			return r;
	}
	for (; r >= 0 && diff_gone(d, &old); *ret_dirty = true)
		moves_gone(&sc->s->moves, &old);
	return r;
}

int scan_dir(struct scan *sc, uint64_t id, struct err *err)
{
	_cleanup_(diff_done) struct diff d = {0};
	bool dirty;
	struct stat st;
	int fd, r;

	sender_go(sc->s, &sc->w, id);
	fd = walk_fd(&sc->w, err);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return err_errno(err, "stat folder");
	diff_begin(&d, &sc->s->ix, id, true);
	dirty = d.known && (d.dir.ctime != entry_nsec(&st.st_ctim) || d.dir.flags & INDEX_F_RACY);
	list_begin(&sc->list, fd);
	r = scan_names(sc, &d, id, &dirty, err);
	/* New ones are visited with the folder they are in. */
	if (r >= 0 && dirty && (d.known || id == sc->s->w.root_id))
		*id_vec_push(sc->ret) = id;
	return r;
}

int scan_tree(struct sender *s, struct id_vec *ret, struct err *err)
{
	struct index_dir root;
	struct scan sc;
	int r = 0;

	scan_init(&sc, s, ret);
	if (index_dir(&s->ix, s->w.root_id, &root))
		(void)moves_see(&s->moves, &root);
	*id_vec_push(&sc.todo) = s->w.root_id;
	while (r >= 0 && sc.todo.n) {
		uint64_t id = sc.todo.v[--sc.todo.n];

		r = scan_dir(&sc, id, err);
		if (r == -ERR_NOT_FOUND) {
			sender_owe(s, id);
			r = sender_changed(s, NULL, "vanished", err);
		}
		if (r >= 0) /* a long walk that finds nothing must not look like a dead source */
			r = stream_flush(s->s, err);
	}
	s->res->entries = sc.entries;
	scan_done(&sc);
	return r;
}
