#include "tree/sender.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/fd.h"
#include "base/str.h"
#include "tree/digest.h"
#include "tree/facts.h"

#define INLINE_MAX (256u << 10) /* files up to here travel in one operation */
#define AHEAD	   64		/* files opened before they are needed */
#define PART_BYTES (4u << 20)	/* content between two notes in the journal */
#define SAMPLE	   32		/* every such file is not asked for ahead */
#define CACHED	   4		/* samples in a row that were cached: so is the rest */

enum { ITEM_SAME = 1, ITEM_SEND, ITEM_DIR, ITEM_SKIP };

struct visit {
	struct sender *s;
	struct id_vec *ret_new;
	struct list list;
	struct diff diff;
	uint64_t id;
	int dirfd;
	size_t ahead; /* items before this one are open, if they are to be */
	struct stat st[AHEAD];
	bool exact; /* names at the destination that we do not mention are to go */
	bool racy;  /* the folder changed while we looked */
};

static int failed_at(struct visit *v, const char *name, struct err *err)
{
	_cleanup_free_ char *path = walk_path(&v->s->w, name);

	return err_prefix(err, "%s", path);
}

/* Gone, or something else by now. */
static int vanished(struct visit *v, const char *name, struct err *err)
{
	v->racy = true;
	v->s->res->vanished++;
	return sender_changed(v->s, name, "vanished", err);
}

static void name_op(struct visit *v, enum op_type type, const char *name)
{
	op_begin(&v->s->out, type);
	op_str(&v->s->out, ATTR_NAME, name);
	op_end(&v->s->out);
}

/* The destination keeps what it has under that name. */
static void keep(struct visit *v, const struct index_entry *old)
{
	if (v->exact)
		name_op(v, OP_KEEP, old->name);
	index_put(&v->s->ix, old, sender_offset(v->s));
}

/* The same of what gave way to something else. A folder that the index knows nothing about may be
 * made elsewhere, in this pass or a later one: the old name must not claim to be it. */
static void keep_replaced(struct visit *v, const struct index_entry *old)
{
	struct index_entry e = *old;

	if (S_ISDIR(e.mode))
		e.id = 0;
	keep(v, &e);
}

/* The first name in this pass of an inode that has several. If one that was sent earlier is another
 * inode at the destination, the next pass has to look at both: then they become one. */
static void first_name(struct visit *v, const struct index_entry *e)
{
	struct index_entry other;
	uint64_t dir;
	size_t pos = 0;

	hardlinks_add(&v->s->links, v->id, e);
	while (v->s->use_index && index_name(&v->s->ix, e->id, &pos, &other, &dir)) {
		if (other.inode == e->inode)
			continue;
		sender_owe(v->s, dir);
		v->racy = true;
	}
}

static void record(struct visit *v, const struct index_entry *e, bool several)
{
	index_put(&v->s->ix, e, sender_offset(v->s));
	if (several)
		first_name(v, e);
	v->s->res->sent++;
	progress_item(v->s->a->progress, 1);
}

/* Opening */

/* Without the private view a device could hide behind the name of a file: look first, then open
 * what was looked at. */
static int open_file(struct visit *v, const char *name)
{
	int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	int fd = openat(v->dirfd, name, flags | O_NOATIME);

	return fd < 0 && errno == EPERM ? openat(v->dirfd, name, flags) : fd;
}

static bool gone_errno(int e)
{
	return e == ENOENT || e == ELOOP || e == ENXIO || e == ENODEV || e == EACCES;
}

static int open_item(struct visit *v, struct list_item *i, const char *name, struct err *err)
{
	int fd = i->fd;

	i->fd = -1;
	if (fd < 0)
		fd = S_ISREG(i->mode) ? open_file(v, name)
				      : openat(v->dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && gone_errno(errno))
		return -1;
	if (fd < 0) {
		err_errno(err, "open");
		return -2;
	}
	return fd;
}

