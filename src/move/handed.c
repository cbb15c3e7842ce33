#include "move/handed.h"

#include <string.h>

#include "base/fault.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "runtime/runtime.h"
#include "storage/blockfs.h"
#include "storage/sameness.h"

bool handed_is(const json_t *facts)
{
	return str_eq(json_get_str(facts, "method"), HANDED_METHOD);
}

/* --- source */

json_t *handed_unmounted(const struct container *c)
{
	json_t *a = json_array();

	for (size_t i = 0; i < c->volumes.n; i++) {
		const struct ct_volume *cv = &c->volumes.v[i];
		_cleanup_volume_ struct volume *v = NULL;
		struct err ignored = ERR_INIT;

		if (cv->path && volume_open(cv->path, c->name, cv->name, &v, &ignored) >= 0 &&
			blockfs_is(v) && blockfs_mounted(v, &ignored) == 0)
			json_array_append_new(a, json_pack("[s,s]", cv->path, cv->name));
	}
	return a;
}

void handed_unmount_again(const char *ct, const json_t *unmounted)
{
	const json_t *pair;
	enum ct_state state;
	struct err e = ERR_INIT;
	size_t i;

	if (!json_array_size(unmounted) || runtime_state(ct, &state, NULL, &e) < 0 ||
		state != CT_STOPPED)
		return;
	json_array_foreach(unmounted, i, pair)
	{
		_cleanup_volume_ struct volume *v = NULL;

		err_clear(&e);
		if (volume_open(json_string_value(json_array_get(pair, 0)), ct,
			    json_string_value(json_array_get(pair, 1)), &v, &e) >= 0 &&
			blockfs_is(v) && blockfs_unmount(v, &e) < 0)
			log_warning("container '%s': %s", ct, e.text);
	}
}

static bool was_unmounted(const struct sending *s, const char *name)
{
	const json_t *pair;
	size_t i;

	json_array_foreach(s->unmounted, i, pair)
	{
		if (str_eq(json_string_value(json_array_get(pair, 1)), name))
			return true;
	}
	return false;
}

void handed_tell(struct sending *s, const char *name, json_t *into)
{
	const json_t *f = sending_volume(s, name);

	for (size_t i = 0; i < s->vols.n; i++)
		if (str_eq(s->vols.v[i]->name, name) && blockfs_is(s->vols.v[i]))
			json_put_bool(into, "mounted", !was_unmounted(s, name));
	if (handed_is(f))
		json_object_set(into, "handed", json_object_get(f, "handed"));
}

bool handed_can_be(const struct volume *v)
{
	return blockfs_is(v) && strcmp(v->driver->name, "image") != 0;
}

static int mark(struct volume *v, const char *token, struct sameness *same, struct err *err)
{
	_cleanup_close_ int fd = -1;
	int r = volume_root(v, &fd, err);

	return r < 0 ? r : sameness_mark(fd, token, same, err);
}

static int offer(struct sending *s, struct volume *v, bool marked, struct err *err)
{
	struct sameness same;
	int r = sameness_describe(v, &same, err);

	if (r >= 0 && marked)
		r = mark(v, s->t->token, &same, err);
	if (r < 0)
		return r;
	json_object_set_new(sending_volume(s, v->name), "handed", sameness_json(&same));
	return 0;
}

int handed_offer(struct sending *s, bool marked, struct err *err)
{
	int r = 0;

	if (!s->o.hand_over)
		return 0;
	if (!s->vols.n || !handed_can_be(s->vols.v[0]))
		return err_set(err, ERR_UNSUPPORTED,
			"container '%s' is not on a block device of its own, so there is none to "
			"hand over",
			s->t->ct);
	for (size_t i = 0; r >= 0 && i < s->vols.n; i++)
		if (handed_can_be(s->vols.v[i]))
			r = offer(s, s->vols.v[i], marked, err);
	return r;
}

static int let_go(struct sending *s, struct volume *v, json_t *f, struct err *err)
{
	struct sameness same;
	int r = sameness_from_json(json_object_get(f, "handed"), &same, err);

	if (r >= 0)
		r = mark(v, s->t->token, &same, err);
	if (r < 0)
		return r;
	json_object_set_new(f, "handed", sameness_json(&same));
	r = transfer_save(s->m->st, s->t, err);
	if (r >= 0)
		r = fault_point("handed.marked", err);
	if (r >= 0)
		r = blockfs_release(v, err);
	return r < 0 ? r : fault_point("handed.released", err);
}

