#include "model/idmap.h"

#include <string.h>

#include "base/json.h"
#include "base/num.h"
#include "base/str.h"
#include "model/wire.h"

#define ID_LAST (UINT32_MAX - 1) /* the one above means "no id" to the kernel */

static uint64_t end_of(uint32_t start, uint32_t count)
{
	return (uint64_t)start + count;
}

static bool overlap(uint32_t a, uint32_t b, uint32_t na, uint32_t nb)
{
	return a < end_of(b, nb) && b < end_of(a, na);
}

static int add_range(struct idmap *m, const struct idrange *r, struct err *err)
{
	if (m->ranges.n >= IDMAP_RANGES_MAX)
		return err_set(
			err, ERR_INVALID, "an id map has more than %d ranges", IDMAP_RANGES_MAX);
	if (r->count == 0 || end_of(r->ct, r->count) > (uint64_t)ID_LAST + 1 ||
		end_of(r->host, r->count) > (uint64_t)ID_LAST + 1)
		return err_set(err, ERR_INVALID, "the id range %u %u %u has no end within 32 bits",
			r->ct, r->host, r->count);
	for (size_t i = 0; i < m->ranges.n; i++) {
		const struct idrange *o = &m->ranges.v[i];

		if (o->is_gid == r->is_gid &&
			(overlap(o->ct, r->ct, o->count, r->count) ||
				overlap(o->host, r->host, o->count, r->count)))
			return err_set(err, ERR_INVALID,
				"the id ranges %u %u %u and %u %u %u overlap", o->ct, o->host,
				o->count, r->ct, r->host, r->count);
	}
	*idrange_vec_push(&m->ranges) = *r;
	return 0;
}

int idmap_add(struct idmap *m, const char *text, struct err *err)
{
	_cleanup_strv_ char **words = str_words(text);
	struct idrange r = {0};
	bool both;
	int e;

	if (strv_len(words) != 4 || strlen(words[0]) != 1 || !strchr("ugb", words[0][0]))
		return err_set(err, ERR_INVALID,
			"\"%.64s\" is not an id range such as \"u 0 100000 65536\"", text);
	if ((e = num_u32(words[1], ID_LAST, &r.ct, err)) < 0 ||
		(e = num_u32(words[2], ID_LAST, &r.host, err)) < 0 ||
		(e = num_u32(words[3], UINT32_MAX, &r.count, err)) < 0)
		return err_prefix(err, "id range \"%.64s\"", text);
	both = words[0][0] == 'b';
	r.is_gid = words[0][0] == 'g';
	e = add_range(m, &r, err);
	if (e < 0 || !both)
		return e;
	r.is_gid = true;
	return add_range(m, &r, err);
}

int idmap_to_host(const struct idmap *m, bool gid, uint32_t ct, uint32_t *ret)
{
	if (m->ranges.n == 0) {
		*ret = ct;
		return 0;
	}
	for (size_t i = 0; i < m->ranges.n; i++) {
		const struct idrange *r = &m->ranges.v[i];

		if (r->is_gid == gid && ct >= r->ct && ct - r->ct < r->count) {
			*ret = r->host + (ct - r->ct);
			return 0;
		}
	}
	return -1;
}

int idmap_to_disk(const struct idmap *m, bool gid, uint32_t ct, uint32_t *ret)
{
	if (idmap_identity_on_disk(m)) {
		*ret = ct;
		return 0;
	}
	return idmap_to_host(m, gid, ct, ret);
}

int idmap_from_disk(const struct idmap *m, bool gid, uint32_t disk, uint32_t *ret)
{
	if (idmap_identity_on_disk(m)) {
		*ret = disk;
		return 0;
	}
	for (size_t i = 0; i < m->ranges.n; i++) {
		const struct idrange *r = &m->ranges.v[i];

		if (r->is_gid == gid && disk >= r->host && disk - r->host < r->count) {
			*ret = r->ct + (disk - r->host);
			return 0;
		}
	}
	return -1;
}

bool idmap_identity_on_disk(const struct idmap *m)
{
	return m->unshifted || m->ranges.n == 0;
}

