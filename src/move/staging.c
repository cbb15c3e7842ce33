#include "move/staging.h"

#include <string.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "move/adopt.h"
#include "move/definition.h"
#include "move/fit.h"
#include "move/handed.h"
#include "move/incoming.h"
#include "runtime/runtime.h"

#define VOLUMES_MAX 32
#define REFUSED_MAX 256
/* What a filesystem wants beyond the bytes: metadata, and room for what changes meanwhile. */
#define SPACE_FACTOR_PERCENT 103
#define SPACE_EXTRA	     (UINT64_C(16) << 20)

struct skel {
	uint64_t protocol, epoch, revision;
	char *token, *version, *source, *pool, *to_device, *passphrase;
	bool clone, check;
	json_t *ct, *refused, *volumes;
};

static const struct json_field skel_fields[] = {
	JSON_U64(struct skel, protocol, "protocol", JSON_REQUIRED, 1, 1000),
	JSON_U64(struct skel, epoch, "epoch", JSON_REQUIRED, 0, INT64_MAX),
	JSON_U64(struct skel, revision, "revision", 0, 0, INT64_MAX),
	JSON_STR(struct skel, token, "token", JSON_REQUIRED, 40),
	JSON_STR(struct skel, version, "version", 0, 64),
	JSON_STR(struct skel, source, "source", 0, 64),
	JSON_STR(struct skel, pool, "pool", 0, 64),
	JSON_STR(struct skel, to_device, "to_device", 0, 1024),
	JSON_STR(struct skel, passphrase, "passphrase", 0, 1024),
	JSON_BOOL(struct skel, clone, "clone", 0),
	JSON_BOOL(struct skel, check, "check", 0),
	JSON_ANY(struct skel, ct, "ct", JSON_REQUIRED),
	JSON_ANY(struct skel, refused, "refused", 0),
	JSON_ANY(struct skel, volumes, "volumes", JSON_REQUIRED),
	JSON_END,
};

static void skel_done(struct skel *s)
{
	free(s->token);
	free(s->version);
	free(s->source);
	free(s->pool);
	free(s->to_device);
	free(s->passphrase);
	json_decref(s->ct);
	json_decref(s->refused);
	json_decref(s->volumes);
}

static bool token_ok(const char *t)
{
	size_t n = strspn(t, "0123456789abcdef");

	return n == 40 && !t[n];
}

static int check_skel(const struct skel *s, struct err *err)
{
	if (s->protocol != VERB_PROTOCOL)
		return err_set(err, ERR_PROTOCOL,
			"this node speaks protocol %d, not %llu: upgrade the older Wherry",
			VERB_PROTOCOL, (unsigned long long)s->protocol);
	if (!token_ok(s->token))
		return err_set(err, ERR_PROTOCOL, "the token of the transfer is malformed");
	if (!json_is_array(s->volumes) || json_array_size(s->volumes) > VOLUMES_MAX)
		return err_set(err, ERR_PROTOCOL, "the list of volumes is malformed");
	if (s->refused && (!json_is_array(s->refused) || json_array_size(s->refused) > REFUSED_MAX))
		return err_set(err, ERR_PROTOCOL, "the list of refused options is malformed");
	return 0;
}

static int check_name_free(struct receiving *r, const char *ct, struct err *err)
{
	_cleanup_transfer_ struct transfer *t = NULL;
	bool exists;
	int res = runtime_exists(ct, &exists, err);

	if (res < 0)
		return res;
	if (exists)
		return err_set(err, ERR_EXISTS,
			"there is a container '%s' on the destination already: delete it there, or "
			"send "
			"with --as-id NAME",
			ct);
	res = transfer_open_of(r->m->st, TRANSFER_DESTINATION, ct, &t, err);
	if (res >= 0 && t->phase < TRANSFER_DONE)
		return err_set(err, ERR_BUSY,
			"a container '%s' is just arriving on the destination from elsewhere", ct);
	err_clear(err);
	return 0;
}