/* Reads the metadata; 0 if it is another inode by now. */
static int read_item(struct visit *v, int fd, const struct list_item *i, struct err *err)
{
	const struct idmap *map = v->s->a->idmap;
	struct entry *e = &v->s->e;
	struct stat st = {0};
	int r = i->st ? entry_read_rest(fd, false, i->st, map, e, err)
		      : entry_read(fd, !S_ISREG(i->mode), map, e, err);

	if (r < 0)
		return r;
	st.st_ino = e->id;
	st.st_dev = e->dev;
	e->id = walk_entry_id(&v->s->w, &st);
	return (e->mode & S_IFMT) == (i->mode & S_IFMT) && e->id == i->id;
}

static void describe(const struct visit *v, const char *name, struct index_entry *ret)
{
	const struct entry *e = &v->s->e;

	*ret = (struct index_entry){.id = e->id,
		.ctime = e->ctime,
		.size = e->size,
		.meta = entry_digest(e),
		.facts = facts_of_entry(e),
		.mode = e->mode,
		.name = name,
		.flags = e->ctime >= v->s->racy_from ? INDEX_F_RACY : 0};
}

/* Hard links */

static void link_op(struct visit *v, const char *name, uint64_t id, const char *path)
{
	op_begin(&v->s->out, OP_LINK);
	op_str(&v->s->out, ATTR_NAME, name);
	op_u64(&v->s->out, ATTR_ID, id);
	op_str(&v->s->out, ATTR_PATH, path);
	op_end(&v->s->out);
}

/* Regular files */

static int content_more(void *ctx, struct content *c, struct err *err)
{
	return sender_flush_if_long(ctx, err);
}

struct file {
	struct visit *v;
	const struct index_entry
		*old; /* what the destination has there, NULL: nothing that counts */
	struct index_entry new;
	struct content c;
	uint32_t noted; /* blocks in the journal */
};

static int stream_more(void *ctx, struct content *c, struct err *err)
{
	struct file *f = ctx;
	struct sender *s = f->v->s;
	int r = cancel_check(err);

	if (r < 0)
		return r;
	if (c->blocks &&
		(uint64_t)(c->n_blocks - f->noted) * DIGEST_BLOCK << c->shift >= PART_BYTES) {
		struct index_entry part = f->new;

		part.size = f->noted;
		part.blocks = c->blocks + f->noted;
		part.n_blocks = c->n_blocks - f->noted;
		f->noted = c->n_blocks;
		index_put_part(&s->ix, &part, sender_offset(s));
	}
	return sender_flush_if_long(s, err);
}

static void file_op(struct file *f, uint32_t flags)
{
	struct opbuf *b = &f->v->s->out;

	entry_put_ahead(b, &f->v->s->e);
	op_begin(b, OP_FILE);
	op_str(b, ATTR_NAME, f->new.name);
	op_u32(b, ATTR_FLAGS, flags);
	entry_put(b, &f->v->s->e);
}

static int send_small(struct file *f, struct err *err)
{
	struct sender *s = f->v->s;
	size_t start = s->out.len;
	bool same_inode = f->old && f->old->id == f->new.id;
	int r;

	file_op(f, OP_F_WHOLE | (same_inode ? OP_F_PATCH | OP_F_EMPTY : 0));
	r = content_inline(&f->c, err);
	if (r < 0)
		return r;
	op_u64(&s->out, ATTR_SIZE, f->c.sent);
	op_end(&s->out);
	if (same_inode && !(f->old->flags & (INDEX_F_PARTIAL | INDEX_F_SPARSE)) &&
		f->old->size == f->new.size && digest_eq(&f->old->content, &f->c.sum) &&
		!f->c.short_read) {
		s->out.len = start; /* the content is there */
		f->c.sent = 0;
	}
	return 0;
}

