#include "tree/moves.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "tree/sender.h"

#define PENDING_MAX (UINT64_C(1) << 32)

void moves_init(struct moves *m, const struct index *ix)
{
	*m = (struct moves){.ix = ix, .seen = xcalloc(index_n_dirs(ix) / 8 + 1, 1)};
}

void moves_done(struct moves *m)
{
	new_name_vec_done(&m->news);
	idset_done(&m->gone);
	idset_done(&m->gone_ids);
	gone_vec_done(&m->gone_dirs);
	str_done(&m->names);
	free(m->seen);
	move_vec_done(&m->v);
	idset_done(&m->out);
	idset_done(&m->dropped);
	idset_done(&m->made);
	*m = (struct moves){0};
}

static bool was_seen(const struct moves *m, const struct index_dir *d)
{
	return m->seen[d->number / 8] >> (d->number % 8) & 1;
}

bool moves_is_there(const struct moves *m, const struct index_dir *d)
{
	struct index_dir up = *d;

	if (!m->tracked)
		return was_seen(m, d);
	while (!was_seen(m, &up)) {
		if (idset_has(&m->gone_ids, up.id))
			return false;
		if (!index_dir(m->ix, up.parent, &up))
			return true;
	}
	return true;
}

bool moves_see(struct moves *m, const struct index_dir *d)
{
	if (was_seen(m, d))
		return false;
	m->seen[d->number / 8] |= (unsigned char)(1u << (d->number % 8));
	return true;
}

static uint32_t add_name(struct moves *m, const char *name)
{
	size_t at = m->names.len;

	str_addn(&m->names, name, strlen(name) + 1);
	return (uint32_t)at;
}

void moves_new(struct moves *m, uint64_t id, uint64_t dir, const char *name, bool is_dir)
{
	*new_name_vec_push(&m->news) = (struct new_name){id, dir, add_name(m, name), is_dir};
}

void moves_gone(struct moves *m, const struct index_entry *e)
{
	idset_add(&m->gone, e->at);
	if (!S_ISDIR(e->mode) || !e->id)
		return;
	*gone_vec_push(&m->gone_dirs) = e->id;
	if (m->tracked)
		idset_add(&m->gone_ids, e->id);
}

/* Is that folder, or one on the way to it, gone? */
static bool is_lost(const struct moves *m, const struct sender *s, uint64_t dir)
{
	uint64_t parent;
	const char *name;
	struct index_dir d;

	for (;; dir = parent) {
		if (idset_has(&m->gone_ids, dir) && index_dir(m->ix, dir, &d) && !was_seen(m, &d))
			return true;
		if (!sender_place(s, dir, &parent, &name))
			return false;
	}
}

bool moves_into_lost(const struct moves *m, const struct sender *s)
{
	for (size_t i = 0; i < m->news.n; i++)
		if (is_lost(m, s, m->news.v[i].dir))
			return true;
	return false;
}

/* Planning */

static uint32_t depth_of(const struct sender *s, uint64_t dir)
{
	uint64_t parent;
	const char *name;
	uint32_t n = 0;

	while (sender_place(s, dir, &parent, &name)) {
		dir = parent;
		n++;
	}
	return n;
}

static uint32_t index_depth(const struct index *ix, uint64_t dir)
{
	struct index_dir d;
	uint32_t n = 0;

	for (; index_dir(ix, dir, &d) && d.parent; dir = d.parent)
		n++;
	return n;
}

/* The path of a name as the destination has it before the moves. */
static char *old_path(const struct index *ix, uint64_t dir, const char *name)
{
	_cleanup_strv_ char **names = NULL;
	struct str p = STR_INIT;
	struct index_dir d;

	strv_push(&names, name);
	for (; index_dir(ix, dir, &d) && d.parent; dir = d.parent)
		strv_push(&names, d.name);
	for (size_t i = strv_len(names); i-- > 0;) {
		str_add(&p, names[i]);
		if (i)
			str_addc(&p, '/');
	}
	return str_take(&p);
}

static void plan_move(struct moves *m, const struct sender *s, const struct new_name *n,
	uint64_t from_dir, const char *from, uint64_t at)
{
	struct move mv = {.id = n->id,
		.from_dir = from_dir,
		.to_dir = n->dir,
		.at = at,
		.to = n->name,
		.from = add_name(m, from)};

	mv.from_depth = index_depth(m->ix, from_dir);
	mv.to_depth = depth_of(s, n->dir);
	*move_vec_push(&m->v) = mv;
}

