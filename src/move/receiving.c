#include "move/receiving.h"

#include <string.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "move/handed.h"
#include "runtime/runtime.h"
#include "storage/blockfs.h"

static int not_yours(const char *id, struct err *err)
{
	return err_set(err, ERR_NOT_FOUND,
		"this key is not sending anything called '%s' to this node", id);
}

int receiving_find(struct receiving *r, const char *id, struct err *err)
{
	const char *name = strchr(id, ':');
	int res;

	res = transfer_by_token(r->m->st, id, &r->t, err);
	if (res == -ERR_NOT_FOUND) {
		err_clear(err);
		res = transfer_open_of(
			r->m->st, TRANSFER_DESTINATION, name ? name + 1 : id, &r->t, err);
	}
	if (res == -ERR_NOT_FOUND)
		return not_yours(id, err);
	if (res < 0)
		return res;
	if (r->t->role == TRANSFER_DESTINATION && !strcmp(r->t->key, r->key.name))
		return 0;
	transfer_free(r->t);
	r->t = NULL;
	return not_yours(id, err);
}

int receiving_lock(struct receiving *r, struct err *err)
{
	usec_t deadline = clock_deadline(20 * USEC_PER_SEC);
	bool asked = false;

	for (;;) {
		int res = move_lock(r->m, r->t->ct, false, &r->lock, err);

		if (res != -ERR_BUSY || clock_now() >= deadline)
			return res;
		if (!asked)
			move_lock_interrupt(r->t->ct, "receive");
		asked = true;
		err_clear(err);
		clock_sleep(20 * USEC_PER_MSEC);
	}
}

int receiving_find_locked(struct receiving *r, const char *id, struct err *err)
{
	char token[41];
	int res = r->t ? 0 : receiving_find(r, id, err);

	if (res >= 0)
		res = receiving_lock(r, err);
	if (res < 0)
		return res;
	snprintf(token, sizeof(token), "%s", r->t->token);
	transfer_free(r->t);
	r->t = NULL;
	return receiving_find(r, token, err);
}

int receiving_model(struct receiving *r, struct container **ret, struct err *err)
{
	int res = container_from_json(json_object_get(r->t->facts, "ct"), ret, err);

	if (res < 0)
		return err_prefix(err, "stored model of container '%s'", r->t->ct);
	for (size_t i = 0; i < (*ret)->volumes.n; i++) {
		_cleanup_volume_ struct volume *v = receiving_final(r, (*ret)->volumes.v[i].name);

		free((*ret)->volumes.v[i].path);
		(*ret)->volumes.v[i].mounted = v && (blockfs_is(v) || handed_is(receiving_volume(
									      r, v->name)));
		(*ret)->volumes.v[i].path = v ? TAKE_PTR(v->path) : NULL;
	}
	return 0;
}

int receiving_pool(struct receiving *r, struct err *err)
{
	if (r->pool)
		return 0;
	return places_pool(r->m, json_get_str(r->t->facts, "pool"), &r->pool, err);
}

json_t *receiving_volume(struct receiving *r, const char *name)
{
	return json_object_get(json_object_get(r->t->facts, "volumes"), name);
}

/* What it shall be, if it is not there yet. */
static struct volume *add_wish(struct receiving *r, const char *name, struct volume *v)
{
	const json_t *f = receiving_volume(r, name);
	const char *device = json_get_str(f, "device"), *fs = json_get_str(f, "fs");

	if (device) /* whatever kind of pool it lies in */
		volume_use_device(v, device, false);
	if (fs && blockfs_type_ok(fs))
		snprintf(v->wish.like, sizeof(v->wish.like), "%s", fs);
	v->wish.size = json_get_u64(f, "size", 0);
	v->wish.bytes = json_get_u64(f, "bytes", 0);
	v->wish.inodes = json_get_u64(f, "inodes", 0);
	return v;
}

struct volume *receiving_staged(struct receiving *r, const char *name)
{
	return add_wish(r, name, volume_staged(r->pool, r->t->token, name));
}

struct volume *receiving_final(struct receiving *r, const char *name)
{
	return add_wish(r, name, volume_in_pool(r->pool, r->t->ct, name));
}

/* The promise changes who may run it, not whose name it is: the record keeps the name until
 * everything is swept. */
static int write_promise(struct receiving *r, enum transfer_phase phase, struct err *err)
{
	struct own own;
	int res = own_get(r->m->st, r->t->ct, &own, err);

	if (res >= 0 && own.recorded && own.kind == OWN_OWNER && !strcmp(own.token, r->t->token)) {
		own.kind = OWN_RELEASED;
		res = own_set(r->m->st, &own, err);
	}
	if (res >= 0)
		res = transfer_set_phase(r->m->st, r->t, phase, err);
	if (res >= 0 && r->key.single_use)
		res = auth_key_set_in_use(r->m->st, r->key.name, false, err);
	return res;
}

