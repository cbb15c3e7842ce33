#include "move/incoming.h"

#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/clock.h"
#include "base/dirs.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "move/idle.h"
#include "move/receiving.h"
#include "node/job.h"
#include "tree/tree.h"

/* Not owned by this node yet. */
static bool is_arriving(const struct transfer *t)
{
	return t->role == TRANSFER_DESTINATION && t->phase < TRANSFER_COMMITTED;
}

static int each_arriving(struct move_ctx *m,
	void (*fn)(struct move_ctx *m, const struct transfer *t, void *ctx), void *ctx,
	struct err *err)
{
	_cleanup_(transfer_vec_free) struct transfer_vec all = {0};
	int r = transfer_list(m->st, true, NULL, &all, err);

	for (size_t i = 0; r >= 0 && i < all.n; i++)
		if (is_arriving(all.v[i]))
			fn(m, all.v[i], ctx);
	return r < 0 ? r : 0;
}

/* How much of it is here */

static uint64_t resumed(const struct transfer *t, const char *volume, const json_t *f)
{
	_cleanup_free_ char *dir = places_transfer_dir(t->token);
	_cleanup_free_ char *state_dir = xasprintf("%s/%s", dir, volume);
	struct tree_resume resume = {0};
	struct err ignored = ERR_INIT;
	uint64_t native = json_get_u64(json_object_get(f, "resume"), "offset", 0);

	/* The first copy of a native volume may come as a tree, too. */
	if (native || tree_resume_read(state_dir, &resume, &ignored) < 0)
		return native;
	return resume.offset;
}

struct amount {
	uint64_t bytes, total, inodes_left;
};

/* Cheap, from what is recorded: nothing here walks a tree. What has come once counts as all of it,
 * although later passes may bring more. */
static void measure(const struct transfer *t, struct amount *ret)
{
	json_t *all = json_object_get(t->facts, "volumes"), *f;
	const char *name;

	json_object_foreach(all, name, f)
	{
		uint64_t total = json_get_u64(f, "bytes", 0), here;

		ret->total += total;
		if (json_get_bool(f, "complete", false) || json_get_str(f, "last")) {
			ret->bytes += total;
			continue;
		}
		here = resumed(t, name, f);
		ret->bytes += MIN(here, total);
		ret->inodes_left += json_get_u64(f, "inodes", 0);
	}
}

/* list */

static uint64_t job_of(struct move_ctx *m, const char *ct)
{
	_cleanup_(job_vec_free) struct job_vec jobs = {0};
	struct err ignored = ERR_INIT;

	if (job_list(m->st, true, 0, &jobs, &ignored) < 0)
		return 0;
	for (size_t i = 0; i < jobs.n; i++)
		if (str_starts(jobs.v[i].call, "receive.") && str_eq(jobs.v[i].ct, ct))
			return jobs.v[i].id;
	return 0;
}

static bool may_expire(const struct move_ctx *m, const struct transfer *t)
{
	return m->cfg->receive_expire && t->phase < TRANSFER_PREPARED;
}

static uint64_t idle_seconds(const struct transfer *t)
{
	uint64_t now = clock_wall();

	return now > t->changed ? now - t->changed : 0;
}

/* As people's clock says it; what decides is another (idle.h). */
static uint64_t expires(const struct move_ctx *m, const struct transfer *t)
{
	usec_t idle = idle_read(t, m->cfg->receive_expire);
	usec_t left = m->cfg->receive_expire > idle ? m->cfg->receive_expire - idle : 0;

	return clock_wall() + left / USEC_PER_SEC;
}

static void add_row(struct move_ctx *m, const struct transfer *t, void *array)
{
	struct amount a = {0};
	uint64_t job = job_of(m, t->ct);
	json_t *o = json_object();

	measure(t, &a);
	json_put_str(o, "ct", t->ct);
	json_put_str(o, "key", t->key);
	json_put_str(o, "peer", t->peer);
	json_put_str(o, "pool", json_get_str(t->facts, "pool"));
	json_put_str(o, "phase", transfer_phase_name(t->phase));
	json_put_u64(o, "bytes", a.bytes);
	json_put_u64(o, "total_bytes", a.total);
	json_put_u64(o, "opened", t->opened);
	json_put_u64(o, "changed", t->changed);
	json_put_u64(o, "idle_ms", idle_seconds(t) * 1000);
	if (may_expire(m, t))
		json_put_u64(o, "expires", expires(m, t));
	if (job)
		json_put_u64(o, "job", job);
	json_put_str(o, "token", t->token);
	json_array_append_new(array, o);
}

