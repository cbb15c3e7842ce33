#include "tree/index.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/file.h"
#include "tree/digest.h"
#include "tree/index_file.h"
#include "tree/index_merge.h"

#define BUF_MAX (256u << 10)

/* Reading */

static const struct index_head *head_of(const struct index *ix)
{
	return (const struct index_head *)ix->map;
}

static const struct index_tail *tail_of(const struct index *ix)
{
	return (const struct index_tail *)(ix->map + ix->size - sizeof(struct index_tail));
}

static bool table_ok(const struct index *ix, uint64_t off, uint64_t n, size_t each)
{
	return off % 8 == 0 && off <= ix->size && n <= (ix->size - off) / each;
}

static bool file_ok(const struct index *ix)
{
	const struct index_head *h = head_of(ix);
	const struct index_tail *t = tail_of(ix);

	return ix->size >= sizeof(*h) + sizeof(*t) && ix->size % 8 == 0 &&
	       h->magic == INDEX_MAGIC && t->magic == INDEX_MAGIC &&
	       table_ok(ix, t->dirs, t->n_dirs, sizeof(struct dir_slot)) &&
	       table_ok(ix, t->names, t->n_names, sizeof(struct name_slot)) &&
	       t->sum == digest_u64(ix->map, ix->size - sizeof(*t));
}

uint64_t index_stamp_sum(const struct watch_stamp *s)
{
	return digest_u64(s, sizeof(*s));
}

static void read_stamp(struct index *ix)
{
	const struct index_tail *t = tail_of(ix);
	struct watch_stamp stamp = {t->watch_id, t->watch_cut};

	ix->stamp = index_stamp_sum(&stamp) == t->watch_sum ? stamp : (struct watch_stamp){0};
}

static void unmap(struct index *ix)
{
	if (ix->map)
		munmap((void *)(uintptr_t)ix->map, ix->size);
	ix->map = NULL;
	ix->size = 0;
}

int index_map(const char *path, struct index *ix, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *p;

	ix->distrust = true;
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(err, "open %s", path);
	if (st.st_size < (off_t)(sizeof(struct index_head) + sizeof(struct index_tail)))
		return 0;
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return err_errno(err, "map %s", path);
	ix->map = p;
	ix->size = (size_t)st.st_size;
	if (!file_ok(ix)) {
		unmap(ix); /* damaged: as if there was none */
		return 0;
	}
	ix->distrust = head_of(ix)->flags & INDEX_F_DISTRUST;
	ix->root_id = head_of(ix)->root_id;
	ix->pending = head_of(ix)->pending;
	ix->batch = head_of(ix)->batch;
	ix->id_map = head_of(ix)->map;
	read_stamp(ix);
	return 0;
}

int index_open(
	const char *path, const struct tree_resume *resume, struct index *ret, struct err *err)
{
	struct index ix = {.part = -1, .distrust = true};
	int r;

	if (!path) {
		*ret = ix;
		return 0;
	}
	r = index_merge_broken(path, resume, err);
	if (r >= 0)
		r = index_map(path, &ix, err);
	if (r < 0)
		return r;
	ix.path = xstrdup(path);
	*ret = ix;
	return 0;
}

void index_done(struct index *ix)
{
	unmap(ix);
	if (ix->part >= 0)
		close(ix->part);
	ix->part = -1;
	str_done(&ix->buf);
	free(ix->path);
	ix->path = NULL;
}

static const struct dir_slot *slots(const struct index *ix, size_t *ret_n)
{
	*ret_n = ix->map ? tail_of(ix)->n_dirs : 0;
	return ix->map ? (const struct dir_slot *)(ix->map + tail_of(ix)->dirs) : NULL;
}

static void fill_dir(
	const struct index *ix, const struct dir_slot *all, size_t number, struct index_dir *ret)
{
	const struct dir_slot *s = &all[number];
	const struct rec_dir *d = (const struct rec_dir *)(ix->map + s->dir);
	const struct rec_done *e = (const struct rec_done *)(ix->map + s->done);

	*ret = (struct index_dir){.id = d->id,
		.parent = d->parent,
		.name = rec_name(d, sizeof(*d)),
		.ctime = e->ctime,
		.meta = e->meta,
		.facts = e->facts,
		.flags = (uint32_t)e->flags,
		.number = number,
		.next = s->dir + d->rec.len,
		.first = s->dir + d->rec.len};
}

bool index_dir(const struct index *ix, uint64_t id, struct index_dir *ret)
{
	size_t n, low = 0;
	const struct dir_slot *s = slots(ix, &n);

	while (low < n) {
		size_t mid = low + (n - low) / 2;

		if (s[mid].id == id) {
			fill_dir(ix, s, mid, ret);
			return true;
		}
		if (s[mid].id < id)
			low = mid + 1;
		else
			n = mid;
	}
	return false;
}

