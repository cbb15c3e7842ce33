#include "storage/zfs_stream.h"

#include <endian.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "storage/place.h"
#include "storage/zfs_dataset.h"

#define HEADER_MAX (256u << 10)

void zfs_parts_free(struct zfs_part_vec *parts)
{
	for (size_t i = 0; i < parts->n; i++) {
		free(parts->v[i].name);
		free(parts->v[i].from);
		json_decref(parts->v[i].props);
	}
	zfs_part_vec_done(parts);
}

void zfs_parts_freep(struct zfs_part_vec *parts)
{
	zfs_parts_free(parts);
}

int zfs_header_write(struct stream *out, const struct zfs_part_vec *parts, struct err *err)
{
	_cleanup_json_ json_t *header = json_object();
	json_t *list = json_array();
	_cleanup_free_ char *text = NULL;
	int r;

	for (size_t i = 0; i < parts->n; i++) {
		const struct zfs_part *p = &parts->v[i];
		json_t *o = json_object();

		json_put_str(o, "name", p->name);
		json_put_str(o, "from", p->from);
		json_put_bool(o, "automount", p->automount);
		json_put_bool(o, "skip", p->skip);
		json_put_bool(o, "resume", p->resume);
		if (p->props)
			json_object_set(o, "props", p->props);
		json_array_append_new(list, o);
	}
	json_put_u64(header, "zfs", 1);
	json_object_set_new(header, "parts", list);
	text = json_text(header);
	r = stream_write(out, text, strlen(text), err);
	return r < 0 ? r : stream_write(out, "\n", 1, err);
}

static int bad(struct err *err, const char *what)
{
	return err_set(err, ERR_PROTOCOL, "zfs stream: %s", what);
}

static int read_line(struct stream *in, struct str *s, struct err *err)
{
	char c;

	for (;;) {
		int r = stream_read_full(in, &c, 1, err);

		if (r < 0 || c == '\n')
			return r;
		if (s->len == HEADER_MAX)
			return bad(err, "its header is too long");
		str_addc(s, c);
	}
}

static const char *parent_of(const char *name, char buf[ZFS_NAME_MAX])
{
	char *slash;

	snprintf(buf, ZFS_NAME_MAX, "%s", name);
	slash = strrchr(buf, '/');
	if (slash)
		*slash = '\0';
	else
		buf[0] = '\0';
	return buf;
}

/* Nested datasets come after what they are in, and once. */
static bool has_place(const struct zfs_part_vec *parts, const char *name)
{
	char buf[ZFS_NAME_MAX];
	bool found = false;

	if (parts->n == 0)
		return *name == '\0';
	for (size_t i = 0; i < parts->n; i++) {
		if (strcmp(parts->v[i].name, name) == 0)
			return false;
		found = found || strcmp(parts->v[i].name, parent_of(name, buf)) == 0;
	}
	return found;
}

static int take_part(const json_t *o, struct zfs_part_vec *parts, struct err *err)
{
	const char *name = json_get_str(o, "name"), *from = json_get_str(o, "from");
	json_t *props = json_object_get(o, "props");

	if (!name || !zfs_relative_ok(name) || !has_place(parts, name))
		return bad(err, "a dataset in it has no place");
	if (from && place_check_snapshot(from, err) < 0)
		return bad(err, "it names a snapshot that cannot be");
	if (props && !json_is_object(props))
		return bad(err, "the properties of a dataset are malformed");
	*zfs_part_vec_push(parts) = (struct zfs_part){.name = xstrdup(name),
		.from = from ? xstrdup(from) : NULL,
		.props = json_incref(props),
		.automount = json_get_bool(o, "automount", false),
		.skip = json_get_bool(o, "skip", false),
		.resume = json_get_bool(o, "resume", false)};
	return 0;
}

int zfs_header_read(struct stream *in, struct zfs_part_vec *ret, struct err *err)
{
	_cleanup_(str_done) struct str line = STR_INIT;
	_cleanup_zfs_parts_ struct zfs_part_vec parts = {0};
	_cleanup_json_ json_t *header = NULL;
	const json_t *list, *o;
	size_t i;
	int r = read_line(in, &line, err);

	if (r < 0)
		return r;
	if (!line.len || json_parse(line.buf, line.len, HEADER_MAX, &header, err) < 0)
		return bad(err, "its header is malformed");
	list = json_object_get(header, "parts");
	if (json_get_u64(header, "zfs", 0) != 1)
		return bad(err, "it is of a form that this version does not know");
	if (!json_is_array(list) || !json_array_size(list) ||
		json_array_size(list) > ZFS_NESTED_MAX)
		return bad(err, "its list of datasets is malformed");
	json_array_foreach(list, i, o)
	{
		r = take_part(o, &parts, err);
		if (r < 0)
			return r;
	}
	*ret = parts;
	parts = (struct zfs_part_vec){0};
	return 0;
}

int zfs_chunk_write(struct stream *out, const void *p, size_t n, struct err *err)
{
	uint32_t length = htole32((uint32_t)n);
	int r = stream_write(out, &length, sizeof(length), err);

	return r < 0 || !n ? r : stream_write(out, p, n, err);
}

int zfs_chunk_read(struct stream *in, void *buf, size_t *ret_n, struct err *err)
{
	uint32_t n;
	int r = stream_read_full(in, &n, sizeof(n), err);

	if (r < 0)
		return r;
	n = le32toh(n);
	if (n > ZFS_CHUNK_MAX)
		return bad(err, "a chunk is too long");
	r = n ? stream_read_full(in, buf, n, err) : 0;
	if (r >= 0)
		*ret_n = n;
	return r;
}

static uint32_t u32_at(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static uint64_t u64_at(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

int zfs_begin_check(const uint8_t *p, size_t n, struct zfs_begin *ret, struct err *err)
{
	enum { BEGIN = 0, SUBSTREAM = 1, OF_FILES = 2, CLONE = 1 };
	const uint64_t magic = 0x2F5bacbac, raw = UINT64_C(1) << 24;
	uint64_t version;

	if (n < ZFS_BEGIN_SIZE || u32_at(p) != BEGIN || u64_at(p + 8) != magic)
		return bad(err, "what comes is not a stream of zfs send");
	version = u64_at(p + 16);
	if ((version & 3) != SUBSTREAM)
		return bad(err, "a package of streams comes, not one");
	if (u32_at(p + 32) != OF_FILES)
		return bad(err, "what comes is not a filesystem");
	if (u32_at(p + 36) & CLONE)
		return bad(err, "a clone of another dataset comes");
	if ((version >> 2) & raw)
		return err_set(err, ERR_UNSUPPORTED,
			"zfs stream: it is raw (encrypted), which is not taken");
	*ret = (struct zfs_begin){.toguid = u64_at(p + 40), .fromguid = u64_at(p + 48)};
	return 0;
}