/* The table is kept with the name that was sent first, if there are several. */
static bool find_table(const struct file *f, struct index_entry *ret)
{
	const struct index_entry *old = f->old;
	uint64_t dir;
	size_t pos = 0;

	if (old->size && content_shift(old->size) != content_shift(f->new.size))
		return false;
	*ret = *old;
	if (old->flags & INDEX_F_PARTIAL)
		return ret->n_blocks > 0;
	while (!ret->n_blocks && index_name(&f->v->s->ix, old->id, &pos, ret, &dir))
		if (ret->inode != old->inode || !digest_eq(&ret->content, &old->content) ||
			ret->size != old->size || ret->flags & INDEX_F_PARTIAL)
			ret->n_blocks = 0;
	return ret->n_blocks > 0;
}

static int send_large(struct file *f, struct err *err)
{
	struct sender *s = f->v->s;
	bool same_inode = f->old && f->old->id == f->new.id;
	struct index_entry known;
	uint32_t flags = 0;
	int r;

	if (same_inode) {
		flags = OP_F_PATCH;
		if (find_table(f, &known)) {
			f->c.old = known.blocks;
			f->c.n_old = known.n_blocks;
			f->c.tail_unknown = f->old->flags & INDEX_F_PARTIAL;
		} else {
			flags |= OP_F_EMPTY;
		}
	}
	f->c.more = stream_more;
	f->c.ctx = f;
	file_op(f, flags);
	op_u64(&s->out, ATTR_SIZE, f->new.size);
	op_end(&s->out);
	r = content_stream(&f->c, err);
	if (r < 0)
		return r;
	op_begin(&s->out, OP_CLOSE);
	op_end(&s->out);
	return 0;
}

/* A change that a live pass does not notice shows in the next one: what the index has of the file
 * was read before its content. */
static int check_unchanged(struct file *f, int fd, struct err *err)
{
	struct stat st;

	if (!f->v->s->a->final && !f->c.short_read)
		return 0;
	if (fstat(fd, &st) < 0)
		return err_errno(err, "stat");
	if (entry_nsec(&st.st_ctim) == f->new.ctime && (uint64_t)st.st_size == f->new.size &&
		!f->c.short_read)
		return 0;
	f->new.flags |= INDEX_F_RACY | (f->c.short_read ? INDEX_F_PARTIAL : 0);
	return sender_changed(f->v->s, f->new.name, "changed while it was read", err);
}

static void meta_op(struct visit *v, const char *name)
{
	struct opbuf *b = &v->s->out;

	entry_put_ahead(b, &v->s->e);
	op_begin(b, OP_META);
	op_str(b, ATTR_NAME, name);
	entry_put(b, &v->s->e);
	op_end(b);
}

/* The number of blocks tells in the simple cases only: attributes can have some, too. */
static bool has_hole(int fd, uint64_t size, uint64_t blocks)
{
	if (blocks * 512 < size)
		return true;
	return size > 4096 && lseek(fd, 0, SEEK_HOLE) < (off_t)size;
}

/* Has the inode other names than this one, here or by what the index says? */
static bool has_others(
	const struct visit *v, const struct list_item *i, const struct index_entry *old)
{
	struct index_entry e;
	uint64_t dir;
	size_t pos = 0;

	if (i->nlink > 1 || v->s->e.nlink > 1)
		return true;
	while (v->s->use_index && index_name(&v->s->ix, i->id, &pos, &e, &dir))
		if (!old || old->at != e.at)
			return true;
	return false;
}

/* In a tree that is cached, asking the disk ahead is wasted time. */
static bool is_worth_asking(struct sender *s)
{
	return s->cached < CACHED && ++s->opened % SAMPLE;
}

static void note_cached(struct sender *s, const struct list_item *i, bool cached)
{
	if (!cached)
		s->cached = 0;
	else if (!i->asked && s->cached < CACHED)
		s->cached++;
}