size_t index_n_dirs(const struct index *ix)
{
	size_t n;

	(void)slots(ix, &n);
	return n;
}

size_t index_n_names(const struct index *ix)
{
	return ix->map ? tail_of(ix)->n_names : 0;
}

bool index_each_dir(const struct index *ix, size_t *pos, struct index_dir *ret)
{
	size_t n;
	const struct dir_slot *s = slots(ix, &n);

	if (*pos >= n)
		return false;
	fill_dir(ix, s, (*pos)++, ret);
	return true;
}

void index_fill_entry(const unsigned char *map, uint64_t off, struct index_entry *ret)
{
	const struct rec_entry *e = (const struct rec_entry *)(map + off);
	size_t name_room = (e->rec.name_len + 7u) & ~7u;

	*ret = (struct index_entry){.id = e->id,
		.inode = e->inode,
		.ctime = e->ctime,
		.size = e->size,
		.meta = e->meta,
		.facts = e->facts,
		.mode = e->mode,
		.flags = e->flags,
		.name = rec_name(e, sizeof(*e)),
		.n_blocks = e->n_blocks,
		.blocks = (const uint64_t *)(map + off + sizeof(*e) + name_room),
		.at = off};
	memcpy(ret->content.b, e->content, sizeof(e->content));
}

bool index_at(const struct index *ix, uint64_t at, struct index_entry *ret)
{
	if (!ix->map || !at)
		return false;
	index_fill_entry(ix->map, at, ret);
	return true;
}

bool index_next(const struct index *ix, struct index_dir *d, struct index_entry *ret)
{
	const struct rec *r = (const struct rec *)(ix->map + d->next);

	if (r->type != REC_ENTRY)
		return false;
	index_fill_entry(ix->map, d->next, ret);
	d->next += r->len;
	return true;
}

void index_rewind(struct index_dir *d)
{
	d->next = d->first;
}

/* *pos is 0, or one more than the slot after the last one given. */
bool index_name(const struct index *ix, uint64_t id, size_t *pos, struct index_entry *ret,
	uint64_t *ret_dir)
{
	size_t n = ix->map ? tail_of(ix)->n_names : 0, low = 0, high = n, n_dirs;
	const struct name_slot *s =
		ix->map ? (const struct name_slot *)(ix->map + tail_of(ix)->names) : NULL;

	if (*pos)
		low = *pos - 1;
	while (!*pos && low < high) {
		size_t mid = low + (high - low) / 2;

		if (s[mid].id < id)
			low = mid + 1;
		else
			high = mid;
	}
	if (low >= n || s[low].id != id)
		return false;
	index_fill_entry(ix->map, (uint64_t)s[low].rec * 8, ret);
	*ret_dir = slots(ix, &n_dirs)[s[low].dir].id;
	*pos = low + 2;
	return true;
}

/* Writing the journal */

static void *put(struct index *ix, enum rec_type type, size_t fixed, const char *name)
{
	size_t name_len = name ? strlen(name) + 1 : 0, len = fixed + ((name_len + 7) & ~(size_t)7);
	size_t at = ix->buf.len;
	struct rec *r;

	static const char zeros[sizeof(struct rec_entry)];

	str_addn(&ix->buf, zeros, fixed);
	if (name_len)
		str_addn(&ix->buf, name, name_len);
	while (ix->buf.len < at + len)
		str_addc(&ix->buf, '\0');
	r = (struct rec *)(ix->buf.buf + at);
	*r = (struct rec){.type = type, .name_len = (uint16_t)name_len, .len = (uint32_t)len};
	return r;
}

static void seal(struct rec *r)
{
	r->sum = digest_u64(r + 1, r->len - sizeof(*r));
}

int index_begin(struct index *ix, uint64_t session, uint64_t root_id, uint64_t id_map,
	const struct watch_stamp *stamp, struct err *err)
{
	_cleanup_free_ char *part = NULL;
	struct rec_begin *r;

	if (!ix->path)
		return 0;
	part = xasprintf("%s.part", ix->path);
	ix->part = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (ix->part < 0)
		return err_errno(err, "create %s", part);
	r = put(ix, REC_BEGIN, sizeof(*r), NULL);
	r->session = session;
	r->root_id = root_id;
	r->map = id_map;
	r->watch_id = stamp->id;
	r->watch_cut = stamp->cut;
	seal(&r->rec);
	return index_flush(ix, err);
}

static void flush_if_long(struct index *ix)
{
	struct err err = ERR_INIT;

	if (ix->buf.len > BUF_MAX && index_flush(ix, &err) < 0)
		return; /* it stays in the buffer, and fails again where it can be told */
}

