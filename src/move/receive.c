#include "move/receive.h"

#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "move/intake.h"
#include "move/receiving.h"
#include "move/staging.h"
#include "move/takeover.h"
#include "runtime/runtime.h"

#define INPUT_TIMEOUT (60 * USEC_PER_SEC)

typedef int verb_fn(struct receiving *r, char *const *words, json_t **ret, struct err *err);

static json_t *pools_json(struct receiving *r)
{
	struct pool_vec pools = {0};
	struct err ignored = ERR_INIT;
	json_t *a = json_array();

	if (places_pools(r->m, &pools, &ignored) < 0)
		return a;
	for (size_t i = 0; i < pools.n; i++) {
		struct pool_space space = {0};
		json_t *o = json_object();

		json_put_str(o, "name", pools.v[i]->name);
		json_put_str(o, "driver", pools.v[i]->driver);
		if (pool_space(pools.v[i], &space, &ignored) >= 0)
			json_put_u64(o, "free", space.bytes_free);
		json_array_append_new(a, o);
	}
	pool_vec_free(&pools);
	return a;
}

static int serve_hello(struct receiving *r, char *const *words, json_t **ret, struct err *err)
{
	char host[256] = "";
	json_t *o = json_object();

	(void)words;
	(void)err;
	gethostname(host, sizeof(host) - 1);
	json_object_set_new(o, "protocol", json_pack("[i]", VERB_PROTOCOL));
	json_put_str(o, "version", WHERRY_VERSION);
	json_put_str(o, "node", state_node_id(r->m->st));
	json_put_str(o, "hostname", host);
	json_object_set_new(o, "features", json_pack("[s,s]", "check", "device"));
	json_object_set_new(o, "pools", pools_json(r));
	*ret = o;
	return 0;
}

static int serve_skel(struct receiving *r, char *const *words, json_t **ret, struct err *err)
{
	_cleanup_json_ json_t *line = NULL;
	int res = verb_recv_line(r->verb, INPUT_TIMEOUT, &line, err);

	return res < 0 ? res : staging_run(r, words[0], line, ret, err);
}

static int serve_data(
	struct receiving *r, char *const *words, bool base, json_t **ret, struct err *err)
{
	struct intake in;
	int res = intake_parse(words + 1, base, &in, err);

	if (res >= 0)
		res = receiving_find(r, words[0], err);
	if (res >= 0)
		res = intake_check(r, &in, err);
	if (res >= 0)
		res = receiving_find_locked(r, words[0], err);
	return res < 0 ? res : intake_run(r, &in, ret, err);
}

static int serve_base(struct receiving *r, char *const *words, json_t **ret, struct err *err)
{
	return serve_data(r, words, true, ret, err);
}

static int serve_incremental(struct receiving *r, char *const *words, json_t **ret, struct err *err)
{
	return serve_data(r, words, false, ret, err);
}

static int serve_transfer(struct receiving *r, char *const *words, json_t **ret, struct err *err)
{
	int res;

	if (words[1] && strcmp(words[1], "start"))
		return err_set(err, ERR_PROTOCOL, "the words of that verb are malformed");
	res = receiving_find(r, words[0], err);
	return res < 0 ? res : takeover_run(r, words[1] != NULL, ret, err);
}

static int serve_status(struct receiving *r, char *const *words, json_t **ret, struct err *err)
{
	int res = receiving_find(r, words[0], err);

	if (res == -ERR_NOT_FOUND) {
		err_clear(err);
		*ret = json_pack("{s:s}", "state", handoff_peer_name(PEER_NONE));
		return 0;
	}
	if (res < 0)
		return res;
	*ret = takeover_state(r);
	return 0;
}

static int serve_cancel(struct receiving *r, char *const *words, json_t **ret, struct err *err)
{
	int res = receiving_find_locked(r, words[0], err);

	if (res == -ERR_NOT_FOUND) {
		/* Nothing was ever made for it here. */
		err_clear(err);
		*ret = json_pack("{s:s}", "state", handoff_peer_name(PEER_NONE));
		return 0;
	}
	if (res < 0)
		return res;
	switch (handoff_destination(true, r->t->phase, r->t->epoch, MESSAGE_CANCEL, 0)) {
	case ANSWER_CANCEL:
		res = r->t->phase < TRANSFER_CANCELLED
			      ? receiving_promise(r, TRANSFER_CANCELLED, err)
			      : receiving_sweep(r, err);
		break;
	default:
		return err_set(err, ERR_STATE,
			"container '%s' belongs to the destination already: it can't be cancelled",
			r->t->ct);
	}
	if (res < 0)
		return res;
	*ret = takeover_state(r);
	return 0;
}

static int serve_cleanup(struct receiving *r, char *const *words, json_t **ret, struct err *err)
{
	int res = receiving_find_locked(r, words[0], err);

	if (res < 0)
		return res;
	if (r->t->phase != TRANSFER_DONE && r->t->phase != TRANSFER_CLOSED)
		return err_set(err, ERR_STATE,
			"container '%s' has not arrived yet: its transfer is in state '%s'",
			r->t->ct, transfer_phase_name(r->t->phase));
	if (r->t->phase == TRANSFER_DONE) {
		res = receiving_tidy(r, err);
		if (res >= 0)
			res = transfer_set_phase(r->m->st, r->t, TRANSFER_CLOSED, err);
		/* Until then the source asks with it; it opens nothing new, being in use. */
		if (res >= 0 && r->key.single_use)
			res = auth_key_del(r->m->st, r->key.name, err);
	}
	if (res < 0)
		return res;
	*ret = takeover_state(r);
	return 0;
}

static const struct {
	const char *name;
	verb_fn *fn;
} verbs[] = {
	{"hello", serve_hello},
	{"skel", serve_skel},
	{"base", serve_base},
	{"incremental", serve_incremental},
	{"transfer", serve_transfer},
	{"status", serve_status},
	{"cancel", serve_cancel},
	{"cleanup", serve_cleanup},
};

static int dispatch(struct receiving *r, char *const *words, json_t **ret, struct err *err)
{
	int res = fault_point("receive.verb", err);

	for (size_t i = 0; res >= 0 && i < ARRAY_SIZE(verbs); i++)
		if (!strcmp(verbs[i].name, words[0]))
			return verbs[i].fn(r, words + 1, ret, err);
	return res < 0 ? res : err_set(err, ERR_PROTOCOL, "this node knows no verb of that name");
}

int receive_serve(
	struct move_ctx *m, const struct receive_request *q, json_t **ret, struct err *err)
{
	struct receiving r = {.m = m, .address = q->address, .lock = -1};
	_cleanup_json_ json_t *answer = NULL;
	struct err tell_err = ERR_INIT;
	int res;

	r.verb = verb_serve_new(q->fd_in, q->fd_out, VERB_IDLE);
	res = auth_key_get(m->st, q->key, &r.key, err);
	if (res == -ERR_NOT_FOUND)
		res = err_set(err, ERR_AUTH, "that key is not authorised on this node any more");
	if (res >= 0)
		res = dispatch(&r, q->words, &answer, err);
	if (res >= 0)
		res = fault_point("receive.answer", err);
	if (res < 0) {
		if (verb_serve_error(r.verb, err, &tell_err) < 0)
			log_debug("the peer could not be told: %s", tell_err.text);
	} else {
		*ret = json_incref(answer);
		res = verb_serve_ok(r.verb, TAKE_PTR(answer), err);
	}
	receiving_done(&r);
	return res;
}
