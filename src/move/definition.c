#include "move/definition.h"

#include <string.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/json.h"
#include "base/str.h"
#include "move/adopt.h"
#include "move/fit.h"
#include "move/handed.h"
#include "runtime/runtime.h"

/* Configuration that reaches out of the container comes in only if the key's owner said so. */
static int check_options(
	const struct receiving *r, const json_t *refused, struct container *c, struct err *err)
{
	const json_t *o;
	size_t i;

	json_array_foreach(refused, i, o)
	{
		const char *key = json_string_value(json_array_get(o, 0)),
			   *value = json_string_value(json_array_get(o, 1));
		const char *reason = json_string_value(json_array_get(o, 2));

		if (!key || !value || strlen(key) > 256 || strlen(value) > 4096 ||
			strpbrk(key, "\n\r") || strpbrk(value, "\n\r"))
			return err_set(
				err, ERR_PROTOCOL, "the list of refused options is malformed");
		if (!r->key.allow_refused) {
			_cleanup_free_ char *k = str_escape(key, strlen(key)),
					    *v = str_escape(value, strlen(value));
			_cleanup_free_ char *why = str_escape(
				reason ? reason : "", reason ? strnlen(reason, 200) : 0);

			return err_set(err, ERR_UNSUPPORTED,
				"container '%s' has '%s = %s', which reaches out of the container "
				"(%s): remove it, or let key '%s' "
				"bring such lines (receive authorized-keys add "
				"--allow-refused)",
				c->name, k, v, why, r->key.name);
		}
		option_add(&c->options, key, value, NULL);
	}
	return 0;
}

int definition_judge(
	const struct receiving *r, const json_t *refused, struct container *c, struct err *err)
{
	int res = check_options(r, refused, c, err);

	if (res >= 0)
		adopt_bridges(r->m, c);
	return res;
}

int definition_map_ids(const struct receiving *r, struct container *c, struct err *err)
{
	return adopt_ids(r->m, c, err);
}

int definition_write(struct receiving *r, struct err *err)
{
	_cleanup_container_ struct container *c = NULL;
	int res = receiving_model(r, &c, err);

	if (res >= 0)
		res = fault_point("definition.recorded", err);
	if (res >= 0)
		res = runtime_define(c, true, r->key.allow_refused, err);
	/* It stands until the container is well here: whoever starts it by hand is asked for the
	 * ownership at any moment of the hand-over. */
	if (res >= 0)
		res = runtime_guard(c->name, true, err);
	if (res >= 0)
		res = fault_point("definition.written", err);
	if (res < 0)
		return res;
	json_put_u64(r->t->facts, "written", definition_revision(r));
	if (r->t->phase == TRANSFER_NEW)
		r->t->phase = handed_all(r) ? TRANSFER_BASE : TRANSFER_CONFIG;
	return transfer_save(r->m->st, r->t, err);
}

uint64_t definition_revision(const struct receiving *r)
{
	return json_get_u64(r->t->facts, "revision", 0);
}

bool definition_stands(const struct receiving *r)
{
	return json_get_u64(r->t->facts, "written", 0) == definition_revision(r);
}

enum handoff_answer definition_answer(const struct receiving *r, uint64_t revision)
{
	uint64_t have = definition_revision(r);

	/* The worker that recorded it died before it had written it. */
	if (have == revision && !definition_stands(r))
		have--;
	return handoff_define(r->t->phase, have, revision);
}

/* Data have come for what was there: its volumes and ids stay what they are. */
static int check_same_shape(
	struct receiving *r, const struct container *was, struct container *c, struct err *err)
{
	bool same = !strcmp(was->name, c->name) && was->volumes.n == c->volumes.n &&
		    container_privileged(was) == container_privileged(c) &&
		    was->idmap.unshifted == c->idmap.unshifted;

	for (size_t i = 0; same && i < c->volumes.n; i++)
		same = receiving_volume(r, c->volumes.v[i].name) != NULL;
	if (same && !container_privileged(c))
		same = idmap_covers(&was->idmap, &c->idmap);
	if (!same)
		return err_set(err, ERR_STATE,
			"container '%s' has other volumes or ids than when its send began: cancel "
			"it, and begin again",
			r->t->ct);
	idmap_done(&c->idmap);
	idmap_copy(&c->idmap, &was->idmap);
	return 0;
}

/* The record first: from then on only this revision can be prepared, whatever is written. */
static int save(
	struct receiving *r, const struct definition *d, const struct container *c, struct err *err)
{
	json_object_set_new(r->t->facts, "ct", container_json(c));
	json_put_u64(r->t->facts, "revision", d->revision);
	json_put_bool(r->t->facts, "clone", d->clone);
	if (r->t->phase == TRANSFER_PREPARED)
		r->t->phase = TRANSFER_INCREMENTAL;
	return transfer_save(r->m->st, r->t, err);
}

static int renew(struct receiving *r, const struct definition *d, struct err *err)
{
	_cleanup_container_ struct container *c = NULL, *was = NULL;
	int res = container_from_json(d->ct, &c, err);

	if (res >= 0)
		res = receiving_model(r, &was, err);
	if (res >= 0)
		res = check_same_shape(r, was, c, err);
	if (res >= 0)
		res = definition_judge(r, d->refused, c, err);
	if (res >= 0)
		res = runtime_preflight(c, err);
	if (res >= 0)
		res = fit_check(c, err);
	if (res >= 0)
		res = save(r, d, c, err);
	return res < 0 ? res : definition_write(r, err);
}

int definition_renew(struct receiving *r, const struct definition *d, struct err *err)
{
	switch (definition_answer(r, d->revision)) {
	case ANSWER_STATE: return 0;
	case ANSWER_DEFINE: break;
	default:
		return err_set(err, ERR_STATE,
			"container '%s' can't be defined anew: its transfer is in state '%s' here",
			r->t->ct, transfer_phase_name(r->t->phase));
	}
	return d->revision == definition_revision(r) ? definition_write(r, err) : renew(r, d, err);
}