int handed_let_go(struct sending *s, struct err *err)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < s->vols.n; i++) {
		struct volume *v = s->vols.v[i];
		json_t *f = sending_volume(s, v->name);

		if (handed_is(f))
			r = let_go(s, v, f, err);
		if (r < 0)
			return err_prefix(
				err, "let go of volume '%s' of container '%s'", v->name, s->t->ct);
	}
	return r;
}

/* The volumes of a record that are handed over, one after the other; one that is gone is fine. */
static int each_of(const struct transfer *t,
	int (*fn)(const struct transfer *t, struct volume *v, struct err *err), struct err *err)
{
	json_t *all = json_object_get(t->facts, "volumes"), *f;
	const char *name;
	int r = 0;

	json_object_foreach(all, name, f)
	{
		_cleanup_volume_ struct volume *v = NULL;
		const char *path = json_get_str(f, "path");

		if (r < 0 || !json_object_get(f, "handed") || !path)
			continue;
		r = volume_open(path, t->ct, name, &v, err);
		if (r == -ERR_NOT_FOUND) {
			err_clear(err);
			r = 0;
		} else if (r >= 0 && blockfs_is(v)) {
			r = fn(t, v, err);
		}
	}
	return r < 0 ? r : 0;
}

static int take_back(const struct transfer *t, struct volume *v, struct err *err)
{
	(void)t;
	return blockfs_take_back(v, err);
}

int handed_take_back(const struct transfer *t, struct err *err)
{
	int r = fault_point("handed.takeback", err);

	return r < 0 ? r : each_of(t, take_back, err);
}

static int unmark(const struct transfer *t, struct volume *v, struct err *err)
{
	int mounted = blockfs_mounted(v, err), r;
	_cleanup_close_ int fd = -1;

	r = mounted < 0 ? mounted : volume_root(v, &fd, err);
	if (r >= 0)
		r = sameness_unmark(fd, t->token, err);
	if (r < 0 || mounted)
		return r;
	close(TAKE_FD(fd));
	return blockfs_unmount(v, err);
}

int handed_unmark(const struct transfer *t, struct err *err)
{
	return each_of(t, unmark, err);
}

int handed_forget(struct volume *v, struct err *err)
{
	return blockfs_forget(v, err);
}

/* --- destination */

static int check_unclaimed(
	struct receiving *r, const struct sameness *same, const char *device, struct err *err)
{
	struct pool_vec pools = {0};
	bool claimed = false;
	int res = places_pools(r->m, &pools, err);

	for (size_t i = 0; res >= 0 && !claimed && i < pools.n; i++)
		res = sameness_claimed(pools.v[i]->path, same, device, &claimed, err);
	pool_vec_free(&pools);
	if (res >= 0 && claimed)
		res = err_set(err, ERR_BUSY,
			"%s belongs to another container on the destination already", device);
	return res;
}

int handed_judge(struct receiving *r, const json_t *device, const char *token, bool sure,
	json_t **ret_device, struct err *err)
{
	_cleanup_free_ char *found = NULL;
	struct sameness same;
	int res;

	if (!r->key.allow_devices)
		return err_set(err, ERR_DENIED,
			"key '%s' may not hand over devices: let it (receive authorized-keys add "
			"--allow-devices), or have the container copied",
			r->key.name);
	res = sameness_from_json(device, &same, err);
	if (res >= 0 && sure && !same.nonce[0])
		res = err_set(err, ERR_PROTOCOL, "the device that is handed over is not marked");
	if (res >= 0)
		res = sameness_find(&same, token, false, &found, err);
	if (res >= 0)
		res = check_unclaimed(r, &same, found, err);
	if (res < 0)
		return err_prefix(err, "on the destination");
	*ret_device = sameness_json(&same);
	return 0;
}

bool handed_all(struct receiving *r)
{
	const json_t *f;
	const char *name;

	json_object_foreach(json_object_get(r->t->facts, "volumes"), name, f)
	{
		if (!handed_is(f))
			return false;
	}
	return true;
}