void index_put_dir(struct index *ix, uint64_t id)
{
	struct rec_dir *d = put(ix, REC_DIR, sizeof(*d), "");

	d->id = id;
	seal(&d->rec);
}

static void put_entry(
	struct index *ix, enum rec_type type, const struct index_entry *e, uint64_t at)
{
	size_t start = ix->buf.len;
	struct rec_entry *r = put(ix, type, sizeof(*r), e->name);

	r->id = e->id;
	r->inode = e->inode;
	r->ctime = e->ctime;
	r->size = e->size;
	r->meta = e->meta;
	r->facts = e->facts;
	memcpy(r->content, e->content.b, sizeof(r->content));
	r->mode = e->mode;
	r->flags = e->flags;
	r->n_blocks = e->n_blocks;
	r->at = at;
	if (e->n_blocks) {
		str_addn(&ix->buf, e->blocks, e->n_blocks * sizeof(uint64_t));
		r = (struct rec_entry *)(ix->buf.buf + start);
		r->rec.len += e->n_blocks * (uint32_t)sizeof(uint64_t);
	}
	seal(&r->rec);
	flush_if_long(ix);
}

void index_put(struct index *ix, const struct index_entry *e, uint64_t at)
{
	put_entry(ix, REC_ENTRY, e, at);
}

void index_put_part(struct index *ix, const struct index_entry *e, uint64_t at)
{
	put_entry(ix, REC_PART, e, at);
}

void index_put_done(struct index *ix, const struct index_dir *d, uint64_t at)
{
	struct rec_done *r = put(ix, REC_DONE, sizeof(*r), NULL);

	r->id = d->id;
	r->ctime = d->ctime;
	r->meta = d->meta;
	r->facts = d->facts;
	r->flags = d->flags;
	r->at = at;
	seal(&r->rec);
	flush_if_long(ix);
}

void index_put_move(struct index *ix, uint64_t id, bool is_dir, uint64_t from_dir, const char *from,
	uint64_t to_dir, const char *to)
{
	char both[512 + 2];
	size_t n = strlen(from) + 1, m = to ? strlen(to) + 1 : 1;
	struct rec_move *r;
	size_t start = ix->buf.len;

	memcpy(both, from, n);
	memcpy(both + n, to ? to : "", m);
	r = put(ix, REC_MOVE, sizeof(*r), NULL);
	str_addn(&ix->buf, both, n + m);
	while ((ix->buf.len - start) % 8)
		str_addc(&ix->buf, '\0');
	r = (struct rec_move *)(ix->buf.buf + start);
	r->rec.len = (uint32_t)(ix->buf.len - start);
	r->rec.name_len = (uint16_t)n;
	r->to_len = (uint32_t)m;
	r->id = id;
	r->is_dir = is_dir;
	r->from_dir = from_dir;
	r->to_dir = to_dir;
	seal(&r->rec);
	flush_if_long(ix);
}

static void put_pair(struct index *ix, enum rec_type type, uint64_t a, uint64_t b)
{
	struct rec_ack *r = put(ix, type, sizeof(*r), NULL);

	r->applied = a;
	r->synced = b;
	seal(&r->rec);
}

void index_put_ack(struct index *ix, uint64_t applied, uint64_t synced)
{
	put_pair(ix, REC_ACK, applied, synced);
}

void index_put_batch(struct index *ix, uint64_t batch, uint64_t at)
{
	put_pair(ix, REC_BATCH, batch, at);
}

void index_put_owed(struct index *ix, uint64_t id)
{
	put_pair(ix, REC_OWED, id, 0);
}

void index_put_written(struct index *ix, uint64_t id)
{
	put_pair(ix, REC_WRITTEN, id, 0);
}

void index_put_end(struct index *ix, uint64_t at)
{
	put_pair(ix, REC_END, at, 0);
}

int index_flush(struct index *ix, struct err *err)
{
	int r;

	if (ix->part < 0)
		str_trunc(&ix->buf, 0); /* nobody wants one */
	if (!ix->buf.len)
		return 0;
	r = fd_write_all(ix->part, ix->buf.buf, ix->buf.len, CLOCK_NEVER, err);
	if (r < 0)
		return err_prefix(err, "%s.part", ix->path);
	ix->part_off += ix->buf.len;
	str_trunc(&ix->buf, 0);
	return 0;
}

int index_sync(struct index *ix, struct err *err)
{
	int r = index_flush(ix, err);

	if (r >= 0 && fdatasync(ix->part) < 0)
		return err_errno(err, "sync %s.part", ix->path);
	return r;
}
