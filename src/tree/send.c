#include "tree/tree.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/kernel.h"
#include "base/log.h"
#include "tree/facts.h"
#include "tree/sender.h"

#define RACY_NSEC INT64_C(2000000000)

void tree_result_done(struct tree_result *r)
{
	strv_free(r->unsupported);
	*r = (struct tree_result){0};
}

/* Places */

static size_t slot_of(const struct places *p, uint64_t id)
{
	size_t i = (size_t)((id * UINT64_C(0x9e3779b97f4a7c15)) >> 20) & (p->cap - 1);

	while (p->table[i] && p->v.v[p->table[i] - 1].id != id)
		i = (i + 1) & (p->cap - 1);
	return i;
}

const struct place *places_find(const struct places *p, uint64_t id)
{
	size_t i = p->cap ? slot_of(p, id) : 0;

	return p->cap && p->table[i] ? &p->v.v[p->table[i] - 1] : NULL;
}

void places_put(struct places *p, uint64_t id, uint64_t parent, const char *name)
{
	struct place *at;
	size_t i;

	if (p->v.n * 3 >= p->cap * 2) {
		p->cap = p->cap ? p->cap * 2 : 256;
		free(p->table);
		p->table = xcalloc(p->cap, sizeof(*p->table));
		for (size_t k = 0; k < p->v.n; k++)
			p->table[slot_of(p, p->v.v[k].id)] = (uint32_t)k + 1;
	}
	i = slot_of(p, id);
	at = p->table[i] ? &p->v.v[p->table[i] - 1] : place_vec_push(&p->v);
	*at = (struct place){id, parent, (uint32_t)p->names.len};
	p->table[i] = (uint32_t)(at - p->v.v) + 1;
	str_addn(&p->names, name, strlen(name) + 1);
}

void places_done(struct places *p)
{
	place_vec_done(&p->v);
	str_done(&p->names);
	free(p->table);
	*p = (struct places){0};
}

bool sender_knows(const struct sender *s, uint64_t id)
{
	struct index_dir d;

	return s->use_index && !idset_has(&s->fresh, id) && !idset_has(&s->moves.dropped, id) &&
	       index_dir(&s->ix, id, &d);
}

bool sender_place(const struct sender *s, uint64_t id, uint64_t *ret_parent, const char **ret_name)
{
	const struct place *p = places_find(&s->places, id);
	struct index_dir d;

	if (p) {
		*ret_parent = p->parent;
		*ret_name = s->places.names.buf + p->name;
		return true;
	}
	if (!s->use_index || !index_dir(&s->ix, id, &d) || !d.parent)
		return false;
	*ret_parent = d.parent;
	*ret_name = d.name;
	return true;
}

bool sender_lost(const struct sender *s, uint64_t id)
{
	uint64_t parent;
	const char *name;

	while (!idset_has(&s->moves.dropped, id)) {
		if (!sender_place(s, id, &parent, &name))
			return false;
		id = parent;
	}
	return true;
}

struct step {
	uint64_t id;
	const char *name;
};
VEC(step_vec, struct step);

/* From the folder up to the root. */
static void steps_to(const struct sender *s, uint64_t dir, struct step_vec *ret)
{
	uint64_t parent;
	const char *name;

	for (; sender_place(s, dir, &parent, &name); dir = parent)
		*step_vec_push(ret) = (struct step){dir, name};
}

char *sender_path(const struct sender *s, uint64_t dir, const char *name)
{
	_cleanup_(step_vec_done) struct step_vec steps = {0};
	struct str p = STR_INIT;

	steps_to(s, dir, &steps);
	for (size_t i = steps.n; i-- > 0;) {
		str_add(&p, steps.v[i].name);
		if (i || name)
			str_addc(&p, '/');
	}
	if (name)
		str_add(&p, name);
	return str_take(&p);
}

/* Keeps the levels that are on the way. */
size_t sender_go(const struct sender *s, struct walk *w, uint64_t dir)
{
	_cleanup_(step_vec_done) struct step_vec steps = {0};
	size_t common = 0;

	steps_to(s, dir, &steps);
	while (common < w->n && common < steps.n) {
		const struct step *st = &steps.v[steps.n - 1 - common];

		if (w->v[common].id != st->id || strcmp(w->v[common].name, st->name) != 0)
			break;
		common++;
	}
	walk_up(w, w->n - common);
	for (size_t i = steps.n - common; i-- > 0;)
		walk_down(w, steps.v[i].name, steps.v[i].id);
	return common;
}

/* A folder that is not in the index is found again through the one that it was in. All of those on
 * the way may be in the index by then, and show nothing of their own. */