int receiving_has_ended(const struct receiving *r, struct err *err)
{
	const char *why = json_get_str(r->t->facts, "refused");

	return err_set(err, ERR_STATE,
		"the transfer of container '%s' has ended on the destination (%s%s%s): cancel it, "
		"and "
		"begin a new one",
		r->t->ct, transfer_phase_name(r->t->phase), why ? ": " : "", why ? why : "");
}

int receiving_promise(struct receiving *r, enum transfer_phase phase, struct err *err)
{
	int res = fault_point("receiving.promise.before", err);

	if (res >= 0)
		res = state_begin(r->m->st, err);
	if (res < 0)
		return res;
	res = write_promise(r, phase, err);
	if (res >= 0)
		res = state_commit(r->m->st, err);
	else
		state_rollback(r->m->st);
	if (res >= 0)
		res = fault_point("receiving.promise.after", err);
	return res < 0 ? res : receiving_sweep(r, err);
}

/* Files and configuration under the container's own name are ours to remove only as long as the
 * ownership record names this transfer. */
static int holds_the_name(struct receiving *r, bool *ret, struct err *err)
{
	struct own own;
	int res = own_get(r->m->st, r->t->ct, &own, err);

	*ret = res >= 0 && own.recorded && (own.kind == OWN_STAGED || own.kind == OWN_RELEASED) &&
	       !strcmp(own.token, r->t->token);
	return res;
}

static int sweep_volumes(struct receiving *r, bool named, struct err *err)
{
	json_t *all = json_object_get(r->t->facts, "volumes"), *f;
	const char *name;
	int res = receiving_pool(r, err);

	json_object_foreach(all, name, f)
	{
		_cleanup_volume_ struct volume *staged = NULL, *final = NULL;

		if (res < 0)
			break;
		staged = receiving_staged(r, name);
		res = volume_destroy(staged, err);
		if (res >= 0 && named && json_get_bool(f, "published", false)) {
			final = receiving_final(r, name);
			res = volume_destroy(final, err);
		}
	}
	return res;
}

static int note_swept(struct receiving *r, bool named, struct err *err)
{
	int res = fault_point("receiving.swept", err);

	if (res >= 0)
		res = state_begin(r->m->st, err);
	if (res < 0)
		return res;
	if (named)
		res = own_forget(r->m->st, r->t->ct, err);
	if (res >= 0)
		res = transfer_fact(r->m->st, r->t, "swept", json_true(), err);
	if (res >= 0)
		return state_commit(r->m->st, err);
	state_rollback(r->m->st);
	return res;
}

int receiving_sweep(struct receiving *r, struct err *err)
{
	bool named;
	int res;

	if (json_get_bool(r->t->facts, "swept", false))
		return 0;
	res = holds_the_name(r, &named, err);
	if (res >= 0)
		res = sweep_volumes(r, named, err);
	if (res >= 0)
		res = places_transfer_dir_remove(r->t->token, err);
	if (res >= 0 && named)
		res = runtime_undefine(r->t->ct, err);
	return res < 0 ? res : note_swept(r, named, err);
}

/* All of this transfer's, not only the last: a crash may have left an older one. */
static int drop_snapshots(const struct receiving *r, struct volume *v, struct err *err)
{
	_cleanup_free_ char *prefix = xasprintf("wherry-%.8s-", r->t->token);

	return volume_snapshots_forget(v, prefix, err);
}

int receiving_tidy(struct receiving *r, struct err *err)
{
	json_t *all = json_object_get(r->t->facts, "volumes"), *f;
	const char *name;
	int res = 0;

	if (json_get_bool(r->t->facts, "tidy", false))
		return 0;
	res = receiving_pool(r, err);
	json_object_foreach(all, name, f)
	{
		_cleanup_volume_ struct volume *v = res >= 0 ? receiving_final(r, name) : NULL;

		if (v)
			res = drop_snapshots(r, v, err);
	}
	if (res >= 0)
		res = places_transfer_dir_remove(r->t->token, err);
	if (res >= 0)
		res = move_unguard(r->m, r->t->ct, err);
	return res < 0 ? res : transfer_fact(r->m->st, r->t, "tidy", json_true(), err);
}

void receiving_done(struct receiving *r)
{
	auth_key_done(&r->key);
	verb_free(r->verb);
	transfer_free(r->t);
	pool_free(r->pool);
	if (r->lock >= 0)
		close(r->lock);
}
