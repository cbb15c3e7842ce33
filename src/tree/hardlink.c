#include "tree/hardlink.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

static size_t spread(uint64_t id, size_t cap)
{
	return (size_t)((id * UINT64_C(0x9e3779b97f4a7c15)) >> 20) & (cap - 1);
}

static size_t find(const struct hardlinks *h, uint64_t id)
{
	size_t i = spread(id, h->cap);

	while (h->v[i].id && h->v[i].id != id)
		i = (i + 1) & (h->cap - 1);
	return i;
}

const struct hardlink *hardlinks_find(const struct hardlinks *h, uint64_t id)
{
	size_t i = h->cap ? find(h, id) : 0;

	return h->cap && h->v[i].id ? &h->v[i] : NULL;
}

const char *hardlinks_name(const struct hardlinks *h, const struct hardlink *l)
{
	return h->names.buf + l->name;
}

static void grow(struct hardlinks *h)
{
	struct hardlinks old = *h;

	h->cap = old.cap ? old.cap * 2 : 256;
	h->v = xcalloc(h->cap, sizeof(*h->v));
	for (size_t i = 0; i < old.cap; i++)
		if (old.v[i].id)
			h->v[find(h, old.v[i].id)] = old.v[i];
	free(old.v);
}

void hardlinks_add(struct hardlinks *h, uint64_t dir, const struct index_entry *e)
{
	struct hardlink *l;

	if (h->n * 3 >= h->cap * 2)
		grow(h);
	l = &h->v[find(h, e->id)];
	h->n += !l->id;
	*l = (struct hardlink){.id = e->id,
		.dir = dir,
		.name = (uint32_t)h->names.len,
		.inode = e->inode,
		.ctime = e->ctime,
		.size = e->size,
		.meta = e->meta,
		.facts = e->facts,
		.content = e->content,
		.flags = e->flags,
		.mode = e->mode};
	str_addn(&h->names, e->name, strlen(e->name) + 1);
}

void hardlinks_done(struct hardlinks *h)
{
	free(h->v);
	str_done(&h->names);
	*h = (struct hardlinks){0};
}

static size_t idset_find(const struct idset *s, uint64_t id)
{
	size_t i = spread(id, s->cap);

	while (s->v[i] && s->v[i] != id)
		i = (i + 1) & (s->cap - 1);
	return i;
}

bool idset_has(const struct idset *s, uint64_t id)
{
	return s->cap && s->v[idset_find(s, id)];
}

void idset_add(struct idset *s, uint64_t id)
{
	if (s->n * 3 >= s->cap * 2) {
		struct idset old = *s;

		s->cap = old.cap ? old.cap * 2 : 64;
		s->v = xcalloc(s->cap, sizeof(*s->v));
		for (size_t i = 0; i < old.cap; i++)
			if (old.v[i])
				s->v[idset_find(s, old.v[i])] = old.v[i];
		free(old.v);
	}
	id = id ? id : 1;
	s->n += !s->v[idset_find(s, id)];
	s->v[idset_find(s, id)] = id;
}

void idset_done(struct idset *s)
{
	free(s->v);
	*s = (struct idset){0};
}
