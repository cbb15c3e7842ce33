#include "tree/diff.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "tree/digest.h"

void diff_begin(struct diff *d, const struct index *ix, uint64_t dir_id, bool use)
{
	*d = (struct diff){.ix = ix};
	d->known = use && index_dir(ix, dir_id, &d->dir);
	d->along = d->known;
}

void diff_done(struct diff *d)
{
	free(d->table);
	d->table = NULL;
}

static struct diff_slot *slot_of(struct diff *d, const char *name)
{
	size_t i = digest_u64(name, strlen(name)) & d->mask;
	struct index_entry e;

	for (; d->table[i].rec; i = (i + 1) & d->mask)
		if (index_at(d->ix, d->dir.first + (uint64_t)(d->table[i].rec - 1) * 8, &e) &&
			strcmp(e.name, name) == 0)
			break;
	return &d->table[i];
}

/* All names into a table; those before the cursor were seen. */
static void make_table(struct diff *d)
{
	uint64_t cursor = d->dir.next;
	struct index_entry e;
	size_t n = 0, size = 16;

	index_rewind(&d->dir);
	while (index_next(d->ix, &d->dir, &e))
		n++;
	while (size < n * 2)
		size *= 2;
	d->table = xcalloc(size, sizeof(*d->table));
	d->mask = size - 1;
	index_rewind(&d->dir);
	while (index_next(d->ix, &d->dir, &e))
		*slot_of(d, e.name) = (struct diff_slot){
			(uint32_t)((e.at - d->dir.first) / 8 + 1), e.at < cursor};
	d->along = false;
}

bool diff_find(struct diff *d, const char *name, struct index_entry *ret)
{
	struct diff_slot *s;

	if (!d->known)
		return false;
	if (d->along) {
		struct index_dir here = d->dir;

		if (index_next(d->ix, &d->dir, ret) && strcmp(ret->name, name) == 0)
			return true;
		d->dir = here;
		make_table(d);
	}
	s = slot_of(d, name);
	if (!s->rec)
		return false;
	s->seen = 1;
	return index_at(d->ix, d->dir.first + (uint64_t)(s->rec - 1) * 8, ret);
}

bool diff_gone(struct diff *d, struct index_entry *ret)
{
	if (!d->known)
		return false;
	if (d->along)
		return index_next(d->ix, &d->dir, ret);
	for (; d->gone_at <= d->mask; d->gone_at++) {
		const struct diff_slot *s = &d->table[d->gone_at];

		if (s->rec && !s->seen) {
			d->gone_at++;
			return index_at(d->ix, d->dir.first + (uint64_t)(s->rec - 1) * 8, ret);
		}
	}
	return false;
}