/* Is every id of r at the same place in m? Ranges may be cut differently on the two sides. */
static bool maps_alike(const struct idmap *m, const struct idrange *r)
{
	uint64_t id = r->ct;

	while (id < end_of(r->ct, r->count)) {
		const struct idrange *hit = NULL;

		for (size_t i = 0; i < m->ranges.n && !hit; i++) {
			const struct idrange *o = &m->ranges.v[i];

			if (o->is_gid == r->is_gid && id >= o->ct && id < end_of(o->ct, o->count))
				hit = o;
		}
		if (!hit || hit->host + (id - hit->ct) != r->host + (id - r->ct))
			return false;
		id = end_of(hit->ct, hit->count);
	}
	return true;
}

bool idmap_same_on_disk(const struct idmap *a, const struct idmap *b)
{
	if (idmap_identity_on_disk(a) || idmap_identity_on_disk(b))
		return idmap_identity_on_disk(a) && idmap_identity_on_disk(b);
	for (size_t i = 0; i < a->ranges.n; i++)
		if (!maps_alike(b, &a->ranges.v[i]))
			return false;
	for (size_t i = 0; i < b->ranges.n; i++)
		if (!maps_alike(a, &b->ranges.v[i]))
			return false;
	return true;
}

/* Does m have a place for every id of r, wherever? */
static bool has_all(const struct idmap *m, const struct idrange *r)
{
	uint64_t id = r->ct;

	while (id < end_of(r->ct, r->count)) {
		uint64_t next = id;

		for (size_t i = 0; i < m->ranges.n; i++) {
			const struct idrange *o = &m->ranges.v[i];

			if (o->is_gid == r->is_gid && id >= o->ct && id < end_of(o->ct, o->count))
				next = end_of(o->ct, o->count);
		}
		if (next == id)
			return false;
		id = next;
	}
	return true;
}

bool idmap_covers(const struct idmap *m, const struct idmap *from)
{
	static const struct idrange all[] = {{false, 0, 0, UINT32_MAX}, {true, 0, 0, UINT32_MAX}};

	if (m->ranges.n == 0)
		return true;
	if (from->ranges.n == 0)
		return has_all(m, &all[0]) && has_all(m, &all[1]);
	for (size_t i = 0; i < from->ranges.n; i++)
		if (!has_all(m, &from->ranges.v[i]))
			return false;
	return true;
}

char *idrange_text(const struct idrange *r)
{
	return xasprintf("%c %u %u %u", r->is_gid ? 'g' : 'u', r->ct, r->host, r->count);
}

json_t *idmap_json(const struct idmap *m)
{
	_cleanup_strv_ char **ranges = NULL;
	json_t *obj = json_object();

	for (size_t i = 0; i < m->ranges.n; i++) {
		_cleanup_free_ char *text = idrange_text(&m->ranges.v[i]);

		strv_push(&ranges, text);
	}
	wire_put_strv(obj, "ranges", ranges);
	if (m->unshifted)
		json_put_bool(obj, "unshifted", true);
	return obj;
}

struct wire {
	json_t *ranges;
	bool unshifted;
};

static const struct json_field fields[] = {
	JSON_ANY(struct wire, ranges, "ranges", 0),
	JSON_BOOL(struct wire, unshifted, "unshifted", 0),
	JSON_END,
};

int idmap_from_json(const json_t *v, struct idmap *ret, struct err *err)
{
	_cleanup_(idmap_done) struct idmap m = {0};
	_cleanup_strv_ char **ranges = NULL;
	struct wire w = {0};
	int r;

	r = json_read(v, fields, 0, &w, err);
	if (r >= 0)
		r = wire_strv(w.ranges, "ranges", IDMAP_RANGES_MAX, 64, &ranges, err);
	json_decref(w.ranges);
	for (size_t i = 0; r >= 0 && ranges && ranges[i]; i++)
		r = idmap_add(&m, ranges[i], err);
	if (r < 0)
		return r;
	m.unshifted = w.unshifted;
	*ret = m;
	m = (struct idmap){0};
	return 0;
}

void idmap_copy(struct idmap *dst, const struct idmap *src)
{
	*dst = (struct idmap){.unshifted = src->unshifted};
	for (size_t i = 0; i < src->ranges.n; i++)
		*idrange_vec_push(&dst->ranges) = src->ranges.v[i];
}

void idmap_done(struct idmap *m)
{
	idrange_vec_done(&m->ranges);
	m->unshifted = false;
}
