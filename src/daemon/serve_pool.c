/*
 * pool.*: the folders where containers' files live.
 */
#include <dirent.h>
#include <string.h>

#include "base/str.h"
#include "daemon/serve.h"
#include "node/pools.h"
#include "runtime/runtime.h"
#include "storage/pool.h"

#define DEFAULT "default"

static struct {
	char *name, *path, *driver, *fs, *vg, *devices;
	uint64_t size;
	bool mmp;
} args;

static const struct json_field add_fields[] = {
	JSON_STR(__typeof__(args), name, "name", JSON_REQUIRED, 32),
	JSON_STR(__typeof__(args), path, "path", JSON_REQUIRED, 4095),
	JSON_STR(__typeof__(args), driver, "driver", 0, 16),
	JSON_STR(__typeof__(args), fs, "fs", 0, 7),
	JSON_U64(__typeof__(args), size, "size", 0, 0, INT64_MAX),
	JSON_STR(__typeof__(args), vg, "vg", 0, 255),
	JSON_STR(__typeof__(args), devices, "devices", 0, 65536),
	JSON_BOOL(__typeof__(args), mmp, "mmp", 0),
	JSON_END,
};

static const struct json_field name_fields[] = {
	JSON_STR(__typeof__(args), name, "name", JSON_REQUIRED, 32),
	JSON_END,
};

static json_t *pool_json(const struct pool_record *p)
{
	_cleanup_pool_ struct pool *pool = NULL;
	struct err err = ERR_INIT;
	struct pool_space space;
	json_t *o = json_object();
	int r = pool_probe(p->name, p->path, p->driver, &pool, &err);

	json_put_str(o, "name", p->name);
	json_put_str(o, "path", p->path);
	json_put_str(o, "driver", pool ? pool->driver : p->driver);
	json_put_bool(o, "default", str_eq(p->name, DEFAULT));
	if (r >= 0)
		r = pool_space(pool, &space, &err);
	if (r < 0) { /* a pool that is not mounted is still listed */
		json_put_str(o, "error", err.text);
		return o;
	}
	json_put_u64(o, "total", space.bytes_total);
	json_put_u64(o, "free", space.bytes_free);
	if (space.inodes_free != UINT64_MAX)
		json_put_u64(o, "inodes_free", space.inodes_free);
	return o;
}

/* The default one is the containers' folder, unless one of that name was added. */
static int list_pools(struct serve *s, struct pool_record_vec *ret, struct err *err)
{
	int r = pools_list(s->move.st, ret, err);

	for (size_t i = 0; i < ret->n; i++)
		if (str_eq(ret->v[i].name, DEFAULT))
			return r;
	if (r >= 0)
		*pool_record_vec_push(ret) = (struct pool_record){
			.name = DEFAULT, .path = xstrdup(runtime_path())};
	return r;
}

int serve_pool_list(struct serve *s, json_t **ret, struct err *err)
{
	_cleanup_(pool_record_vec_free) struct pool_record_vec pools = {0};
	int r = list_pools(s, &pools, err);

	if (r < 0)
		return r;
	*ret = json_array();
	for (size_t i = 0; i < pools.n; i++)
		json_array_append_new(*ret, pool_json(&pools.v[i]));
	return 0;
}

int serve_pool_show(struct serve *s, json_t **ret, struct err *err)
{
	_cleanup_(pool_record_vec_free) struct pool_record_vec pools = {0};
	int r = serve_args(s, name_fields, &args, err);

	if (r >= 0)
		r = list_pools(s, &pools, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < pools.n; i++)
		if (str_eq(pools.v[i].name, args.name)) {
			*ret = pool_json(&pools.v[i]);
			return 0;
		}
	return err_set(err, ERR_NOT_FOUND, "there is no pool %s: wherry pool list", args.name);
}

/* What it says about filesystems of their own; a pool that has said so before keeps it. */
static int add_settings(const struct pool *pool, struct err *err)
{
	struct pool_settings s = {.size = args.size, .vg = args.vg, .mmp = args.mmp};
	int r;

	if (!args.size && !args.vg && !args.mmp && !args.fs && !args.devices)
		return 0;
	if (!str_eq(pool->driver, "image") && !str_eq(pool->driver, "lvm") &&
		!str_eq(pool->driver, "device"))
		return err_set(err, ERR_INVALID,
			"--fs, --size, --vg, --device and --mmp are for pools of the driver image, "
			"device or lvm: say which by --driver");
	snprintf(s.fs, sizeof(s.fs), "%s", args.fs ? args.fs : "");
	s.devices = args.devices ? str_split(args.devices, ",", false) : NULL;
	r = pool_settings_write(pool->path, &s, err);
	strv_free(s.devices);
	return r;
}

int serve_pool_add(struct serve *s, json_t **ret, struct err *err)
{
	struct pool_record record = {.path = NULL};
	_cleanup_pool_ struct pool *pool = NULL;
	int r = serve_args(s, add_fields, &args, err);

	if (r < 0)
		return r;
	r = pool_probe(args.name, args.path, args.driver, &pool, err);
	if (r < 0)
		return r;
	snprintf(record.name, sizeof(record.name), "%s", args.name);
	record.path = args.path;
	record.driver = args.driver;
	r = add_settings(pool, err);
	if (r >= 0)
		r = pools_add(s->move.st, &record, err);
	if (r < 0)
		return r;
	*ret = pool_json(&record);
	return 0;
}

/* Containers that are arriving live there without being in anybody's list yet. */
static bool has_staged(const char *path)
{
	_cleanup_free_ char *folder = xasprintf("%s/.wherry/staged", path);
	_cleanup_closedir_ DIR *d = opendir(folder);
	const struct dirent *e;

	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.')
			return true;
	return false;
}

int serve_pool_del(struct serve *s, json_t **ret, struct err *err)
{
	_cleanup_(pool_record_done) struct pool_record record = {0};
	int r = serve_args(s, name_fields, &args, err);

	if (r >= 0)
		r = pools_get(s->move.st, args.name, &record, err);
	if (r < 0)
		return r;
	if (has_staged(record.path))
		return err_set(err, ERR_BUSY,
			"containers are arriving in the pool %s (%s): wherry status lists them",
			args.name, record.path);
	return pools_del(s->move.st, args.name, err);
}