/* A file has as many free old names as names of it are gone, or were in folders that are gone. */
static void plan_file(struct moves *m, const struct sender *s, const struct new_name *n)
{
	struct index_entry e;
	struct index_dir d;
	uint64_t dir;
	size_t pos = 0;

	while (index_name(m->ix, n->id, &pos, &e, &dir)) {
		if (!S_ISREG(e.mode) || idset_has(&m->out, e.at) || !index_dir(m->ix, dir, &d))
			continue;
		if (!idset_has(&m->gone, e.at) && moves_is_there(m, &d))
			continue;
		idset_add(&m->out, e.at);
		plan_move(m, s, n, dir, e.name, e.at);
		return;
	}
}

static void plan_made(struct moves *m, struct sender *s, uint64_t dir)
{
	const struct place *p;

	while (!sender_knows(s, dir) && !idset_has(&m->made, dir) &&
		(p = places_find(&s->places, dir))) {
		struct new_name n = {
			p->id, p->parent, add_name(m, s->places.names.buf + p->name), true};

		idset_add(&m->made, dir);
		plan_move(m, s, &n, 0, "", 0);
		dir = n.dir;
	}
}

static int compare_to(const struct move *mv, const struct moves *m, uint64_t dir, const char *name)
{
	if (mv->to_dir != dir)
		return mv->to_dir < dir ? -1 : 1;
	return strcmp(moves_name(m, mv), name);
}

static int by_to(const void *a, const void *b, void *moves)
{
	const struct move *y = b;

	return compare_to(a, moves, y->to_dir, moves_name(moves, y));
}

/* Folders that were found nowhere. */
static void plan_drops(struct moves *m, struct sender *s)
{
	struct index_dir d;

	for (size_t i = 0; i < m->gone_dirs.n; i++) {
		if (!index_dir(m->ix, m->gone_dirs.v[i], &d) || was_seen(m, &d) ||
			idset_has(&m->dropped, d.id))
			continue;
		idset_add(&m->dropped, d.id);
		*move_vec_push(&m->v) = (struct move){.id = d.id,
			.from_dir = d.parent,
			.from = add_name(m, d.name),
			.from_depth = index_depth(m->ix, d.parent)};
		s->res->deleted++;
	}
}

static void plan(struct moves *m, struct sender *s)
{
	struct index_dir d;
	size_t n;

	for (size_t i = 0; i < m->news.n; i++) {
		const struct new_name *nn = &m->news.v[i];

		if (!nn->is_dir)
			plan_file(m, s, nn);
		else if (index_dir(m->ix, nn->id, &d))
			plan_move(m, s, nn, d.parent, d.name, 0);
	}
	n = m->v.n;
	for (size_t i = 0; i < n; i++)
		plan_made(m, s, m->v.v[i].to_dir);
	plan_drops(m, s);
	for (size_t i = 0; i < m->gone.cap; i++) /* nothing is linked from a name that goes */
		if (m->gone.v[i])
			idset_add(&s->killed, m->gone.v[i]);
}

/* Sending */

static struct move **sorted(const struct moves *m, int (*cmp)(const void *, const void *))
{
	struct move **v = xcalloc(m->v.n + 1, sizeof(struct move *));

	for (size_t i = 0; i < m->v.n; i++)
		v[i] = &m->v.v[i];
	if (m->v.n)
		qsort(v, m->v.n, sizeof(struct move *), cmp);
	return v;
}

static int deepest_first(const void *a, const void *b)
{
	const struct move *x = *(struct move *const *)a, *y = *(struct move *const *)b;

	return x->from_depth > y->from_depth ? -1 : x->from_depth < y->from_depth;
}

static int highest_first(const void *a, const void *b)
{
	const struct move *x = *(struct move *const *)a, *y = *(struct move *const *)b;

	return x->to_depth < y->to_depth ? -1 : x->to_depth > y->to_depth;
}

static void path_op(struct opbuf *b, enum op_type type, uint64_t number, const char *path)
{
	op_begin(b, type);
	op_u64(b, ATTR_OFFSET, number);
	op_str(b, ATTR_PATH, path);
	op_end(b);
}

static void put_outs(const struct moves *m, struct opbuf *b)
{
	_cleanup_free_ struct move **v = sorted(m, deepest_first);

	for (size_t i = 0; i < m->v.n; i++) {
		_cleanup_free_ char *path = NULL;

		if (!v[i]->from_dir)
			continue;
		path = old_path(m->ix, v[i]->from_dir, m->names.buf + v[i]->from);
		path_op(b, OP_OUT, (uint64_t)(v[i] - m->v.v), path);
	}
}