static int add_sizes(
	const struct skel *s, uint64_t *ret_bytes, uint64_t *ret_inodes, struct err *err)
{
	const json_t *v;
	size_t i;

	*ret_bytes = *ret_inodes = 0;
	json_array_foreach(s->volumes, i, v)
	{
		uint64_t b = json_get_u64(v, "bytes", 0), n = json_get_u64(v, "inodes", 0);
		uint64_t size = json_get_u64(v, "size", 0);

		if (json_object_get(v, "handed") || (s->to_device && i == 0))
			continue;
		if (b > INT64_MAX / 256 || n > INT64_MAX / 256 || size > INT64_MAX / 256)
			return err_set(err, ERR_PROTOCOL, "the size of a volume is malformed");
		*ret_bytes += b;
		*ret_inodes += n;
	}
	return 0;
}

static int no_space(const struct receiving *r, const struct pool_space *space, uint64_t promised,
	uint64_t bytes, struct err *err)
{
	char need[NUM_HUMAN_MAX], have[NUM_HUMAN_MAX], others[NUM_HUMAN_MAX];
	_cleanup_free_ char *of_which = promised ? xasprintf(
							   ", %s of it promised to others that are "
							   "arriving (`wherry receive list`)",
							   num_human_size(promised, others))
						 : xstrdup("");

	return err_set(err, ERR_NO_SPACE,
		"pool '%s' on the destination has %s free%s, the container needs %s: make room "
		"there, or name another pool with --to-pool",
		r->pool->name, num_human_size(space->bytes_free, have), of_which,
		num_human_size(bytes, need));
}

/* What others were promised is as good as used, also while it has not come. */
static int check_space(const struct receiving *r, const struct skel *s, struct err *err)
{
	uint64_t bytes = 0, inodes = 0, promised = 0, promised_inodes = 0;
	struct pool_space space;
	int res = pool_space(r->pool, &space, err);

	if (res >= 0)
		res = add_sizes(s, &bytes, &inodes, err);
	if (res >= 0)
		res = incoming_promised(r->m, r->pool, &promised, &promised_inodes, err);
	if (res < 0)
		return res;
	bytes = bytes / 100 * SPACE_FACTOR_PERCENT + SPACE_EXTRA;
	if (bytes > space.bytes_free || promised > space.bytes_free - bytes)
		return no_space(r, &space, promised, bytes, err);
	if (inodes > space.inodes_free || promised_inodes > space.inodes_free - inodes)
		return err_set(err, ERR_NO_SPACE,
			"pool '%s' on the destination has %llu inodes free, %llu of them promised "
			"to others that are arriving, the container needs %llu",
			r->pool->name, (unsigned long long)space.inodes_free,
			(unsigned long long)promised_inodes, (unsigned long long)inodes);
	return 0;
}

static int check_key_limit(const struct receiving *r, struct err *err)
{
	uint64_t n = 0, most = r->m->cfg->open_per_key;
	int res = most ? incoming_of_key(r->m, r->key.name, &n, err) : 0;

	if (res < 0 || !most || n < most)
		return res;
	return err_set(err, ERR_BUSY,
		"%llu containers are arriving with key '%s' on the destination already, and "
		"[receive] "
		"open_per_key allows no more: finish or cancel some of their sends first",
		(unsigned long long)n, r->key.name);
}

/* One driver's volume goes to another of the same natively, where the driver has streams; anything
 * else through the tree engine. Native streams carry ids as they are on disk, so the maps must
 * agree. */
static bool is_native(const struct receiving *r, const struct container *c, const json_t *v)
{
	const char *driver = json_get_str(v, "driver");
	_cleanup_volume_ struct volume *here = volume_in_pool(
		r->pool, c->name, json_get_str(v, "name"));

	return json_get_bool(v, "native", false) && driver && !strcmp(driver, r->pool->driver) &&
	       volume_can(here, STORAGE_INCREMENTAL);
}

static int misfit(struct err *err)
{
	return err_set(err, ERR_PROTOCOL, "the list of volumes does not fit the container");
}

static int judge_handed(struct receiving *r, const struct skel *s, const json_t *device,
	json_t *into, struct err *err)
{
	json_t *kept;
	int res = handed_judge(r, device, s->token, !s->check, &kept, err);

	if (res < 0)
		return res;
	json_put_str(into, "method", HANDED_METHOD);
	json_object_set_new(into, "handed", kept);
	return 0;
}