static int send_file(struct visit *v, const struct list_item *i, const char *name, int fd,
	const struct index_entry *old, bool linked, struct err *err)
{
	struct sender *s = v->s;
	struct file f = {.v = v,
		.old = old,
		.c = {.fd = fd, .size = s->e.size, .out = &s->out, .more = content_more, .ctx = s}};
	uint64_t at = sender_offset(s);
	bool sent, sparse = has_hole(fd, s->e.size, i->blocks), several = has_others(v, i, old);
	int r;

	describe(v, name, &f.new);
	f.new.flags |= sparse ? INDEX_F_SPARSE : 0;
	f.new.inode = old ? old->inode : ++s->last_inode;
	if (old && several)
		index_put_written(&s->ix, f.new.id);
	if (s->e.size <= INLINE_MAX && !sparse) {
		r = send_small(&f, err);
		note_cached(s, i, f.c.cached);
	} else {
		if (sparse)
			fd_write_back(fd);
		r = send_large(&f, err);
	}
	if (r >= 0)
		r = check_unchanged(&f, fd, err);
	if (r < 0) {
		content_done(&f.c);
		return r;
	}
	sent = sender_offset(s) != at;
	if (!sent && old->meta != f.new.meta)
		meta_op(v, name);
	else if (!sent && v->exact && !linked) /* the link has mentioned it */
		name_op(v, OP_KEEP, name);
	f.new.content = f.c.sum;
	f.new.blocks = f.c.blocks;
	f.new.n_blocks = f.c.blocks ? f.c.n_blocks : 0;
	record(v, &f.new, several);
	s->res->bytes += f.c.sent;
	content_done(&f.c);
	return 0;
}

/* Symlinks, devices, fifos, sockets: one that is not as it was is made anew. */
static void send_node(struct visit *v, const struct list_item *i, const char *name)
{
	struct opbuf *b = &v->s->out;
	struct entry *e = &v->s->e;
	struct index_entry new;

	entry_put_ahead(b, e);
	op_begin(b, OP_NODE);
	op_str(b, ATTR_NAME, name);
	entry_put(b, e);
	if (S_ISLNK(e->mode))
		op_str(b, ATTR_TARGET, e->target);
	if (entry_is_device(e->mode))
		op_u64(b, ATTR_RDEV, (uint64_t)e->major << 32 | e->minor);
	op_end(b);
	describe(v, name, &new);
	new.inode = ++v->s->last_inode;
	record(v, &new, has_others(v, i, NULL));
}

/* Another name of an inode that went already in this pass. */
static void send_linked(
	struct visit *v, const char *name, const struct hardlink *l, const struct index_entry *old)
{
	_cleanup_free_ char *path = NULL;
	struct index_entry e = {.id = l->id,
		.inode = l->inode,
		.ctime = l->ctime,
		.size = l->size,
		.meta = l->meta,
		.facts = l->facts,
		.mode = l->mode,
		.content = l->content,
		.flags = l->flags,
		.name = name};

	if (old && old->id == l->id && digest_eq(&old->content, &l->content)) {
		e.blocks = old->blocks;
		e.n_blocks = old->n_blocks;
	}
	if (old && old->id == l->id && old->inode == l->inode) {
		keep(v, &e);
		return;
	}
	path = sender_path(v->s, l->dir, hardlinks_name(&v->s->links, l));
	link_op(v, name, l->id, path);
	index_put(&v->s->ix, &e, sender_offset(v->s));
	v->s->res->sent++;
}

static bool unchanged(const struct list_item *i, const struct index_entry *old)
{
	return old->id == i->id && (old->mode & S_IFMT) == (i->mode & S_IFMT) &&
	       old->ctime == i->ctime && !(old->flags & (INDEX_F_RACY | INDEX_F_PARTIAL)) &&
	       !S_ISDIR(i->mode) && (!S_ISREG(i->mode) || old->size == i->size);
}

/* Is that name of the index at the destination as the index says? */
static bool is_valid(const struct visit *v, const struct index_entry *e, uint64_t dir)
{
	return v->s->use_index && !idset_has(&v->s->killed, e->at) &&
	       !idset_has(&v->s->moves.out, e->at) && !sender_lost(v->s, dir);
}

/* A new name of an inode that the destination has under another name, which is still there: a link
 * first, then as if it had been here before. */
static bool link_to_known(
	struct visit *v, const char *name, uint64_t id, struct index_entry *ret_old)
{
	_cleanup_free_ char *path = NULL;
	uint64_t dir;
	size_t pos = 0;

