#include "move/places.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/beneath.h"
#include "base/dirs.h"
#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "node/pools.h"
#include "runtime/runtime.h"
#include "tree/tree.h"

static int default_pool(struct pool **ret, struct err *err)
{
	return pool_probe("default", runtime_path(), NULL, ret, err);
}

int places_pool(struct move_ctx *m, const char *name, struct pool **ret, struct err *err)
{
	struct pool_record rec = {0};
	bool wants_default = !name || !name[0] || !strcmp(name, "-") || !strcmp(name, "default");
	int r;

	r = pools_get(m->st, wants_default ? "default" : name, &rec, err);
	if (r == -ERR_NOT_FOUND && wants_default) {
		err_clear(err);
		return default_pool(ret, err);
	}
	if (r >= 0)
		r = pool_probe(rec.name, rec.path, rec.driver, ret, err);
	pool_record_done(&rec);
	return r;
}

int places_pools(struct move_ctx *m, struct pool_vec *ret, struct err *err)
{
	struct pool_record_vec recs = {0};
	struct pool *p = NULL;
	int r;

	r = pools_list(m->st, &recs, err);
	if (r < 0)
		return r;
	r = places_pool(m, NULL, &p, err);
	if (r >= 0)
		*pool_vec_push(ret) = p;
	for (size_t i = 0; r >= 0 && i < recs.n; i++) {
		if (!strcmp(recs.v[i].name, "default"))
			continue;
		/* A pool whose disk is gone must not hide the others. */
		struct err e = ERR_INIT;

		p = NULL;
		if (pool_probe(recs.v[i].name, recs.v[i].path, recs.v[i].driver, &p, &e) >= 0)
			*pool_vec_push(ret) = p;
	}
	pool_record_vec_free(&recs);
	return r < 0 ? r : 0;
}

void pool_vec_free(struct pool_vec *v)
{
	for (size_t i = 0; i < v->n; i++)
		pool_free(v->v[i]);
	pool_vec_done(v);
}

static bool lies_in(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return !strncmp(path, dir, n) && path[n] == '/';
}

char *places_pool_of(struct move_ctx *m, const char *path)
{
	struct pool_vec pools = {0};
	struct err ignored = ERR_INIT;
	const struct pool *best = NULL;
	char *name = NULL;

	if (places_pools(m, &pools, &ignored) >= 0)
		for (size_t i = 0; i < pools.n; i++)
			if (lies_in(path, pools.v[i]->path) &&
				(!best || strlen(pools.v[i]->path) > strlen(best->path)))
				best = pools.v[i];
	if (best)
		name = xstrdup(best->name);
	pool_vec_free(&pools);
	return name;
}

/* The trap of a mount that failed silently: an empty folder would be sent and the source destroyed.
 */
static int refuse_empty(struct volume *v, const char *ct, struct err *err)
{
	_cleanup_closedir_ DIR *d = NULL;
	int fd = -1, r;

	r = volume_root(v, &fd, err);
	if (r < 0)
		return r;
	d = fdopendir(fd);
	if (!d) {
		close(fd);
		return err_errno(err, "list %s", v->path);
	}
	for (struct dirent *e; (e = readdir(d));)
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..") &&
			strcmp(e->d_name, "lost+found"))
			return 0;
	return err_set(err, ERR_STATE,
		"the root of container '%s' at %s is empty: is its filesystem mounted?", ct,
		v->path);
}

int places_volumes(const struct container *c, struct volume_vec *ret, struct err *err)
{
	for (size_t i = 0; i < c->volumes.n; i++) {
		const struct ct_volume *cv = &c->volumes.v[i];
		struct volume *v = NULL;
		int r;

		r = volume_open(cv->path, c->name, cv->name, &v, err);
		if (r < 0)
			return err_prefix(err, "container '%s'", c->name);
		*volume_vec_push(ret) = v;
		if (i == 0) {
			r = refuse_empty(v, c->name, err);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

void volume_vec_free(struct volume_vec *v)
{
	for (size_t i = 0; i < v->n; i++)
		volume_free(v->v[i]);
	volume_vec_done(v);
}

void places_put_digest(json_t *into, const char *volume, const struct digest128 *d)
{
	_cleanup_(str_done) struct str hex = STR_INIT;

	for (size_t i = 0; i < sizeof(d->b); i++)
		str_addf(&hex, "%02x", d->b[i]);
	json_put_str(into, volume, hex.buf);
}

int places_digest(struct volume *v, const struct idmap *idmap, json_t *into, struct err *err)
{
	_cleanup_close_ int fd = -1;
	struct digest128 d;
	uint64_t entries;
	int r = volume_root(v, &fd, err);

	if (r >= 0)
		r = tree_verify(fd, idmap, &d, &entries, err);
	if (r < 0)
		return err_prefix(err, "verify volume '%s'", v->name);
	places_put_digest(into, v->name, &d);
	return 0;
}

char *places_transfer_dir(const char *token)
{
	return xasprintf("%s/transfer/%s", dirs_state(), token);
}

int places_transfer_dir_make(const char *token, struct err *err)
{
	_cleanup_free_ char *dir = places_transfer_dir(token);

	return file_mkdirs(dir, 0700, err);
}

int places_transfer_dir_remove(const char *token, struct err *err)
{
	_cleanup_free_ char *parent = xasprintf("%s/transfer", dirs_state());
	_cleanup_close_ int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? 0 : err_errno(err, "open %s", parent);
	return beneath_remove_tree(fd, token, err);
}

char *places_index(const char *token, const char *volume)
{
	_cleanup_free_ char *dir = places_transfer_dir(token);

	return xasprintf("%s/%s.index", dir, volume);
}