/* The operator's device, for the container's root. */
static int judge_device(struct receiving *r, const struct skel *s, json_t *into, struct err *err)
{
	if (!r->key.allow_devices)
		return err_set(err, ERR_DENIED,
			"key '%s' may not name devices of the destination: let it (receive "
			"authorized-keys add --allow-devices)",
			r->key.name);
	json_put_str(into, "method", "tree");
	json_put_str(into, "device", s->to_device);
	return 0;
}

/* What becomes of one volume: its first facts. */
static int choose_method(struct receiving *r, const struct skel *s, const struct container *c,
	bool same_ids, const json_t *v, json_t *into, struct err *err)
{
	const json_t *device = json_object_get(v, "handed");
	bool is_root = str_eq(json_get_str(v, "name"), c->volumes.v[0].name), native;

	if (device && is_root && s->to_device)
		return misfit(err);
	if (device)
		return judge_handed(r, s, device, into, err);
	json_put_u64(into, "bytes", json_get_u64(v, "bytes", 0));
	json_put_u64(into, "inodes", json_get_u64(v, "inodes", 0));
	json_put_u64(into, "size", json_get_u64(v, "size", 0));
	json_put_str(into, "fs", json_get_str(v, "fs"));
	if (is_root && s->to_device)
		return judge_device(r, s, into, err);
	native = same_ids && is_native(r, c, v);
	json_put_bool(into, "native", native);
	json_put_str(into, "method", native ? r->pool->driver : "tree");
	return 0;
}

static int choose_methods(struct receiving *r, const struct skel *s, const struct container *c,
	bool same_ids, json_t **ret, struct err *err)
{
	_cleanup_json_ json_t *out = json_object();
	const json_t *v;
	size_t i;

	json_array_foreach(s->volumes, i, v)
	{
		const char *name = json_get_str(v, "name");
		json_t *into = json_object();
		int res;

		if (!name || !container_volume(c, name) || json_object_get(out, name)) {
			json_decref(into);
			return misfit(err);
		}
		json_object_set_new(out, name, into);
		res = choose_method(r, s, c, same_ids, v, into, err);
		if (res < 0)
			return res;
	}
	if (json_object_size(out) != c->volumes.n)
		return misfit(err);
	*ret = TAKE_PTR(out);
	return 0;
}

static json_t *answer_volumes(const struct receiving *r, const json_t *volumes)
{
	json_t *list = json_array(), *f;
	const char *name;

	json_object_foreach((json_t *)volumes, name, f)
	{
		json_t *v = json_object();

		json_put_str(v, "name", name);
		json_put_str(v, "method", json_get_str(f, "method"));
		json_put_str(v, "driver", r->pool->driver);
		json_array_append_new(list, v);
	}
	return list;
}

static json_t *answer(const struct receiving *r)
{
	json_t *o = json_object();

	json_put_str(o, "token", r->t->token);
	json_put_str(o, "ct", r->t->ct);
	json_put_str(o, "pool", r->pool->name);
	json_put_u64(o, "revision", definition_revision(r));
	json_object_set_new(
		o, "volumes", answer_volumes(r, json_object_get(r->t->facts, "volumes")));
	return o;
}

static struct transfer *new_record(
	const struct receiving *r, const struct skel *s, const struct container *c, json_t *volumes)
{
	struct transfer *t = transfer_new(TRANSFER_DESTINATION, c->name);

	snprintf(t->token, sizeof(t->token), "%s", s->token);
	snprintf(t->peer, sizeof(t->peer), "%s", r->address);
	snprintf(t->key, sizeof(t->key), "%s", r->key.name);
	t->epoch = s->epoch;
	json_object_set_new(t->facts, "ct", container_json(c));
	json_object_set_new(t->facts, "volumes", volumes);
	json_put_str(t->facts, "pool", r->pool->name);
	json_put_u64(t->facts, "revision", s->revision);
	json_put_bool(t->facts, "clone", s->clone);
	return t;
}

/* A record of a container that was removed behind our back (lxc-destroy) does not keep its name:
 * that there is none was looked up under the lock. */
static int forget_owned(struct receiving *r, const char *ct, struct err *err)
{
	struct own own;
	int res = own_get(r->m->st, ct, &own, err);

	return res < 0 || !own.recorded || own.kind != OWN_OWNER ? res
								 : own_forget(r->m->st, ct, err);
}