	if (v->s->ix.distrust)
		return false;
	while (index_name(&v->s->ix, id, &pos, ret_old, &dir)) {
		if (!S_ISREG(ret_old->mode) || !is_valid(v, ret_old, dir))
			continue;
		path = sender_path(v->s, dir, ret_old->name);
		link_op(v, name, id, path);
		return true;
	}
	return false;
}

/* Another name of an inode that did not change, but this name is not of it at the destination yet.
 */
static bool link_to_same(
	struct visit *v, const struct list_item *i, const char *name, const struct index_entry *old)
{
	_cleanup_free_ char *path = NULL;
	struct index_entry e;
	uint64_t dir;
	size_t pos = 0;

	while (index_name(&v->s->ix, i->id, &pos, &e, &dir)) {
		if (!unchanged(i, &e) || (old && e.at == old->at) || !is_valid(v, &e, dir))
			continue;
		if (!old || old->inode != e.inode) {
			path = sender_path(v->s, dir, e.name);
			link_op(v, name, i->id, path);
		} else if (v->exact) {
			name_op(v, OP_KEEP, name);
		}
		e.name = name;
		record(v, &e, true);
		return true;
	}
	return false;
}

static bool is_node(const struct index_entry *e, const struct index_entry *other)
{
	return e->id == other->id && e->meta == other->meta &&
	       (e->mode & S_IFMT) == (other->mode & S_IFMT);
}

/* A node is all in its metadata. So one that was read just now, as its change time says nothing, is
 * still the inode that the destination has, by this name or by another. */
static bool node_is_there(
	struct visit *v, const struct list_item *i, const char *name, const struct index_entry *old)
{
	_cleanup_free_ char *path = NULL;
	struct index_entry new, e;
	uint64_t dir;
	size_t pos = 0;
	bool found = false;

	if (v->s->ix.distrust)
		return false;
	describe(v, name, &new);
	while (!found && index_name(&v->s->ix, i->id, &pos, &e, &dir))
		found = is_node(&e, &new) && is_valid(v, &e, dir);
	if (found && (!old || old->inode != e.inode)) {
		path = sender_path(v->s, dir, e.name);
		link_op(v, name, i->id, path);
	} else if (!found && !(old && is_node(old, &new))) {
		return false;
	} else if (v->exact) {
		name_op(v, OP_KEEP, name);
	}
	new.inode = found ? e.inode : old->inode;
	record(v, &new, has_others(v, i, old));
	return true;
}

static int send_inode(struct visit *v, struct list_item *i, const char *name,
	const struct index_entry *old, struct err *err)
{
	const struct hardlink *l = i->nlink > 1 ? hardlinks_find(&v->s->links, i->id) : NULL;
	_cleanup_close_ int fd = -1;
	struct index_entry known;
	bool linked = false;
	int r;

	if (old) /* what the index says of it is over */
		idset_add(&v->s->killed, old->at);
	if (l) {
		send_linked(v, name, l, old);
		return 0;
	}
	if (i->nlink > 1 && link_to_same(v, i, name, old))
		return 0;
	fd = open_item(v, i, name, err);
	if (fd == -2)
		return failed_at(v, name, err);
	r = fd < 0 ? 0 : read_item(v, fd, i, err);
	if (r < 0)
		return failed_at(v, name, err);
	if (r == 0) {
		if (old)
			keep_replaced(v, old);
		return vanished(v, name, err);
	}
	if (!S_ISREG(i->mode)) {
		if (!node_is_there(v, i, name, old))
			send_node(v, i, name);
		return 0;
	}
	if (old && (old->id != i->id || !S_ISREG(old->mode) || v->s->ix.distrust) &&
		!(old->flags & INDEX_F_PARTIAL && old->n_blocks))
		old = NULL;
	if (old && old->id != i->id)
		old = NULL;
	if (!old && i->nlink > 1 && link_to_known(v, name, i->id, &known)) {
		old = &known;
		linked = true;
	}
	r = send_file(v, i, name, fd, old, linked, err);
	return r < 0 ? failed_at(v, name, err) : 0;
}

