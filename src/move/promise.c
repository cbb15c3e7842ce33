#include "move/promise.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "move/announce.h"
#include "move/places.h"
#include "node/ownership.h"
#include "runtime/runtime.h"

#define START_TIMEOUT (60 * USEC_PER_SEC)

char *promise_snapshot(const struct pledge *p)
{
	return xasprintf("wherry-%.8s", p->token);
}

int promise_start_again(struct move_ctx *m, struct pledge *p, struct err *err)
{
	_cleanup_container_ struct container *c = NULL;
	struct err ignored = ERR_INIT;
	bool exists;
	int r;

	if (!json_get_bool(p->facts, "start", false))
		return 0;
	r = runtime_exists(p->ct, &exists, err);
	if (r < 0)
		return r;
	cancel_shield();
	if (exists)
		r = own_may_start(m->st, p->ct, NULL, err);
	if (r >= 0 && exists)
		r = runtime_start(p->ct, START_TIMEOUT, err);
	cancel_unshield();
	if (r < 0)
		return err_prefix(err, "start container '%s' again", p->ct);
	if (exists && runtime_load(p->ct, &c, &ignored) >= 0)
		announce_container(c);
	json_object_del(p->facts, "start");
	return pledge_save(m->st, p, err);
}

static int drop_snapshots(struct pledge *p, struct err *err)
{
	_cleanup_free_ char *snap = promise_snapshot(p);
	_cleanup_container_ struct container *c = NULL;
	int r = runtime_load(p->ct, &c, err);

	if (r == -ERR_NOT_FOUND) { /* deleted, with its snapshots */
		err_clear(err);
		return 0;
	}
	for (size_t i = 0; r >= 0 && i < c->volumes.n; i++) {
		_cleanup_volume_ struct volume *v = NULL;

		if (!c->volumes.v[i].path)
			continue;
		r = volume_open(c->volumes.v[i].path, p->ct, c->volumes.v[i].name, &v, err);
		if (r >= 0)
			r = volume_snapshots_forget(v, snap, err);
	}
	return r < 0 ? r : 0;
}

static int settle_export(struct move_ctx *m, struct pledge *p, struct err *err)
{
	const char *partial = json_get_str(p->facts, "partial");
	int r = promise_start_again(m, p, err);

	if (r >= 0)
		r = fault_point("export.settle.started", err);
	if (r >= 0)
		r = drop_snapshots(p, err);
	if (r >= 0 && partial)
		r = file_remove(partial, err);
	return r;
}

/* Its configuration stands where LXC finds it: it is a container now, whatever was to follow. */
static int is_published(const char *ct, bool *ret, struct err *err)
{
	_cleanup_strv_ char **names = NULL;
	int r = runtime_list(&names, err);

	*ret = r >= 0 && strv_has(names, ct);
	return r < 0 ? r : 0;
}

/* taken: the name has become somebody else's since; then only what goes by our token is ours. */
static int remove_volumes(struct pledge *p, const struct pool *pool, bool taken, struct err *err)
{
	const json_t *name;
	size_t i;
	int r = 0;

	json_array_foreach(json_object_get(p->facts, "volumes"), i, name)
	{
		const char *n = json_string_value(name);
		_cleanup_volume_ struct volume *staged = volume_staged(pool, p->token, n);
		_cleanup_volume_ struct volume *final = volume_in_pool(pool, p->ct, n);

		if (!taken && json_get_bool(p->facts, "published", false))
			r = volume_destroy(final, err);
		if (r >= 0)
			r = volume_destroy(staged, err);
		if (r < 0)
			break;
	}
	return r;
}

static int settle_import(struct move_ctx *m, struct pledge *p, struct err *err)
{
	_cleanup_pool_ struct pool *pool = NULL;
	struct own own = {0};
	bool published;
	int r = is_published(p->ct, &published, err);

	if (r < 0 || published)
		return r;
	r = own_get(m->st, p->ct, &own, err);
	if (r >= 0)
		r = places_pool(m, json_get_str(p->facts, "pool"), &pool, err);
	if (r >= 0)
		r = remove_volumes(p, pool, own.recorded, err);
	return r < 0 || own.recorded ? r : runtime_undefine(p->ct, err);
}

int promise_settle(struct move_ctx *m, struct pledge *p, struct err *err)
{
	int r;

	if (!p->token[0])
		return 0;
	cancel_shield();
	r = p->kind == PLEDGE_EXPORT ? settle_export(m, p, err) : settle_import(m, p, err);
	if (r >= 0)
		r = places_transfer_dir_remove(p->token, err);
	if (r >= 0)
		r = pledge_drop(m->st, p, err);
	cancel_unshield();
	if (r >= 0)
		p->token[0] = 0;
	return r < 0 ? r : 0;
}

/* 1: settled; 0: somebody works on it. */
static int settle_one(struct move_ctx *m, const struct pledge *seen, struct err *err)
{
	_cleanup_(pledge_done) struct pledge p = {0};
	_cleanup_close_ int lock = -1;
	int r = move_lock(m, seen->ct, false, &lock, err);

	if (r >= 0) /* as it is now, under the lock */
		r = pledge_get(m->st, seen->token, &p, err);
	if (r == -ERR_BUSY || r == -ERR_NOT_FOUND) {
		err_clear(err);
		return 0;
	}
	if (r >= 0)
		r = promise_settle(m, &p, err);
	return r < 0 ? r : 1;
}

int promise_settle_all(struct move_ctx *m,
	void (*note)(void *ctx, const char *ct, const char *what), void *ctx, uint64_t *ret_pending,
	struct err *err)
{
	_cleanup_(pledge_vec_free) struct pledge_vec all = {0};
	int r = pledge_list(m->st, &all, err);

	*ret_pending = 0;
	for (size_t i = 0; r >= 0 && i < all.n && !cancel_requested(); i++) {
		const struct pledge *p = &all.v[i];
		struct err e = ERR_INIT;
		int one = settle_one(m, p, &e);

		if (one > 0)
			note(ctx, p->ct,
				p->kind == PLEDGE_EXPORT
					? "an export of it that broke off was cleaned up"
					: "an import of it that broke off was cleaned up");
		if (one >= 0)
			continue;
		log_warning("container '%s': %s", p->ct, e.text);
		++*ret_pending;
	}
	return r < 0 ? r : 0;
}
