#include "tree/tree.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "tree/hardlink.h"
#include "tree/list.h"
#include "tree/walk.h"

struct later {
	uint64_t id;
	size_t depth;
	char *name;
};
VEC(later_vec, struct later);

struct measure {
	struct walk w;
	struct list list;
	struct later_vec todo;
	struct idset linked;
	uint64_t bytes, entries;
};

static void count(struct measure *m, const struct list_item *i, const char *name)
{
	m->entries++;
	if (S_ISDIR(i->mode))
		*later_vec_push(&m->todo) = (struct later){i->id, m->w.n, xstrdup(name)};
	else if (i->nlink > 1 && idset_has(&m->linked, i->id))
		return;
	else if (i->nlink > 1)
		idset_add(&m->linked, i->id);
	m->bytes += i->blocks * 512;
}

static int measure_dir(struct measure *m, struct err *err)
{
	int fd = walk_fd(&m->w, err), r;

	if (fd == -ERR_NOT_FOUND)
		return 0; /* gone meanwhile */
	if (fd < 0)
		return fd;
	list_begin(&m->list, fd);
	while ((r = list_more(&m->list, &m->w, err)) > 0) {
		for (size_t i = 0; i < m->list.n; i++)
			count(m, &m->list.v[i], list_name(&m->list, &m->list.v[i]));
		r = cancel_check(err);
		if (r < 0)
			return r;
	}
	return r;
}

static int measure_all(struct measure *m, struct err *err)
{
	int r = measure_dir(m, err);

	while (r >= 0 && m->todo.n) {
		struct later l = m->todo.v[--m->todo.n];

		walk_up(&m->w, m->w.n - l.depth);
		walk_down(&m->w, l.name, l.id);
		free(l.name);
		r = measure_dir(m, err);
	}
	return r;
}

int tree_measure(int rootfd, uint64_t *ret_bytes, uint64_t *ret_entries, struct err *err)
{
	struct measure m = {0};
	int root = walk_private_root(rootfd, err), r;

	if (root < 0)
		return root;
	walk_init(&m.w, root, true);
	r = measure_all(&m, err);
	while (m.todo.n)
		free(m.todo.v[--m.todo.n].name);
	later_vec_done(&m.todo);
	list_done(&m.list);
	walk_done(&m.w);
	idset_done(&m.linked);
	close(root);
	if (r < 0)
		return r;
	*ret_bytes = m.bytes;
	*ret_entries = m.entries;
	return 0;
}