/* The name is ours from here on: nobody else arrives or is made under it until it is published, or
 * swept and forgotten. */
static int write_record(struct receiving *r, struct transfer *t, struct err *err)
{
	struct own own = {.kind = OWN_STAGED, .epoch = t->epoch};
	int res = state_begin(r->m->st, err);

	if (res < 0)
		return res;
	snprintf(own.ct, sizeof(own.ct), "%s", t->ct);
	snprintf(own.token, sizeof(own.token), "%s", t->token);
	snprintf(own.peer, sizeof(own.peer), "%s", t->peer);
	res = transfer_insert(r->m->st, t, err);
	if (res >= 0)
		res = forget_owned(r, t->ct, err);
	if (res >= 0)
		res = own_set(r->m->st, &own, err);
	if (res >= 0 && r->key.single_use)
		res = auth_key_set_in_use(r->m->st, r->key.name, true, err);
	if (res >= 0)
		return state_commit(r->m->st, err);
	state_rollback(r->m->st);
	return res;
}

static int record(struct receiving *r, const struct skel *s, const struct container *c,
	json_t *volumes, struct err *err)
{
	_cleanup_transfer_ struct transfer *t = new_record(r, s, c, volumes);
	int res = move_close_arrived(r->m, c->name, err);

	if (res >= 0)
		res = write_record(r, t, err);
	if (res < 0) /* and r->t stays NULL: a token that is somebody else's is not ours to undo */
		return res;
	r->t = TAKE_PTR(t);
	return 0;
}

/* A token that is known here: the answer to an earlier skel was lost, or the container's
 * configuration was changed meanwhile. A token whose transfer has ended stays dead. */
static int answer_again(struct receiving *r, const struct skel *s, json_t **ret, struct err *err)
{
	const struct definition d = {s->revision, s->clone, s->ct, s->refused};
	bool moves = definition_answer(r, s->revision) != ANSWER_STATE;
	int res = 0;

	if (!transfer_is_open(r->t))
		return receiving_has_ended(r, err);
	/* Only then: data may be arriving, and who holds the lock for that would be stopped. */
	if (moves)
		res = receiving_find_locked(r, s->token, err);
	if (res >= 0)
		res = receiving_pool(r, err);
	if (res >= 0 && moves)
		res = definition_renew(r, &d, err);
	if (res < 0)
		return res;
	*ret = answer(r);
	return 0;
}

/* Files without a container, or of one that goes by another name. */
static int check_places_free(const struct receiving *r, const struct container *c, struct err *err)
{
	for (size_t i = 0; i < c->volumes.n; i++) {
		_cleanup_volume_ struct volume *v = volume_in_pool(
			r->pool, c->name, c->volumes.v[i].name);
		int there = volume_exists(v, err);

		if (there < 0)
			return there;
		if (there)
			return err_set(err, ERR_EXISTS,
				"there are files of a '%s' in pool '%s' on the destination "
				"already: "
				"remove them there, or send with --as-id NAME",
				c->name, r->pool->name);
	}
	return 0;
}

/* Everything that can be refused is refused here, with the name locked and nothing made. */
static bool any_handed(const struct skel *s)
{
	const json_t *v;
	size_t i;

	json_array_foreach(s->volumes, i, v)
	{
		if (json_object_get(v, "handed"))
			return true;
	}
	return false;
}

static int check_all(struct receiving *r, const struct skel *s, struct container *c,
	const char *pool_word, json_t **ret_volumes, struct err *err)
{
	struct idmap theirs = {0};
	bool same_ids;
	int res = check_name_free(r, c->name, err);

	if (res >= 0)
		res = places_pool(r->m, pool_word ? pool_word : r->key.pool, &r->pool, err);
	if (res >= 0)
		res = check_places_free(r, c, err);
	if (res >= 0)
		res = definition_judge(r, s->refused, c, err);
	if (res < 0)
		return res;
	idmap_copy(&theirs, &c->idmap);
	res = any_handed(s) ? adopt_same_ids(c, err) : definition_map_ids(r, c, err);
	same_ids = idmap_same_on_disk(&theirs, &c->idmap);
	idmap_done(&theirs);
	if (res >= 0)
		res = runtime_preflight(c, err);
	if (res >= 0)
		res = fit_check(c, err);
	return res < 0 ? res : choose_methods(r, s, c, same_ids, ret_volumes, err);
}

