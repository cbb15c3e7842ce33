/*
 * vz6 export: a container of this OpenVZ node in a file, converted (archive/archive.h).
 */
#include "archive/archive.h"
#include "base/json.h"
#include "base/num.h"
#include "base/str.h"
#include "vz6/source.h"
#include "vz6/watchdog.h"

#define ZSTD_MAX 19

static int read_compression(const char *word, struct export_opts *o, struct err *err)
{
	static const char *const names[] = {"auto", "off", "gzip", "zstd"};
	uint32_t level;

	if (!word)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (str_eq(word, names[i])) {
			o->compression = (enum archive_compression)i;
			return 0;
		}
	if (num_u32(word, ZSTD_MAX, &level, err) < 0 || level == 0)
		return err_set(err, ERR_INVALID,
			"compression is auto, off, gzip, zstd, or a level of zstd from 1 to %d, "
			"not "
			"%.32s",
			ZSTD_MAX, word);
	o->compression = COMPRESS_ZSTD;
	o->level = (int)level;
	return 0;
}

static int read_format(const char *word, struct export_opts *o, struct err *err)
{
	o->format = str_eq(word, "wherry") ? ARCHIVE_OWN : ARCHIVE_OSCTL;
	if (!word || o->format == ARCHIVE_OWN || str_eq(word, "osctl"))
		return 0;
	return err_set(err, ERR_INVALID, "a format is osctl or wherry, not %.32s", word);
}

int vz6_export(struct vz6 *v, const json_t *args, json_t **ret, struct err *err)
{
	const char *ct = json_get_str(args, "ct");
	struct export_opts o = {.file = json_get_str(args, "file"),
		.fd = -1,
		.consistent = json_get_bool(args, "consistent", true),
		.force = json_get_bool(args, "force", false)};
	int r = read_format(json_get_str(args, "format"), &o, err);

	if (r >= 0)
		r = read_compression(json_get_str(args, "compression"), &o, err);
	if (r >= 0)
		vz6_say_unused(v, args);
	if (r >= 0)
		r = source_from_args(args, &v->source, err);
	if (r >= 0)
		r = vz6_check_awake(ct, err);
	if (r >= 0)
		r = watchdog_start(err);
	if (r < 0)
		return r;
	r = archive_export(&v->move, ct, &o, ret, err);
	if (r >= 0)
		vz6_show_report(v);
	vz6_release(v, ct);
	vz6_at_boot(v);
	return r;
}