/* Folders */

/* Has the destination got this folder under this very name? */
static bool is_there(const struct visit *v, uint64_t id, const char *name)
{
	const struct place *p = places_find(&v->s->places, id);
	struct index_dir d;

	if (p)
		return p->parent == v->id && strcmp(v->s->places.names.buf + p->name, name) == 0;
	return v->diff.known && index_dir(&v->s->ix, id, &d) && d.parent == v->id &&
	       strcmp(d.name, name) == 0;
}

static int send_subdir(struct visit *v, const struct list_item *i, const char *name,
	const struct index_entry *old, struct err *err)
{
	struct index_entry e = {.id = i->id, .mode = S_IFDIR, .name = name};
	bool known = sender_knows(v->s, i->id), made = idset_has(&v->s->moves.made, i->id);

	if (known && is_there(v, i->id, name)) {
		keep(v, &e);
		return 0;
	}
	if (known || idset_has(&v->s->fresh, i->id) ||
		(made && !is_there(v, i->id, name))) { /* it was elsewhere a moment ago */
		if (old)
			keep_replaced(v, old);
		return vanished(v, name, err);
	}
	op_begin(&v->s->out, OP_MKDIR);
	op_str(&v->s->out, ATTR_NAME, name);
	op_u64(&v->s->out, ATTR_ID, i->id);
	op_end(&v->s->out);
	index_put(&v->s->ix, &e, sender_offset(v->s));
	places_put(&v->s->places, i->id, v->id, name);
	idset_add(&v->s->fresh, i->id);
	*id_vec_push(v->ret_new) = i->id;
	v->s->res->sent++;
	return 0;
}

/* One chunk of names */

/* Is what the index has there gone from there since the moves? */
static bool went_with_moves(const struct visit *v, const struct index_entry *e)
{
	if (!S_ISDIR(e->mode))
		return idset_has(&v->s->moves.out, e->at);
	return idset_has(&v->s->moves.dropped, e->id) ||
	       (sender_knows(v->s, e->id) && !is_there(v, e->id, e->name));
}

/* Folders only go with the moves, before everything else. One that went since then stays, with all
 * in it, until the next pass. */
static bool keeps_dir(struct visit *v, const struct list_item *i, const struct index_entry *old,
	const struct move *mv)
{
	if (mv && !mv->at)
		return mv->id != i->id;
	return old && S_ISDIR(old->mode) && old->id != i->id && sender_knows(v->s, old->id) &&
	       is_there(v, old->id, old->name);
}

/* What the destination has under that name by now: after the moves. */
static void sort_item(struct visit *v, struct list_item *i)
{
	const char *name = list_name(&v->list, i);
	struct move *mv = moves_to(&v->s->moves, v->id, name);
	struct index_entry old;
	bool found = diff_find(&v->diff, name, &old) && !went_with_moves(v, &old);

	i->old = found ? old.at : 0;
	if (keeps_dir(v, i, found ? &old : NULL, mv)) {
		i->state = ITEM_SKIP;
		i->old = mv ? 0 : i->old; /* keep_unmet sees to what moved here */
		return;
	}
	if (found && old.id != i->id)
		idset_add(&v->s->killed, old.at);
	if (mv) {
		mv->met = true;
		i->old = index_at(&v->s->ix, mv->at, &old) ? mv->at : 0;
	}
	if (S_ISDIR(i->mode))
		i->state = ITEM_DIR;
	else
		i->state = i->old && unchanged(i, &old) ? ITEM_SAME : ITEM_SEND;
}

static void sort_out(struct visit *v)
{
	for (size_t k = 0; k < v->list.n; k++)
		sort_item(v, &v->list.v[k]);
}

/* Of a file that was only listed, as it was opened. What is no file any more is looked at by its
 * name. */