int incoming_list(struct move_ctx *m, json_t **ret_array, struct err *err)
{
	json_t *array = json_array();
	int r = each_arriving(m, add_row, array, err);

	if (r < 0)
		json_decref(array);
	else
		*ret_array = array;
	return r;
}

/* cancel and expire */

static int not_arriving(const char *id, struct err *err)
{
	return err_set(err, ERR_NOT_FOUND,
		"nothing called '%s' is arriving on this node: `wherry receive list` shows what is",
		id);
}

static int find(struct receiving *r, const char *id, struct err *err)
{
	int res = transfer_by_token(r->m->st, id, &r->t, err);

	if (res == -ERR_NOT_FOUND) {
		err_clear(err);
		res = transfer_open_of(r->m->st, TRANSFER_DESTINATION, id, &r->t, err);
	}
	if (res == -ERR_NOT_FOUND || (res >= 0 && r->t->role != TRANSFER_DESTINATION))
		return not_arriving(id, err);
	return res;
}

/* The key may have been withdrawn meanwhile: then it is not in use either. */
static void find_key(struct receiving *r)
{
	struct err ignored = ERR_INIT;

	if (auth_key_get(r->m->st, r->t->key, &r->key, &ignored) < 0)
		r->key = (struct auth_key){0};
}

static int read_again(struct receiving *r, struct err *err)
{
	char token[sizeof(r->t->token)];

	memcpy(token, r->t->token, sizeof(token));
	transfer_free(r->t);
	r->t = NULL;
	return transfer_by_token(r->m->st, token, &r->t, err);
}

static int may_cancel(const struct receiving *r, bool force, struct err *err)
{
	const struct transfer *t = r->t;

	if (t->phase == TRANSFER_PREPARED && !force)
		return err_set(err, ERR_STATE,
			"container '%s' is complete here and waits for the hand-over, which %s may "
			"have decided already: `wherry ct send resolve %s` there says so. Only if "
			"%s is gone for good, take it with `wherry ct own --force %s`, or remove "
			"it "
			"with `wherry receive cancel --force %s`",
			t->ct, t->peer, t->peer_ct, t->peer, t->ct, t->ct);
	if (t->phase == TRANSFER_COMMITTED)
		return err_set(err, ERR_STATE,
			"container '%s' was handed over to this node and is starting here: it "
			"can't "
			"be cancelled, `wherry ct show %s` shows how it is",
			t->ct, t->ct);
	if (t->phase == TRANSFER_DONE || t->phase == TRANSFER_CLOSED)
		return err_set(err, ERR_STATE,
			"container '%s' has arrived and belongs to this node: it can't be "
			"cancelled, "
			"`wherry ct delete %s` removes it",
			t->ct, t->ct);
	return 0;
}

static void add_history(const struct receiving *r, const char *event)
{
	json_t *d = json_object();

	json_put_str(d, "from", r->t->peer);
	json_put_str(d, "key", r->t->key);
	json_put_str(d, "token", r->t->token);
	json_put_str(d, "who", r->m->who);
	move_history(r->m, r->t->ct, event, d);
}

/* The reason stays with the record, for a source that comes back. Shielded: whoever else wants to
 * receive it would interrupt us. */
static int end(struct receiving *r, const char *event, const char *why, struct err *err)
{
	int res;

	if (r->t->phase >= TRANSFER_CANCELLED)
		return receiving_sweep(r, err);
	cancel_shield();
	json_put_str(r->t->facts, "refused", why);
	res = receiving_promise(r, TRANSFER_CANCELLED, err);
	if (res >= 0)
		add_history(r, event);
	cancel_unshield();
	return res;
}

static json_t *result_json(const struct transfer *t, uint64_t bytes)
{
	json_t *o = json_object();

	json_put_str(o, "ct", t->ct);
	json_put_str(o, "token", t->token);
	json_put_str(o, "phase", transfer_phase_name(t->phase));
	json_put_u64(o, "bytes", bytes);
	return o;
}