static void put_ins(const struct moves *m, const struct sender *s, struct opbuf *b)
{
	_cleanup_free_ struct move **v = sorted(m, highest_first);

	for (size_t i = 0; i < m->v.n; i++) {
		_cleanup_free_ char *path = NULL;

		if (!v[i]->to_dir)
			continue;
		path = sender_path(s, v[i]->to_dir, m->names.buf + v[i]->to);
		path_op(b, v[i]->from_dir ? OP_IN : OP_MAKE, (uint64_t)(v[i] - m->v.v), path);
	}
}

static void put_batch(const struct moves *m, const struct sender *s, struct opbuf *b)
{
	bool drops_only = true;

	for (size_t i = 0; i < m->v.n; i++)
		drops_only = drops_only && !m->v.v[i].to_dir;
	op_begin(b, OP_MOVES);
	op_u64(b, ATTR_SESSION, m->batch);
	op_u32(b, ATTR_FLAGS, drops_only ? OP_F_DROPS : 0);
	op_end(b);
	put_outs(m, b);
	if (!drops_only)
		put_ins(m, s, b);
	op_begin(b, OP_MOVED);
	op_end(b);
}

static char *pending_path(const struct sender *s)
{
	return xasprintf("%s.moves", s->a->index_path);
}

/* Durable before it is sent: then the journal, which from there on counts it as done. */
static int keep_pending(struct moves *m, struct sender *s, const struct opbuf *b, struct err *err)
{
	_cleanup_free_ char *path = pending_path(s), *old = NULL;
	_cleanup_(str_done) struct str all = STR_INIT;
	size_t n = 0;
	int r;

	if (s->ix.pending && file_read(path, PENDING_MAX, &old, &n, err) < 0)
		return -(int)err->code;
	if (n)
		str_addn(&all, old, n);
	str_addn(&all, b->buf, b->len);
	r = file_replace(path, all.buf, all.len, 0600, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < m->v.n; i++) {
		const struct move *mv = &m->v.v[i];

		index_put_move(&s->ix, mv->id, !mv->at, mv->from_dir, m->names.buf + mv->from,
			mv->to_dir, m->names.buf + mv->to);
	}
	return 0;
}

int moves_send(struct moves *m, struct sender *s, struct err *err)
{
	struct opbuf b = {0};
	int r = 0;

	plan(m, s);
	if (m->v.n) {
		m->batch = MAX(s->ix.batch + 1, clock_wall_nsec());
		put_batch(m, s, &b);
		r = sender_flush(s, err);
		if (r >= 0)
			r = keep_pending(m, s, &b, err);
		if (r >= 0) {
			index_put_batch(&s->ix, m->batch, sender_offset(s) + b.len);
			r = index_sync(&s->ix, err);
		}
		if (r >= 0)
			r = stream_write(s->s, b.buf, b.len, err);
		qsort_r(m->v.v, m->v.n, sizeof(*m->v.v), by_to, m);
	}
	opbuf_done(&b);
	return r;
}

int moves_resend(struct sender *s, struct err *err)
{
	_cleanup_free_ char *path = pending_path(s), *text = NULL;
	size_t n;
	int r;

	if (!s->ix.pending)
		return file_remove(path, err);
	r = sender_flush(s, err);
	if (r >= 0)
		r = file_read(path, PENDING_MAX, &text, &n, err);
	if (r < 0)
		return r;
	index_put_batch(&s->ix, s->ix.pending, sender_offset(s) + n);
	r = index_sync(&s->ix, err);
	return r < 0 ? r : stream_write(s->s, text, n, err);
}

/* Asking */

struct move *moves_into(const struct moves *m, uint64_t dir, size_t *pos)
{
	size_t low = 0, high = m->v.n;

	if (*pos)
		low = *pos - 1;
	while (!*pos && low < high) {
		size_t mid = low + (high - low) / 2;

		if (m->v.v[mid].to_dir < dir)
			low = mid + 1;
		else
			high = mid;
	}
	if (low >= m->v.n || m->v.v[low].to_dir != dir)
		return NULL;
	*pos = low + 2;
	return &m->v.v[low];
}

struct move *moves_to(const struct moves *m, uint64_t dir, const char *name)
{
	size_t low = 0, high = m->v.n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int r = compare_to(&m->v.v[mid], m, dir, name);

		if (r == 0)
			return &m->v.v[mid];
		if (r < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

const char *moves_name(const struct moves *m, const struct move *mv)
{
	return m->names.buf + mv->to;
}