void sender_owe(struct sender *s, uint64_t id)
{
	const struct place *p;
	struct index_dir d;

	index_put_owed(&s->ix, id);
	while ((idset_has(&s->moves.dropped, id) || !index_dir(&s->ix, id, &d)) &&
		(p = places_find(&s->places, id))) {
		id = p->parent;
		index_put_owed(&s->ix, id);
	}
}

/* The stream */

uint64_t sender_offset(const struct sender *s)
{
	return s->s->n_written + s->out.len;
}

static int take_acks(struct sender *s, struct err *err)
{
	uint64_t applied = 0, synced = 0;
	int r = stream_acked(s->s, &applied, &synced, err);

	if (r < 0 || (applied <= s->applied && synced <= s->synced))
		return r;
	s->applied = MAX(s->applied, applied);
	s->synced = MAX(s->synced, synced);
	index_put_ack(&s->ix, s->applied, s->synced);
	return 0;
}

/* The journal goes first: what it does not know of must not be on its way. */
int sender_flush(struct sender *s, struct err *err)
{
	int r = take_acks(s, err);

	if (!s->sent && s->out.len)
		index_put_ack(&s->ix, s->applied,
			s->synced); /* from here on the destination may know more */
	s->sent |= s->out.len > 0;
	if (r >= 0)
		r = index_flush(&s->ix, err);
	if (r >= 0 && s->out.len)
		r = stream_write(s->s, s->out.buf, s->out.len, err);
	progress_add(s->a->progress, s->out.len);
	s->out.len = 0;
	return r;
}

int sender_flush_if_long(struct sender *s, struct err *err)
{
	return s->out.len >= SEND_BATCH ? sender_flush(s, err) : 0;
}

int sender_changed(struct sender *s, const char *name, const char *how, struct err *err)
{
	_cleanup_free_ char *path = NULL;

	if (!s->a->final)
		return 0;
	path = walk_path(&s->w, name);
	return err_set(err, ERR_STATE, "%s: %s, although the tree should be still", path, how);
}

/* The pass */

static int visit_one(struct sender *s, uint64_t id, struct id_vec *todo, struct err *err)
{
	size_t first = todo->n, common = sender_go(s, &s->w, id);
	int r;

	s->there = MIN(s->there, common);
	r = walk_fd(&s->w, err);
	if (r >= 0 && !idset_has(&s->fresh, id) && sender_lost(s, id))
		r = err_set(err, ERR_NOT_FOUND, "it is back where it was gone");
	if (r == -ERR_NOT_FOUND) { /* its parent shows it, now or in the next pass */
		s->res->vanished++;
		sender_owe(s, id);
		return sender_changed(s, NULL, "vanished", err);
	}
	if (r >= 0)
		r = visit_dir(s, todo, err);
	/* The stack is worked off from its end: the first new folder comes first. */
	for (size_t i = first, k = todo->n; i + 1 < k; i++) {
		uint64_t id_i = todo->v[i];

		todo->v[i] = todo->v[--k];
		todo->v[k] = id_i;
	}
	return r;
}

static int visit_all(struct sender *s, const struct id_vec *dirty, struct err *err)
{
	_cleanup_(id_vec_done) struct id_vec todo = {0};
	int r = 0;

	for (size_t i = 0; i < dirty->n && r >= 0; i++) {
		*id_vec_push(&todo) = dirty->v[i];
		while (todo.n && r >= 0)
			r = visit_one(s, todo.v[--todo.n], &todo, err);
	}
	return r;
}

static void put_begin(struct sender *s)
{
	op_begin(&s->out, OP_BEGIN);
	op_u32(&s->out, ATTR_VERSION, OPS_VERSION);
	op_u64(&s->out, ATTR_SESSION, s->session);
	op_u64(&s->out, ATTR_ID, s->w.root_id);
	op_u32(&s->out, ATTR_FLAGS,
		(s->a->final ? OP_F_FINAL : 0) | (s->use_index ? 0 : OP_F_FRESH));
	op_end(&s->out);
}

/* What moves goes through a folder in the root, which moves the root's own times. */
static void add_root(const struct sender *s, struct id_vec *dirty)
{
	for (size_t i = 0; i < dirty->n; i++)
		if (dirty->v[i] == s->w.root_id)
			return;
	*id_vec_push(dirty) = s->w.root_id;
}

/* Where the destination may be ahead of the index, what changed since is not all. */
static int find_changes(struct sender *s, struct id_vec *dirty, struct err *err)
{
	int r = 0;

	if (s->changes.known && !s->ix.distrust && !s->ix.pending)
		r = scan_changes(s, dirty, err);
	s->res->tracked = r > 0;
	return r ? r : scan_tree(s, dirty, err);
}

