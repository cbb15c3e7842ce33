#include "tree/changes.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/attr.h"

#define FIRST 1024

void changes_init(struct changes *c)
{
	*c = (struct changes){.v = xcalloc(FIRST, sizeof(*c->v)), .cap = FIRST, .open = 1};
}

void changes_done(struct changes *c)
{
	free(c->v);
	*c = (struct changes){0};
}

static struct change *slot_of(const struct changes *c, uint64_t inode)
{
	size_t i = (size_t)((inode * UINT64_C(0x9e3779b97f4a7c15)) >> 20) & (c->cap - 1);

	while (c->v[i].inode && c->v[i].inode != inode)
		i = (i + 1) & (c->cap - 1);
	return &c->v[i];
}

/* All that is later than since into a table of that size. */
static void rebuild(struct changes *c, size_t cap, uint32_t since)
{
	struct changes old = *c;

	c->v = xcalloc(cap, sizeof(*c->v));
	c->cap = cap;
	c->n = 0;
	for (size_t i = 0; i < old.cap; i++) {
		const struct change *e = &old.v[i];

		if (!e->inode || MAX(e->sure, e->maybe) <= since)
			continue;
		*slot_of(c, e->inode) = *e;
		c->n++;
	}
	free(old.v);
}

void changes_note(struct changes *c, uint64_t inode, uint32_t generation, bool sure)
{
	struct change *e;

	if (c->n == CHANGES_MAX) {
		changes_lose(c);
		return;
	}
	if (c->n * 3 >= c->cap * 2)
		rebuild(c, c->cap * 2, 0);
	e = slot_of(c, inode);
	c->n += !e->inode;
	e->inode = inode;
	e->generation = generation;
	*(sure ? &e->sure : &e->maybe) = c->open;
}

void changes_lose(struct changes *c)
{
	c->lost = c->open;
	rebuild(c, FIRST, UINT32_MAX);
}

uint32_t changes_cut(struct changes *c)
{
	return c->open++;
}

bool changes_complete(const struct changes *c, uint32_t since)
{
	return since && since < c->open && since >= c->floor && c->lost <= since;
}

void changes_drop(struct changes *c, uint32_t since)
{
	size_t cap = FIRST, n = 0;

	c->floor = MAX(c->floor, since);
	for (size_t i = 0; i < c->cap; i++)
		n += c->v[i].inode && MAX(c->v[i].sure, c->v[i].maybe) > since;
	while (n * 3 >= cap)
		cap *= 2;
	if (n < c->n)
		rebuild(c, cap, since);
}
