#include "tree/index_merge.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/vec.h"
#include "tree/digest.h"
#include "tree/facts.h"
#include "tree/hardlink.h"
#include "tree/index_file.h"

#define OUT_MAX (256u << 10)

/* A journal, as far as it is trusted */

struct part_dir {
	uint64_t id, first, end,
		done; /* offsets of its records; done 0: not all of it is trusted */
};
VEC(part_dir_vec, struct part_dir);

struct part_move {
	uint64_t id, from_dir, to_dir;
	const char *from, *to;
	bool is_dir;
};
VEC(part_move_vec, struct part_move);

/* An inode of several names that was changed at the destination through one of them. */
struct written {
	uint64_t id, off;
};
VEC(written_vec, struct written);

struct journal {
	const unsigned char *map;
	size_t size;
	uint64_t session, root_id, map_of_ids, applied, synced, trusted, end;
	uint64_t batches_end; /* moves count once their batch is whole */
	uint64_t batch, pending;
	struct watch_stamp stamp;
	struct idset owed, dropped; /* ids of folders */
	bool sent;		    /* anything at all */
	struct part_dir_vec dirs;   /* sorted by id */
	struct part_move_vec moves; /* by from_dir, from */
	struct part_move_vec ins;   /* the same by to_dir */
	struct written_vec written; /* by id, off */
};

static void journal_done(struct journal *j)
{
	if (j->map)
		munmap((void *)(uintptr_t)j->map, j->size);
	part_dir_vec_done(&j->dirs);
	part_move_vec_done(&j->moves);
	part_move_vec_done(&j->ins);
	written_vec_done(&j->written);
	idset_done(&j->owed);
	idset_done(&j->dropped);
}

/* A crash of the host can leave any tail. */
static bool rec_ok(const struct journal *j, uint64_t off)
{
	const struct rec *r = (const struct rec *)(j->map + off);

	return j->size - off >= sizeof(*r) && r->len >= sizeof(*r) && r->len % 8 == 0 &&
	       r->len <= j->size - off && r->sum == digest_u64(r + 1, r->len - sizeof(*r));
}

static const struct rec *rec_at(const struct journal *j, uint64_t off)
{
	return (const struct rec *)(j->map + off);
}

/* First reading: how far is it whole, and how far was it acknowledged? */
static void journal_scan(struct journal *j)
{
	uint64_t off = 0;

	for (; off < j->size && rec_ok(j, off); off += rec_at(j, off)->len) {
		const struct rec_ack *a = (const struct rec_ack *)rec_at(j, off);

		if (a->rec.type == REC_BEGIN) {
			const struct rec_begin *b = (const struct rec_begin *)a;

			j->session = b->session;
			j->root_id = b->root_id;
			j->map_of_ids = b->map;
			j->stamp = (struct watch_stamp){b->watch_id, b->watch_cut};
		} else if (a->rec.type == REC_ACK) {
			j->sent = true;
			j->applied = a->applied;
			j->synced = a->synced;
		} else if (a->rec.type == REC_END) {
			j->end = a->applied;
		} else if (a->rec.type == REC_BATCH) {
			j->batches_end = off;
		}
	}
	j->size = j->size ? off : 0;
}

static void add_move(struct journal *j, const struct rec_move *m)
{
	const char *from = rec_name(m, sizeof(*m));

	*part_move_vec_push(&j->moves) = (struct part_move){
		m->id, m->from_dir, m->to_dir, from, from + m->rec.name_len, m->is_dir};
	if (!m->to_dir)
		idset_add(&j->dropped, m->id);
}

