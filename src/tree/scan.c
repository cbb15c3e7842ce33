#include "tree/sender.h"

#include "base/alloc.h"
#include "base/cancel.h"

struct scan {
	struct sender *s;
	struct walk w;
	struct list list;
	struct id_vec todo, *ret;
	uint64_t entries;
};

/* May this name stay as it is? Folders are looked at on their own. */
static bool same(const struct list_item *i, const struct index_entry *old)
{
	if (old->id != i->id || (old->mode & S_IFMT) != (i->mode & S_IFMT))
		return false;
	if (S_ISDIR(i->mode))
		return true;
	return old->ctime == i->ctime && (!S_ISREG(i->mode) || old->size == i->size) &&
	       !(old->flags & (INDEX_F_RACY | INDEX_F_PARTIAL));
}

static int scan_names(struct scan *sc, struct diff *d, bool *ret_dirty, struct err *err)
{
	struct index_entry old;
	bool dirty = false;
	int r;

	while ((r = list_more(&sc->list, &sc->w, err)) > 0) {
		for (size_t k = 0; k < sc->list.n; k++) {
			const struct list_item *i = &sc->list.v[k];
			bool known = diff_find(d, list_name(&sc->list, i), &old) && same(i, &old);

			dirty |= !known;
			if (known && S_ISDIR(i->mode))
				*id_vec_push(&sc->todo) = i->id;
		}
		sc->entries += sc->list.n;
		r = cancel_check(err);
		if (r < 0)
			return r;
	}
	if (r >= 0)
		*ret_dirty |= dirty || diff_gone(d, &old);
	return r;
}

static int scan_dir(struct scan *sc, uint64_t id, struct err *err)
{
	_cleanup_(diff_done) struct diff d = {0};
	bool dirty;
	struct stat st;
	int fd = walk_fd(&sc->w, err), r;

	if (fd == -ERR_NOT_FOUND)
		return sender_changed(sc->s, NULL, "vanished", err);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return err_errno(err, "stat folder");
	diff_begin(&d, &sc->s->ix, id, true);
	if (!d.known) {
		*id_vec_push(sc->ret) = id;
		return 0;
	}
	dirty = d.dir.ctime != entry_nsec(&st.st_ctim) || d.dir.flags & INDEX_F_RACY;
	list_begin(&sc->list, fd);
	r = scan_names(sc, &d, &dirty, err);
	if (r >= 0 && dirty)
		*id_vec_push(sc->ret) = id;
	return r;
}

int scan_tree(struct sender *s, struct id_vec *ret, struct err *err)
{
	struct scan sc = {.s = s, .ret = ret};
	int r = 0;

	walk_init(&sc.w, s->root, true);
	*id_vec_push(&sc.todo) = s->w.root_id;
	while (r >= 0 && sc.todo.n) {
		uint64_t id = sc.todo.v[--sc.todo.n];

		sender_go(s, &sc.w, id);
		r = scan_dir(&sc, id, err);
	}
	s->res->entries = sc.entries;
	walk_done(&sc.w);
	list_done(&sc.list);
	id_vec_done(&sc.todo);
	return r;
}