static int send_pass(struct sender *s, struct err *err)
{
	_cleanup_(id_vec_done) struct id_vec dirty = {0};
	int r = 0;

	put_begin(s);
	if (!s->use_index) {
		*id_vec_push(&dirty) = s->w.root_id;
	} else {
		r = moves_resend(s, err);
		if (r >= 0)
			r = find_changes(s, &dirty, err);
		if (r >= 0)
			r = moves_send(&s->moves, s, err);
		if (r >= 0 && (s->moves.v.n || s->ix.pending))
			add_root(s, &dirty);
	}
	if (r >= 0)
		r = visit_all(s, &dirty, err);
	if (r < 0)
		return r;
	op_begin(&s->out, OP_END);
	op_end(&s->out);
	index_put_end(&s->ix, sender_offset(s));
	r = sender_flush(s, err);
	if (r >= 0)
		r = stream_flush(s->s, err);
	return r;
}

/* A store through a mapping moves the change time only when its page was clean. So in a live tree
 * all pages are written first: what is stored after that shows, and what bears a time from before
 * that cannot be dirty still. */
static int settle(struct sender *s, struct err *err)
{
	uint64_t now = clock_wall_nsec();

	if (s->a->final && s->a->still_since)
		now = s->a->still_since;
	s->racy_from = (int64_t)now - RACY_NSEC;
	if (!s->a->final && syncfs(s->root) < 0)
		return err_errno(err, "sync the tree");
	return 0;
}

/* Before anything is read: what changes from here on belongs to the next pass. */
static int take_changes(struct sender *s, struct err *err)
{
	struct err e = ERR_INIT;
	int r;

	if (!s->a->watch)
		return 0;
	r = watch_take(s->a->watch, s->root, &s->ix.stamp, &s->changes, &e);
	if (r == -ERR_CANCELLED)
		return err_copy(err, &e);
	if (r < 0)
		log_warning("%s: this pass looks at everything", e.text);
	return 0;
}

static int start(struct sender *s, struct err *err)
{
	uint64_t map = facts_of_map(s->a->idmap);
	int r = index_open(s->a->index_path, s->a->resume, &s->ix, err);

	if (r >= 0)
		r = take_changes(s, err);
	if (r < 0)
		return r;
	s->use_index = s->ix.root_id && s->ix.root_id == s->w.root_id && s->ix.id_map == map;
	if (!s->use_index) {
		s->ix.distrust = true;
		s->ix.pending = 0;
	}
	moves_init(&s->moves, &s->ix);
	if (kernel_random(&s->session, sizeof(s->session)) < 0)
		s->session = clock_wall_nsec();
	s->last_inode = s->session;
	r = settle(s, err);
	if (r >= 0)
		r = index_begin(&s->ix, s->session, s->w.root_id, map, &s->changes.now, err);
	s->applied = s->synced = s->s->n_written;
	return r;
}

int tree_send(const struct tree_send_args *a, struct stream *stream, struct tree_result *ret,
	struct err *err)
{
	struct tree_result res = {0};
	struct sender s = {.a = a, .s = stream, .res = &res, .ix.part = -1};
	int r;

	s.root = walk_private_root(a->rootfd, err);
	if (s.root < 0)
		return s.root;
	walk_init(&s.w, s.root, true);
	r = start(&s, err);
	if (r >= 0)
		r = send_pass(&s, err);
	if (r < 0) { /* what was acknowledged counts for the next pass */
		struct err second = ERR_INIT;

		if (take_acks(&s, &second) >= 0 && index_flush(&s.ix, &second) < 0)
			err_clear(&second);
	}
	walk_done(&s.w);
	opbuf_done(&s.out);
	entry_done(&s.e);
	hardlinks_done(&s.links);
	idset_done(&s.killed);
	places_done(&s.places);
	idset_done(&s.fresh);
	watch_changes_done(&s.changes);
	moves_done(&s.moves);
	index_done(&s.ix);
	close(s.root);
	if (r < 0) {
		tree_result_done(&res);
		return r;
	}
	*ret = res;
	return 0;
}

int tree_commit(const char *index_path, struct err *err)
{
	return index_commit(index_path, err);
}

int tree_forget(const char *index_path, struct err *err)
{
	_cleanup_free_ char *part = xasprintf("%s.part", index_path);
	_cleanup_free_ char *moves = xasprintf("%s.moves", index_path);
	int r = file_remove(part, err);

	if (r >= 0)
		r = file_remove(index_path, err);
	return r < 0 ? r : file_remove(moves, err);
}