static int compare_id(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int by_dir_id(const void *a, const void *b)
{
	return compare_id(((const struct part_dir *)a)->id, ((const struct part_dir *)b)->id);
}

static int by_from(const void *pa, const void *pb)
{
	const struct part_move *a = pa, *b = pb;
	int r = compare_id(a->from_dir, b->from_dir);

	return r ? r : strcmp(a->from, b->from);
}

static int by_to(const void *pa, const void *pb)
{
	const struct part_move *a = pa, *b = pb;
	int r = compare_id(a->to_dir, b->to_dir);

	return r ? r : strcmp(a->to, b->to);
}

static int by_written(const void *pa, const void *pb)
{
	const struct written *a = pa, *b = pb;
	int r = compare_id(a->id, b->id);

	return r ? r : compare_id(a->off, b->off);
}

/* Was the inode changed through another name after what lies there was said of it? */
static bool written_since(const struct journal *j, uint64_t id, uint64_t off)
{
	size_t low = 0, high = j->written.n;

	while (low < high) { /* the first that is later */
		size_t mid = low + (high - low) / 2;
		struct written key = {id, off};

		if (by_written(&j->written.v[mid], &key) <= 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low < j->written.n && j->written.v[low].id == id;
}

/* Second reading: the folders and moves that are trusted. */
static void journal_gather(struct journal *j)
{
	struct part_dir *d = NULL;

	for (uint64_t off = 0; off < j->size; off += rec_at(j, off)->len) {
		const struct rec *r = rec_at(j, off);
		const struct rec_entry *e = (const struct rec_entry *)r;
		const struct rec_done *done = (const struct rec_done *)r;
		const struct rec_ack *ack = (const struct rec_ack *)r;

		if (r->type == REC_DIR) {
			d = part_dir_vec_push(&j->dirs);
			*d = (struct part_dir){
				((const struct rec_dir *)r)->id, off + r->len, off + r->len, 0};
		} else if ((r->type == REC_ENTRY || r->type == REC_PART) && d &&
			   e->at <= j->trusted) {
			d->end = off + r->len;
		} else if (r->type == REC_DONE && d && done->at <= j->trusted) {
			d->done = off;
		} else if (r->type == REC_MOVE && off < j->batches_end) {
			add_move(j, (const struct rec_move *)r);
		} else if (r->type == REC_BATCH) {
			j->batch = ack->applied;
			j->pending = ack->synced <= j->trusted ? 0 : ack->applied;
		} else if (r->type == REC_OWED) {
			idset_add(&j->owed, ack->applied);
		} else if (r->type == REC_WRITTEN) {
			*written_vec_push(&j->written) = (struct written){ack->applied, off};
		}
	}
	if (j->written.n)
		qsort(j->written.v, j->written.n, sizeof(*j->written.v), by_written);
	if (j->dirs.n)
		qsort(j->dirs.v, j->dirs.n, sizeof(*j->dirs.v), by_dir_id);
	for (size_t i = 0; i < j->moves.n; i++)
		*part_move_vec_push(&j->ins) = j->moves.v[i];
	if (j->moves.n) {
		qsort(j->moves.v, j->moves.n, sizeof(*j->moves.v), by_from);
		qsort(j->ins.v, j->ins.n, sizeof(*j->ins.v), by_to);
	}
}

/* 0: there is none. */
static int journal_open(const char *path, struct journal *j, struct err *err)
{
	_cleanup_free_ char *part = xasprintf("%s.part", path);
	_cleanup_close_ int fd = open(part, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *p;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(err, "open %s", part);
	if (st.st_size == 0)
		return 1;
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return err_errno(err, "map %s", part);
	j->map = p;
	j->size = (size_t)st.st_size;
	journal_scan(j);
	return 1;
}

static const struct part_dir *journal_dir(const struct journal *j, uint64_t id)
{
	struct part_dir key = {.id = id};

	return j->dirs.n ? bsearch(&key, j->dirs.v, j->dirs.n, sizeof(key), by_dir_id) : NULL;
}

static bool moved_out(const struct journal *j, uint64_t dir, const char *name)
{
	struct part_move key = {.from_dir = dir, .from = name};

	return j->moves.n && bsearch(&key, j->moves.v, j->moves.n, sizeof(key), by_from);
}

static bool moved_in(const struct journal *j, uint64_t dir, const char *name)
{
	struct part_move key = {.to_dir = dir, .to = name};

	return j->ins.n && bsearch(&key, j->ins.v, j->ins.n, sizeof(key), by_to);
}

/* Writing the new file */

VEC(dir_slot_vec, struct dir_slot);
VEC(name_slot_vec, struct name_slot);

struct todo {
	uint64_t id, parent;
	uint64_t place, above; /* of what is in it, of the folder it is in: facts.h */
	const char *name;      /* in one of the maps */
};
VEC(todo_vec, struct todo);

struct merge {
	const struct index *old;
	const struct journal *j;
	int fd; /* -1: only the digest is wanted */
	struct todo here;
	struct digest128 facts;
	uint64_t n_names;
	struct str buf;
	uint64_t off; /* of the end of buf */
	struct dir_slot_vec dirs;
	struct name_slot_vec names;
	struct todo_vec todo;
	struct watch_stamp stamp;
	bool look; /* the folder has to be looked at again */
	bool failed;
	struct err *err;
};

static void out_flush(struct merge *m)
{
	if (!m->failed && m->fd >= 0 &&
		fd_write_all(m->fd, m->buf.buf, m->buf.len, CLOCK_NEVER, m->err) < 0)
		m->failed = true;
	str_trunc(&m->buf, 0);
}

static void out(struct merge *m, const void *p, size_t n)
{
	static const char zeros[8];

	if (m->buf.len + n > OUT_MAX && m->buf.len)
		out_flush(m);
	str_addn(&m->buf, p, n);
	str_addn(&m->buf, zeros, -n & 7);
	m->off += (n + 7) & ~(uint64_t)7;
}

static void add_facts(struct merge *m, uint64_t place, const char *name, uint64_t facts)
{
	struct digest128 d = facts_name(place, name, facts);

	digest_add(&m->facts, &d);
}

static void out_dir(struct merge *m, const struct todo *t)
{
	size_t name_len = strlen(t->name) + 1;
	struct rec_dir d = {
		.rec = {REC_DIR, (uint16_t)name_len, 0, 0}, .id = t->id, .parent = t->parent};

	d.rec.len = (uint32_t)(sizeof(d) + ((name_len + 7) & ~(size_t)7));
	*dir_slot_vec_push(&m->dirs) = (struct dir_slot){t->id, m->off, 0};
	m->here = *t;
	out(m, &d, sizeof(d));
	out(m, t->name, name_len);
}

static void out_entry(struct merge *m, uint64_t dir, const struct index_entry *e)
{
	size_t name_len = strlen(e->name) + 1;
	struct rec_entry r = {.rec = {REC_ENTRY, (uint16_t)name_len, 0, 0},
		.id = e->id,
		.inode = e->inode,
		.ctime = e->ctime,
		.size = e->size,
		.meta = e->meta,
		.facts = e->facts,
		.mode = e->mode,
		.flags = e->flags,
		.n_blocks = e->n_blocks};

	memcpy(r.content, e->content.b, sizeof(r.content));
	r.rec.len = (uint32_t)(sizeof(r) + ((name_len + 7) & ~(size_t)7) + 8 * e->n_blocks);
	if (S_ISDIR(e->mode))
		*todo_vec_push(&m->todo) = (struct todo){
			e->id, dir, facts_place(m->here.place, e->name), m->here.place, e->name};
	else
		add_facts(m, m->here.place, e->name, e->facts);
	m->n_names += !S_ISDIR(e->mode);
	if (!S_ISDIR(e->mode) && m->fd >= 0)
		*name_slot_vec_push(&m->names) = (struct name_slot){
			e->id, (uint32_t)(m->dirs.n - 1), (uint32_t)(m->off / 8)};
	out(m, &r, sizeof(r));
	out(m, e->name, name_len);
	if (e->n_blocks)
		out(m, e->blocks, 8 * (size_t)e->n_blocks);
}

/* The same of what was said there in the journal, or before it (0). */
static void out_said(struct merge *m, uint64_t dir, struct index_entry *e, uint64_t off)
{
	if (S_ISREG(e->mode) && written_since(m->j, e->id, off)) {
		e->size = e->n_blocks = 0;
		e->flags = INDEX_F_PARTIAL | INDEX_F_RACY;
		m->look = true;
	}
	out_entry(m, dir, e);
}

static void out_done(struct merge *m, const struct rec_done *done)
{
	struct rec_done d = *done;

	d.rec = (struct rec){REC_DONE, 0, sizeof(d), 0};
	d.flags |= m->look || idset_has(&m->j->owed, d.id) ? INDEX_F_RACY : 0;
	m->look = false;
	m->dirs.v[m->dirs.n - 1].done = m->off;
	add_facts(m, m->here.above, m->here.name, d.facts);
	out(m, &d, sizeof(d));
}

/* The next record about a name, from off on. Others (acknowledgements) lie between them. */
static bool next_said(
	const struct journal *j, const struct part_dir *d, uint64_t *off, struct index_entry *ret)
{
	for (; *off < d->end; *off += rec_at(j, *off)->len) {
		uint16_t type = rec_at(j, *off)->type;

		if (type != REC_ENTRY && type != REC_PART)
			continue;
		index_fill_entry(j->map, *off, ret);
		return true;
	}
	return false;
}

static bool is_part(const struct journal *j, uint64_t off)
{
	return rec_at(j, off)->type == REC_PART;
}

/* A folder that the pass finished: its block replaces the old one. */
static void merge_whole(struct merge *m, const struct part_dir *d)
{
	struct index_entry e;

	for (uint64_t off = d->first; next_said(m->j, d, &off, &e); off += rec_at(m->j, off)->len)
		if (!is_part(m->j, off))
			out_said(m, d->id, &e, off);
	out_done(m, (const struct rec_done *)(m->j->map + d->done));
}

/* A file whose content was on its way: the blocks that arrived, gathered from the records about
 * them. off goes behind them. */
static void merge_partial_file(
	struct merge *m, const struct part_dir *d, uint64_t *off, struct index_entry *e)
{
	_cleanup_free_ uint64_t *blocks = NULL;
	struct index_entry next;
	uint32_t n = 0;

	while (next_said(m->j, d, off, &next) && next.id == e->id &&
		strcmp(next.name, e->name) == 0) {
		if (!is_part(m->j, *off))
			return; /* it was finished after all */
		if (next.size != n)
			n = 0; /* begun again from the start */
		blocks = xreallocarray(blocks, n + next.n_blocks, 8);
		memcpy(blocks + n, next.blocks, 8 * (size_t)next.n_blocks);
		n += next.n_blocks;
		*off += rec_at(m->j, *off)->len;
	}
	e->blocks = blocks;
	e->n_blocks = n;
	e->size = 0;
	e->flags = INDEX_F_PARTIAL | INDEX_F_RACY;
	out_entry(m, d->id, e);
}

VEC(name_vec, const char *);

static int by_string(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void names_of_part(const struct journal *j, const struct part_dir *d, struct name_vec *ret)
{
	struct index_entry e;

	for (uint64_t off = d->first; next_said(j, d, &off, &e); off += rec_at(j, off)->len)
		*name_vec_push(ret) = e.name;
	if (ret->n)
		qsort(ret->v, ret->n, sizeof(*ret->v), by_string);
}

static void merge_part_entries(struct merge *m, const struct part_dir *d)
{
	uint64_t off = d->first;
	struct index_entry e;

	while (next_said(m->j, d, &off, &e)) {
		if (is_part(m->j, off)) {
			merge_partial_file(m, d, &off, &e);
			continue;
		}
		out_said(m, d->id, &e, off);
		off += rec_at(m->j, off)->len;
	}
}

static bool has_name(const struct name_vec *names, const char *name)
{
	return names->n && bsearch(&name, names->v, names->n, sizeof(*names->v), by_string);
}

/* What moved into the folder, where the pass did not get to say so itself. */
static bool merge_moved_in(struct merge *m, uint64_t dir, const struct name_vec *said)
{
	bool any = false;

	for (size_t i = 0; i < m->j->ins.n; i++) {
		const struct part_move *mv = &m->j->ins.v[i];
		struct index_entry e = {.id = mv->id, .mode = S_IFDIR};
		uint64_t in;
		size_t pos = 0;

		if (mv->to_dir != dir || has_name(said, mv->to))
			continue;
		while (!mv->is_dir && index_name(m->old, mv->id, &pos, &e, &in))
			if (in == mv->from_dir && strcmp(e.name, mv->from) == 0)
				break;
		e.name = mv->to;
		out_said(m, dir, &e, 0);
		any = true;
	}
	return any;
}

/* What the old index says of a folder. One that went with the moves was empty if it came again: the
 * pass met it where it had not looked any more. */
static bool old_dir(const struct merge *m, uint64_t id, struct index_dir *ret)
{
	return !idset_has(&m->j->dropped, id) && index_dir(m->old, id, ret);
}

/* A folder that the pass did not finish: the old block with what is known by now, to be looked at
 * again. */
static void merge_mixed(
	struct merge *m, const struct todo *t, const struct part_dir *d, struct index_dir *old)
{
	_cleanup_(name_vec_done) struct name_vec names = {0};
	struct rec_done done = {.id = t->id,
		.ctime = old ? old->ctime : 0,
		.meta = old ? old->meta : 0,
		.facts = old ? old->facts : 0,
		.flags = old ? old->flags : INDEX_F_RACY};
	struct index_entry e;
	struct index_dir below;

	if (d) {
		names_of_part(m->j, d, &names);
		done.flags |= INDEX_F_RACY;
	}
	while (old && index_next(m->old, old, &e)) {
		bool gone = moved_out(m->j, t->id, e.name) || moved_in(m->j, t->id, e.name);

		/* Nothing is known about it: it may have been made elsewhere. */
		if (S_ISDIR(e.mode) && !old_dir(m, e.id, &below))
			e.id = 0;
		if (gone)
			done.flags |= INDEX_F_RACY;
		else if (!has_name(&names, e.name))
			out_said(m, t->id, &e, 0);
	}
	if (d)
		merge_part_entries(m, d);
	if (merge_moved_in(m, t->id, &names))
		done.flags |= INDEX_F_RACY;
	out_done(m, &done);
}

/* From the root along the names: folders that are no longer named anywhere are gone. */
static int merge_walk(struct merge *m, uint64_t root_id)
{
	size_t most = m->j->dirs.n;
	struct index_dir old;
	size_t pos = 0;

	while (index_each_dir(m->old, &pos, &old))
		most++;
	*todo_vec_push(&m->todo) = (struct todo){
		root_id, 0, FACTS_PLACE_ROOT, FACTS_PLACE_NONE, ""};
	while (m->todo.n && !m->failed) {
		struct todo t = m->todo.v[--m->todo.n];
		const struct part_dir *d = journal_dir(m->j, t.id);
		bool had = old_dir(m, t.id, &old);

		if (!had && (!d || (!d->done && d->end == d->first)))
			continue; /* nothing is known about it yet */
		if (m->dirs.n == most)
			return err_set(m->err, ERR_INTERNAL, "the index names a folder twice");
		out_dir(m, &t);
		if (d && d->done)
			merge_whole(m, d);
		else
			merge_mixed(m, &t, d, had ? &old : NULL);
	}
	return m->failed ? -(int)m->err->code : 0;
}

static int by_slot_id(const void *a, const void *b)
{
	return compare_id(((const struct dir_slot *)a)->id, ((const struct dir_slot *)b)->id);
}

static int by_name_id(const void *a, const void *b)
{
	return compare_id(((const struct name_slot *)a)->id, ((const struct name_slot *)b)->id);
}

/* Names point at their folder by its number in the table, which is only now known. */
static void renumber(struct merge *m)
{
	_cleanup_free_ uint32_t *number = xcalloc(m->dirs.n + 1, sizeof(*number));
	_cleanup_free_ uint64_t *order = xcalloc(m->dirs.n + 1, sizeof(*order));

	for (size_t i = 0; i < m->dirs.n; i++)
		order[i] = m->dirs.v[i].id;
	if (m->dirs.n)
		qsort(m->dirs.v, m->dirs.n, sizeof(*m->dirs.v), by_slot_id);
	for (size_t i = 0; i < m->dirs.n; i++) {
		struct dir_slot key = {.id = order[i]};
		struct dir_slot *s = bsearch(&key, m->dirs.v, m->dirs.n, sizeof(key), by_slot_id);

		number[i] = (uint32_t)(s - m->dirs.v);
	}
	for (size_t i = 0; i < m->names.n; i++)
		m->names.v[i].dir = number[m->names.v[i].dir];
	if (m->names.n)
		qsort(m->names.v, m->names.n, sizeof(*m->names.v), by_name_id);
}

static int out_tail(struct merge *m, const char *path)
{
	struct index_tail t = {.n_dirs = m->dirs.n, .n_names = m->names.n, .magic = INDEX_MAGIC};
	void *p;

	renumber(m);
	t.dirs = m->off;
	out(m, m->dirs.v, m->dirs.n * sizeof(*m->dirs.v));
	t.names = m->off;
	out(m, m->names.v, m->names.n * sizeof(*m->names.v));
	out_flush(m);
	if (m->failed)
		return -(int)m->err->code;
	p = mmap(NULL, m->off, PROT_READ, MAP_SHARED, m->fd, 0);
	if (p == MAP_FAILED)
		return err_errno(m->err, "map %s", path);
	t.sum = digest_u64(p, m->off);
	munmap(p, m->off);
	memcpy(t.facts, m->facts.b, sizeof(t.facts));
	t.watch_id = m->stamp.id;
	t.watch_cut = m->stamp.cut;
	t.watch_sum = index_stamp_sum(&m->stamp);
	out(m, &t, sizeof(t));
	out_flush(m);
	return m->failed ? -(int)m->err->code : 0;
}

static int merge_into(struct merge *m, const char *path, bool distrust)
{
	uint64_t root = m->j->root_id ? m->j->root_id : m->old->root_id;
	struct index_head h = {INDEX_MAGIC, distrust ? INDEX_F_DISTRUST : 0, root, m->old->pending,
		MAX(m->old->batch, m->j->batch), m->j->map_of_ids};
	int r;

	if (m->j->batch)
		h.pending = m->j->pending;

	out(m, &h, sizeof(h));
	r = merge_walk(m, root);
	if (r >= 0)
		r = out_tail(m, path);
	if (r >= 0 && fdatasync(m->fd) < 0)
		r = err_errno(m->err, "sync %s", path);
	return r;
}

static int replace(const char *path, const struct index *old, const struct journal *j,
	bool distrust, struct err *err)
{
	_cleanup_free_ char *new = xasprintf("%s.new", path);
	_cleanup_close_ int fd = open(
		new, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct merge m = {.old = old, .j = j, .fd = fd, .err = err};
	int r;

	if (!distrust) /* of a broken pass it is not known what it has seen */
		m.stamp = j->stamp;
	if (fd < 0)
		return err_errno(err, "create %s", new);
	r = merge_into(&m, new, distrust);
	str_done(&m.buf);
	dir_slot_vec_done(&m.dirs);
	name_slot_vec_done(&m.names);
	todo_vec_done(&m.todo);
	if (r >= 0 && rename(new, path) < 0)
		r = err_errno(err, "replace %s", path);
	if (r < 0)
		unlink(new);
	return r;
}

/* Nothing changed: only since when. */
static int renew_stamp(
	const char *path, size_t size, const struct watch_stamp *stamp, struct err *err)
{
	uint64_t v[3] = {stamp->id, stamp->cut, index_stamp_sum(stamp)};
	_cleanup_close_ int fd = size ? open(path, O_WRONLY | O_CLOEXEC) : -1;

	if (!size)
		return 0;
	if (fd < 0 || pwrite(fd, v, sizeof(v),
			      (off_t)(size - sizeof(struct index_tail) +
				      offsetof(struct index_tail, watch_id))) < 0)
		return err_errno(err, "write %s", path);
	return 0;
}

static int remove_part(const char *path, struct err *err)
{
	_cleanup_free_ char *part = xasprintf("%s.part", path);
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *folder = slash ? xstrndup(path, (size_t)(slash - path)) : xstrdup(".");
	int r = file_sync_dir(*folder ? folder : "/", err); /* the new file first */

	return r < 0 ? r : file_remove(part, err);
}

/* Are both of one tree, read with one map? */
static bool fits(const struct index *old, const struct journal *j)
{
	return !old->root_id || !j->root_id ||
	       (old->root_id == j->root_id && old->id_map == j->map_of_ids);
}

static int merge(const char *path, struct journal *j, bool distrust, struct err *err)
{
	struct index old = {.part = -1};
	int r = index_map(path, &old, err);

	if (r < 0)
		return r;
	if (!fits(&old, j)) {
		index_done(
			&old); /* another tree was sent from there: nothing of the old one counts */
		old = (struct index){.part = -1, .distrust = true};
	}
	if (j->dirs.n || j->batch || j->owed.n || old.distrust != distrust)
		r = replace(path, &old, j, distrust, err);
	else if (!distrust)
		r = renew_stamp(path, old.size, &j->stamp, err);
	index_done(&old);
	return r < 0 ? r : remove_part(path, err);
}

int index_merge_broken(const char *path, const struct tree_resume *resume, struct err *err)
{
	_cleanup_(journal_done) struct journal j = {0};
	int r = journal_open(path, &j, err);

	if (r <= 0)
		return r;
	if (!j.sent)
		return remove_part(path, err);
	j.trusted = resume && resume->session == j.session ? resume->offset : j.synced;
	journal_gather(&j);
	return merge(path, &j, !j.end || j.trusted < j.end, err);
}

int index_commit(const char *path, struct err *err)
{
	_cleanup_(journal_done) struct journal j = {0};
	int r = journal_open(path, &j, err);

	if (r < 0)
		return r;
	if (r == 0)
		return 0; /* committed before */
	if (!j.end)
		return err_set(err, ERR_STATE, "%s: the pass did not end", path);
	j.trusted = UINT64_MAX;
	journal_gather(&j);
	return merge(path, &j, false, err);
}

/* Of the index as it is, without a journal. */
static int sum_of_file(const struct index *ix, struct digest128 *ret, uint64_t *ret_entries)
{
	const struct index_tail *t;

	if (!ix->map || ix->distrust || ix->pending)
		return 0;
	t = (const struct index_tail *)(ix->map + ix->size - sizeof(*t));
	memcpy(ret->b, t->facts, sizeof(ret->b));
	*ret_entries = t->n_dirs + t->n_names;
	return 1;
}

static int sum_with_journal(const struct index *old, struct journal *j, struct digest128 *ret,
	uint64_t *ret_entries, struct err *err)
{
	struct merge m = {.old = old, .j = j, .fd = -1, .err = err};
	uint64_t root = j->root_id ? j->root_id : old->root_id;
	int r;

	j->trusted = UINT64_MAX;
	journal_gather(j);
	if (!j->dirs.n && !j->batch)
		return sum_of_file(old, ret, ret_entries);
	r = merge_walk(&m, root);
	*ret = m.facts;
	*ret_entries = m.dirs.n + m.n_names;
	str_done(&m.buf);
	dir_slot_vec_done(&m.dirs);
	todo_vec_done(&m.todo);
	return r < 0 ? r : 1;
}

int index_sum(const char *path, struct digest128 *ret, uint64_t *ret_entries, struct err *err)
{
	_cleanup_(journal_done) struct journal j = {0};
	struct index old = {.part = -1};
	int r = journal_open(path, &j, err), has_journal = r;

	if (r >= 0)
		r = index_map(path, &old, err);
	if (r < 0)
		return r;
	if (!has_journal)
		r = sum_of_file(&old, ret, ret_entries);
	else if (!j.end || !fits(&old, &j))
		r = 0;
	else
		r = sum_with_journal(&old, &j, ret, ret_entries, err);
	index_done(&old);
	return r;
}