/* What was judged and what is to be prepared are one filesystem; only the mark is another. */
static int check_one(struct receiving *r, json_t *f, const json_t *theirs, struct err *err)
{
	_cleanup_free_ char *found = NULL;
	struct sameness was, now;
	int res = sameness_from_json(json_object_get(f, "handed"), &was, err);

	if (res >= 0)
		res = sameness_from_json(json_object_get(theirs, "handed"), &now, err);
	if (res < 0)
		return res;
	if (strcmp(was.uuid, now.uuid) != 0 || was.size != now.size || !now.nonce[0])
		return err_set(err, ERR_PROTOCOL,
			"the device that is handed over is not the one that was announced");
	res = sameness_find(&now, r->t->token, true, &found, err);
	if (res < 0)
		return err_prefix(err, "on the destination");
	json_object_set_new(f, "handed", sameness_json(&now));
	return 0;
}

int handed_check(struct receiving *r, const json_t *theirs, struct err *err)
{
	json_t *all = json_object_get(r->t->facts, "volumes"), *f;
	const char *name;

	json_object_foreach(all, name, f)
	{
		const json_t *of = json_object_get(theirs, name);
		int res = handed_is(f) ? check_one(r, f, of, err) : 0;

		if (res < 0)
			return res;
		json_put_bool(f, "mounted", json_get_bool(of, "mounted", false));
	}
	return 0;
}

/* Looked for once more, raw, as nothing keeps others away between prepare and commit. */
static int adopt(
	struct receiving *r, struct volume *v, const struct sameness *same, struct err *err)
{
	_cleanup_blockfs_ struct blockfs b = {.size = same->size};
	int res;

	memcpy(b.fs, same->fs, sizeof(b.fs));
	memcpy(b.uuid, same->uuid, sizeof(b.uuid));
	res = sameness_find(same, r->t->token, true, &b.source, err);
	return res < 0 ? res : blockfs_adopt(v, &b, err);
}

static int prove(struct receiving *r, struct volume *v, json_t *f, const struct sameness *same,
	struct err *err)
{
	_cleanup_close_ int fd = -1;
	int res = volume_root(v, &fd, err);

	if (res >= 0)
		res = fault_point("handed.mounted", err);
	if (res >= 0 && !json_get_bool(f, "proven", false)) {
		res = sameness_seen(fd, r->t->token, same, err);
		json_put_bool(f, "proven", res >= 0);
		if (res >= 0)
			res = transfer_save(r->m->st, r->t, err);
	}
	return res < 0 ? res : sameness_unmark(fd, r->t->token, err);
}

int handed_take(struct receiving *r, const char *name, struct err *err)
{
	_cleanup_volume_ struct volume *v = receiving_final(r, name);
	json_t *f = receiving_volume(r, name);
	struct sameness same;
	int res = sameness_from_json(json_object_get(f, "handed"), &same, err);

	/* In a pool of such drivers one is of their kind before it is there. */
	if (res >= 0)
		res = blockfs_is(v) ? volume_exists(v, err) : 0;
	if (res == 0)
		res = adopt(r, v, &same, err);
	if (res >= 0)
		res = fault_point("handed.adopted", err);
	return res < 0 ? res : prove(r, v, f, &same, err);
}

int handed_leave(struct receiving *r, struct err *err)
{
	json_t *all = json_object_get(r->t->facts, "volumes"), *f;
	const char *name;
	int res = receiving_pool(r, err);

	json_object_foreach(all, name, f)
	{
		_cleanup_volume_ struct volume *v = NULL;

		if (res < 0 || !handed_is(f) || !json_get_bool(f, "published", false))
			continue;
		v = receiving_final(r, name);
		if (blockfs_is(v))
			res = blockfs_forget(v, err);
	}
	return res < 0 ? res : fault_point("handed.left", err);
}

int handed_rest(struct receiving *r, struct err *err)
{
	json_t *all = json_object_get(r->t->facts, "volumes"), *f;
	const char *name;
	int res = 0;

	json_object_foreach(all, name, f)
	{
		_cleanup_volume_ struct volume *v = receiving_final(r, name);

		if (res >= 0 && blockfs_is(v) && !json_get_bool(f, "mounted", false))
			res = blockfs_unmount(v, err);
	}
	return res;
}