/* One at a time: what is free and not promised must still be when it is promised. */
static int promise(struct receiving *r, const struct skel *s, const struct container *c,
	json_t *volumes, struct err *err)
{
	_cleanup_json_ json_t *v = volumes;
	_cleanup_close_ int lock = -1;
	int res = incoming_reserve_lock(&lock, err);

	if (res >= 0)
		res = check_key_limit(r, err);
	if (res >= 0)
		res = check_space(r, s, err);
	return res < 0 ? res : record(r, s, c, TAKE_PTR(v), err);
}

/* All that is refused before anything is made; under the container's lock from here on. */
static int judge(struct receiving *r, const struct skel *s, struct container *c,
	const char *pool_word, json_t **ret_volumes, struct err *err)
{
	int res = auth_key_allows(&r->key, c->name, r->address, s->passphrase, pool_word, err);

	if (res >= 0)
		res = move_lock(r->m, c->name, false, &r->lock, err);
	return res < 0 ? res : check_all(r, s, c, pool_word, ret_volumes, err);
}

/* The whole answer of a skel line that is not to be: nothing is recorded, nothing promised. */
static int stage_check(struct receiving *r, const struct skel *s, struct container *c,
	const char *pool_word, json_t **ret, struct err *err)
{
	_cleanup_json_ json_t *volumes = NULL;
	int res = judge(r, s, c, pool_word, &volumes, err);

	if (res >= 0)
		res = check_key_limit(r, err);
	if (res >= 0)
		res = check_space(r, s, err);
	if (res < 0)
		return res;
	*ret = json_object();
	json_put_str(*ret, "ct", c->name);
	json_put_str(*ret, "pool", r->pool->name);
	json_object_set_new(*ret, "volumes", answer_volumes(r, volumes));
	return 0;
}

/* Now, not with the first data: whether the device will do is an early answer. */
static int make_on_device(struct receiving *r, const char *name, struct err *err)
{
	_cleanup_volume_ struct volume *v = receiving_staged(r, name);

	return volume_create(v, err);
}

static int stage_new(struct receiving *r, const struct skel *s, struct container *c,
	const char *pool_word, struct err *err)
{
	_cleanup_json_ json_t *volumes = NULL;
	int res = judge(r, s, c, pool_word, &volumes, err);

	if (res >= 0)
		res = promise(r, s, c, TAKE_PTR(volumes), err);
	if (res >= 0 && s->to_device && c->volumes.n)
		res = make_on_device(r, c->volumes.v[0].name, err);
	return res < 0 ? res : definition_write(r, err);
}

static int stage(struct receiving *r, const struct skel *s, const char *pool_word, json_t **ret,
	struct err *err)
{
	_cleanup_container_ struct container *c = NULL;
	struct err undo_err = ERR_INIT;
	int res = check_skel(s, err);

	if (res >= 0)
		res = receiving_find(r, s->token, err);
	if (res >= 0)
		return answer_again(r, s, ret, err);
	if (res != -ERR_NOT_FOUND)
		return res;
	err_clear(err);
	res = container_from_json(s->ct, &c, err);
	if (res < 0)
		return res;
	if (s->check)
		return stage_check(r, s, c, pool_word, ret, err);
	res = stage_new(r, s, c, pool_word, err);
	if (res < 0) {
		if (r->t && receiving_promise(r, TRANSFER_CANCELLED, &undo_err) < 0)
			return err_prefix(err, "(and the undo failed: %s)", undo_err.text);
		return res;
	}
	*ret = answer(r);
	return 0;
}

int staging_run(struct receiving *r, const char *pool_word, const json_t *json, json_t **ret,
	struct err *err)
{
	struct skel s = {0};
	int res = json_read(json, skel_fields, JSON_LOOSE, &s, err);

	if (pool_word && !strcmp(pool_word, "-"))
		pool_word = s.pool && s.pool[0] ? s.pool : NULL;
	if (res >= 0)
		res = stage(r, &s, pool_word, ret, err);
	skel_done(&s);
	return res;
}