static void look_at_open(struct visit *v, struct list_item *i, struct stat *st)
{
	if (fstat(i->fd, st) == 0 && S_ISREG(st->st_mode) && st->st_nlink &&
		list_seen(i, &v->s->w, st)) {
		i->st = st;
		return;
	}
	close(i->fd);
	i->fd = -1;
	i->mode = S_IFREG;
	i->nlink = 0;
}

/* The disk is asked for the next files while this one is read. */
static void open_ahead(struct visit *v, size_t now)
{
	for (; v->ahead < v->list.n && v->ahead < now + AHEAD; v->ahead++) {
		struct list_item *i = &v->list.v[v->ahead];

		if (i->state != ITEM_SEND || !S_ISREG(i->mode) || (i->nlink && !i->size))
			continue;
		i->fd = open_file(v, list_name(&v->list, i));
		if (i->fd >= 0 && !i->nlink)
			look_at_open(v, i, &v->st[v->ahead % AHEAD]);
		if (i->fd < 0 || !i->size)
			continue;
		i->asked = i->size > INLINE_MAX || is_worth_asking(v->s);
		if (i->asked)
			(void)posix_fadvise(
				i->fd, 0, MIN((off_t)i->size, 1 << 20), POSIX_FADV_WILLNEED);
	}
}

static int look(struct visit *v, struct list_item *i, struct err *err)
{
	int r;

	if (i->state != ITEM_SEND || i->nlink)
		return 0;
	r = list_look(&v->list, i, &v->s->w, err);
	if (r > 0)
		i->state = ITEM_SKIP;
	else if (S_ISDIR(i->mode))
		i->state = ITEM_DIR;
	return r < 0 ? r : 0;
}

static int visit_item(struct visit *v, struct list_item *i, const char *name,
	const struct index_entry *old, struct err *err)
{
	const struct hardlink *l = i->nlink > 1 ? hardlinks_find(&v->s->links, i->id) : NULL;

	switch (i->state) {
	case ITEM_DIR: return send_subdir(v, i, name, old, err);
	case ITEM_SEND: return send_inode(v, i, name, old, err);
	case ITEM_SKIP:
		if (old)
			keep(v, old);
		return vanished(v, name, err);
	default: break;
	}
	if (l && l->inode != old->inode) {
		send_linked(v, name, l, old);
		return 0;
	}
	keep(v, old);
	if (i->nlink > 1)
		first_name(v, old);
	return 0;
}

static int visit_chunk(struct visit *v, struct err *err)
{
	int r = 0;

	v->ahead = 0;
	for (size_t k = 0; k < v->list.n && r >= 0; k++) {
		struct list_item *i = &v->list.v[k];
		const char *name = list_name(&v->list, i);
		struct index_entry e, *old = index_at(&v->s->ix, i->old, &e) ? &e : NULL;

		e.name = name; /* it may have moved */
		open_ahead(v, k);
		r = look(v, i, err);
		if (r >= 0)
			r = visit_item(v, i, name, old, err);
		if (r >= 0)
			r = sender_flush_if_long(v->s, err);
	}
	return r;
}

static void drop_gone(struct visit *v)
{
	struct index_entry e;

	while (diff_gone(&v->diff, &e)) {
		idset_add(&v->s->killed, e.at);
		if (went_with_moves(v, &e) || moves_to(&v->s->moves, v->id, e.name))
			continue; /* what moved there took its place */
		if (S_ISDIR(e.mode) && sender_knows(v->s, e.id)) {
			v->racy = true; /* it went after the scan: the next pass sees to it */
			keep(v, &e);
			continue;
		}
		v->s->res->deleted++;
		if (!v->exact)
			name_op(v, OP_DROP, e.name);
	}
}

/* What moved here, but was gone again when we came: it is there nevertheless, until the next pass.
 */
static void keep_unmet(struct visit *v)
{
	struct move *mv;
	size_t pos = 0;

	while ((mv = moves_into(&v->s->moves, v->id, &pos))) {
		struct index_entry e = {.id = mv->id, .mode = S_IFDIR};

		if (mv->met)
			continue;
		(void)index_at(&v->s->ix, mv->at, &e);
		e.name = moves_name(&v->s->moves, mv);
		keep(v, &e);
		v->racy = true;
	}
}

