/*
 * ct.migrate.vz: one call, the options of vzmigrate.
 */
#include "daemon/serve.h"
#include "move/vzmigrate.h"

static struct {
	char *ct, *host, *dst_device, *dump_device, *ssh;
	bool dst_pooled, online, keep_dst, dry_run, remove;
} args;

static const struct json_field fields[] = {
	JSON_STR(__typeof__(args), ct, "ct", JSON_REQUIRED, 255),
	JSON_STR(__typeof__(args), host, "host", JSON_REQUIRED, 255),
	JSON_STR(__typeof__(args), dst_device, "dst_device", 0, 1023),
	JSON_STR(__typeof__(args), dump_device, "dump_device", 0, 4095),
	JSON_STR(__typeof__(args), ssh, "ssh", 0, 4095),
	JSON_BOOL(__typeof__(args), dst_pooled, "dst_pooled", 0),
	JSON_BOOL(__typeof__(args), online, "online", 0),
	JSON_BOOL(__typeof__(args), keep_dst, "keep_dst", 0),
	JSON_BOOL(__typeof__(args), dry_run, "dry_run", 0),
	JSON_BOOL(__typeof__(args), remove, "remove", 0),
	JSON_END,
};

int serve_ct_migrate_vz(struct serve *s, json_t **ret, struct err *err)
{
	struct vzmigrate_opts o;
	int r;

	args.remove = true;
	r = serve_args(s, fields, &args, err);
	if (r < 0)
		return r;
	o = (struct vzmigrate_opts){.host = args.host,
		.ct = args.ct,
		.dst_device = args.dst_device,
		.dump_device = args.dump_device,
		.dst_pooled = args.dst_pooled,
		.online = args.online,
		.keep_dst = args.keep_dst,
		.dry_run = args.dry_run,
		.remove = args.remove,
		.ssh = args.ssh};
	return vzmigrate_run(&s->move, &o, ret, err);
}
