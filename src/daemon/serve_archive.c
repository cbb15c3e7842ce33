/*
 * ct.export, ct.import: the file by its path, or the caller's descriptor.
 */
#include "archive/archive.h"
#include "base/str.h"
#include "daemon/serve.h"

#define PATH_BYTES 4095
#define ZSTD_MAX   19

static struct {
	char *ct, *file, *format, *compression, *as_id, *pool;
	uint64_t max_size;
	bool consistent, force, skel, network, allow_refused, start;
} args = {.consistent = true, .network = true};

static const struct json_field export_fields[] = {
	JSON_STR(__typeof__(args), ct, "ct", JSON_REQUIRED, 64),
	JSON_STR(__typeof__(args), file, "file", 0, PATH_BYTES),
	JSON_STR(__typeof__(args), format, "format", 0, 16),
	JSON_STR(__typeof__(args), compression, "compression", 0, 16),
	JSON_BOOL(__typeof__(args), consistent, "consistent", 0),
	JSON_BOOL(__typeof__(args), force, "force", 0),
	JSON_BOOL(__typeof__(args), skel, "skel", 0),
	JSON_END,
};

static const struct json_field import_fields[] = {
	JSON_STR(__typeof__(args), file, "file", 0, PATH_BYTES),
	JSON_STR(__typeof__(args), as_id, "as_id", 0, 64),
	JSON_STR(__typeof__(args), pool, "pool", 0, 32),
	JSON_U64(__typeof__(args), max_size, "max_size", 0, 0, UINT64_MAX >> 1),
	JSON_BOOL(__typeof__(args), network, "network", 0),
	JSON_BOOL(__typeof__(args), allow_refused, "allow_refused", 0),
	JSON_BOOL(__typeof__(args), start, "start", 0),
	JSON_END,
};

static int check_file(const struct serve *s, struct err *err)
{
	if (args.file && args.file[0] == '/' && args.file[1])
		return 0;
	if (!args.file && s->n_fds == 1)
		return 0;
	return err_set(
		err, ERR_INVALID, "%s: needs the path of a file, or a descriptor", s->call->name);
}

static int read_format(enum archive_format *ret, struct err *err)
{
	if (!args.format || str_eq(args.format, "wherry"))
		*ret = ARCHIVE_OWN;
	else if (str_eq(args.format, "osctl"))
		*ret = ARCHIVE_OSCTL;
	else
		return err_set(
			err, ERR_INVALID, "a format is wherry or osctl, not %s", args.format);
	return 0;
}

static int read_compression(struct export_opts *o, struct err *err)
{
	static const char *const names[] = {"auto", "off", "gzip", "zstd"};
	uint32_t level;

	if (!args.compression)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (str_eq(args.compression, names[i])) {
			o->compression = (enum archive_compression)i;
			return 0;
		}
	if (num_u32(args.compression, ZSTD_MAX, &level, err) < 0 || level == 0)
		return err_set(err, ERR_INVALID,
			"compression is auto, off, gzip, zstd, or a level of zstd from 1 to %d, "
			"not %s",
			ZSTD_MAX, args.compression);
	o->compression = COMPRESS_ZSTD;
	o->level = (int)level;
	return 0;
}

int serve_ct_export(struct serve *s, json_t **ret, struct err *err)
{
	struct export_opts o;
	int r = serve_args(s, export_fields, &args, err);

	if (r >= 0)
		r = check_file(s, err);
	if (r < 0)
		return r;
	o = (struct export_opts){.file = args.file,
		.fd = args.file ? -1 : s->fds[0],
		.consistent = args.consistent,
		.force = args.force,
		.skel = args.skel};
	r = read_format(&o.format, err);
	if (r >= 0)
		r = read_compression(&o, err);
	return r < 0 ? r : archive_export(&s->move, args.ct, &o, ret, err);
}

int serve_ct_import(struct serve *s, json_t **ret, struct err *err)
{
	struct import_opts o;
	int r = serve_args(s, import_fields, &args, err);

	if (r >= 0)
		r = check_file(s, err);
	if (r < 0)
		return r;
	o = (struct import_opts){.file = args.file,
		.fd = args.file ? -1 : s->fds[0],
		.as_id = args.as_id,
		.pool = args.pool,
		.network = args.network,
		.allow_refused = args.allow_refused,
		.start = args.start,
		.max_size = args.max_size};
	return archive_import(&s->move, &o, ret, err);
}