/* The folder's own metadata, last: every change in it moves its times. */
static int send_done(struct visit *v, const struct stat *before, struct err *err)
{
	struct sender *s = v->s;
	struct index_dir d = {.id = v->id, .ctime = entry_nsec(&before->st_ctim)};
	struct stat after;
	int r = entry_read(v->dirfd, false, s->a->idmap, &s->e, err);

	if (r < 0)
		return failed_at(v, NULL, err);
	s->e.id = v->id;
	entry_put_ahead(&s->out, &s->e);
	op_begin(&s->out, OP_DONE);
	entry_put(&s->out, &s->e);
	op_end(&s->out);
	if (fstat(v->dirfd, &after) < 0 || entry_nsec(&after.st_ctim) != d.ctime) {
		v->racy = true;
		r = sender_changed(s, NULL, "changed while it was listed", err);
		if (r < 0)
			return r;
	}
	d.meta = entry_digest(&s->e);
	d.facts = facts_of_entry(&s->e);
	d.flags = v->racy || d.ctime >= s->racy_from ? INDEX_F_RACY : 0;
	index_put_done(&s->ix, &d, sender_offset(s));
	return sender_flush_if_long(s, err);
}

static void dir_op(struct visit *v)
{
	struct sender *s = v->s;
	struct opbuf *b = &s->out;

	for (bool last = false; !last;) {
		size_t n = MIN(s->w.n - s->there, (size_t)OP_NAMES_MAX);

		last = s->there + n == s->w.n;
		op_begin(b, OP_DIR);
		op_u32(b, ATTR_UP, (uint32_t)(s->there_depth - s->there));
		for (size_t i = 0; i < n; i++)
			op_str(b, ATTR_NAME, s->w.v[s->there + i].name);
		op_u64(b, ATTR_ID, last ? v->id : s->w.v[s->there + n - 1].id);
		if (last && v->exact)
			op_u32(b, ATTR_FLAGS, OP_F_EXACT);
		op_end(b);
		s->there += n;
		s->there_depth = s->there;
	}
}

static int visit_names(struct visit *v, struct err *err)
{
	bool first = true;
	int r;

	while ((r = list_more(&v->list, &v->s->w, err)) > 0) {
		sort_out(v);
		if (first && v->list.end)
			drop_gone(v); /* before anything is made: it may be the same space */
		first = false;
		if (!v->diff.known)
			v->s->res->entries += v->list.n;
		r = cancel_check(err);
		if (r >= 0)
			r = visit_chunk(v, err);
		if (r < 0)
			return r;
	}
	if (r >= 0) {
		drop_gone(v);
		keep_unmet(v);
	}
	return r;
}

int visit_dir(struct sender *s, struct id_vec *ret_new, struct err *err)
{
	struct visit v = {.s = s, .ret_new = ret_new, .id = walk_id(&s->w)};
	struct stat before;
	int r = walk_fd(&s->w, err);

	if (r < 0)
		return r;
	v.dirfd = r;
	if (fstat(v.dirfd, &before) < 0)
		return err_errno(err, "stat folder");
	diff_begin(&v.diff, &s->ix, v.id, sender_knows(s, v.id));
	v.exact = !v.diff.known || s->ix.distrust;
	dir_op(&v);
	index_put_dir(&s->ix, v.id);
	list_begin(&v.list, v.dirfd);
	v.list.quick = !v.diff.known && !s->moves.v.n ? LIST_NO_FILES : LIST_LOOKS;
	r = visit_names(&v, err);
	if (r >= 0 && v.list.vanished) {
		v.racy = true;
		s->res->vanished += v.list.vanished;
		r = sender_changed(s, NULL, "a name vanished from it", err);
	}
	if (r >= 0)
		r = send_done(&v, &before, err);
	list_done(&v.list);
	diff_done(&v.diff);
	return r;
}