int incoming_cancel(struct move_ctx *m, const char *id, bool force, json_t **ret, struct err *err)
{
	struct receiving r = {.m = m, .address = "", .lock = -1};
	struct amount a = {0};
	int res = find(&r, id, err);

	/* Looked at twice: what is not to be cancelled is not interrupted either. */
	if (res >= 0)
		res = may_cancel(&r, force, err);
	if (res >= 0)
		res = receiving_lock(&r, err);
	if (res >= 0)
		res = read_again(&r, err);
	if (res >= 0)
		res = may_cancel(&r, force, err);
	if (res >= 0) {
		find_key(&r);
		measure(r.t, &a);
		res = end(&r, "cancelled", "its operator cancelled it there", err);
	}
	if (res >= 0)
		*ret = result_json(r.t, a.bytes);
	receiving_done(&r);
	return res;
}

static int expire_now(
	struct move_ctx *m, const struct transfer *t, usec_t idle_for, struct err *err)
{
	struct receiving r = {.m = m, .address = "", .lock = -1};
	char idle[NUM_HUMAN_MAX];
	_cleanup_free_ char *why = NULL;
	uint64_t changed = t->changed;
	int res = move_lock(m, t->ct, false, &r.lock, err);

	if (res == -ERR_BUSY) { /* it is alive after all */
		err_clear(err);
		return 0;
	}
	if (res >= 0)
		res = transfer_by_token(m->st, t->token, &r.t, err);
	if (res >= 0 && is_arriving(r.t) && may_expire(m, r.t) && r.t->changed == changed) {
		find_key(&r);
		num_human_usec(idle_for, idle);
		why = xasprintf("nothing came for %s ([receive] expire)", idle);
		res = end(&r, "expired", why, err);
		if (res >= 0)
			log_info("container '%s' from %s (key %s): %s, what had arrived was "
				 "removed",
				r.t->ct, r.t->peer, r.t->key, why);
		res = res < 0 ? res : 1;
	}
	receiving_done(&r);
	return res;
}

int incoming_expire(struct move_ctx *m, struct transfer *t, usec_t *ret_left, struct err *err)
{
	usec_t idle;
	int r;

	*ret_left = CLOCK_NEVER;
	if (!is_arriving(t) || !may_expire(m, t))
		return 0;
	r = idle_look(t, m->cfg->receive_expire, &idle, err);
	if (r < 0)
		return r;
	if (idle >= m->cfg->receive_expire)
		return expire_now(m, t, idle, err);
	*ret_left = m->cfg->receive_expire - idle;
	return 0;
}

/* What is promised */

int incoming_reserve_lock(int *ret_fd, struct err *err)
{
	/* No container's name begins with a dot. */
	_cleanup_free_ char *path = xasprintf("%s/lock/.reserve", dirs_run());

	return file_lock(path, true, ret_fd, err);
}

struct of_key {
	const char *key;
	uint64_t n;
};

static void count_one(struct move_ctx *m, const struct transfer *t, void *ctx)
{
	struct of_key *x = ctx;

	(void)m;
	x->n += str_eq(t->key, x->key);
}

int incoming_of_key(struct move_ctx *m, const char *key, uint64_t *ret, struct err *err)
{
	struct of_key x = {.key = key};
	int r = each_arriving(m, count_one, &x, err);

	if (r >= 0)
		*ret = x.n;
	return r;
}

struct promises {
	const struct pool *pool;
	uint64_t bytes, inodes;
};

/* Two pools may be folders of one filesystem. */
static bool shares_space(struct move_ctx *m, const struct pool *pool, const char *name)
{
	_cleanup_pool_ struct pool *other = NULL;
	struct err ignored = ERR_INIT;
	struct stat a, b;

	if (!name || str_eq(name, pool->name))
		return true;
	return places_pool(m, name, &other, &ignored) >= 0 && stat(pool->path, &a) == 0 &&
	       stat(other->path, &b) == 0 && a.st_dev == b.st_dev;
}

static void add_promise(struct move_ctx *m, const struct transfer *t, void *ctx)
{
	struct promises *p = ctx;
	struct amount a = {0};

	if (!shares_space(m, p->pool, json_get_str(t->facts, "pool")))
		return;
	measure(t, &a);
	p->bytes += a.total - a.bytes;
	p->inodes += a.inodes_left;
}

int incoming_promised(struct move_ctx *m, const struct pool *pool, uint64_t *ret_bytes,
	uint64_t *ret_inodes, struct err *err)
{
	struct promises p = {.pool = pool};
	int r = each_arriving(m, add_promise, &p, err);

	if (r < 0)
		return r;
	*ret_bytes = p.bytes;
	*ret_inodes = p.inodes;
	return 0;
}
