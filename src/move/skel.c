#include "move/skel.h"

#include <string.h>

#include "base/fault.h"
#include "base/json.h"
#include "base/str.h"
#include "move/handed.h"

static json_t *volumes_json(struct sending *s)
{
	json_t *a = json_array();

	for (size_t i = 0; i < s->vols.n; i++) {
		const json_t *f = sending_volume(s, s->vols.v[i]->name);
		json_t *v = json_object();

		json_put_str(v, "name", s->vols.v[i]->name);
		json_put_str(v, "driver", s->vols.v[i]->driver->name);
		json_put_u64(v, "bytes", json_get_u64(f, "bytes", 0));
		json_put_u64(v, "inodes", json_get_u64(f, "inodes", 0));
		json_put_bool(v, "native", json_get_bool(f, "streams", false));
		if (json_get_u64(f, "size", 0))
			json_put_u64(v, "size", json_get_u64(f, "size", 0));
		json_put_str(v, "fs", json_get_str(f, "fs"));
		json_object_set(v, "handed", json_object_get(f, "handed"));
		json_array_append_new(a, v);
	}
	return a;
}

static json_t *refused_json(const struct container *c)
{
	json_t *a = json_array();

	for (size_t i = 0; i < c->refused.n; i++)
		json_array_append_new(
			a, json_pack("[s,s,s]", c->refused.v[i].key, c->refused.v[i].value,
				   c->refused.v[i].reason ? c->refused.v[i].reason : ""));
	return a;
}

/* Two containers must not answer to one address. */
static void drop_hwaddrs(json_t *netifs)
{
	json_t *n;
	size_t i;

	json_array_foreach(netifs, i, n) json_object_del(n, "hwaddr");
}

/* An address that LXC made up goes with the container, though it stands in no file once the
 * container is stopped. */
static void keep_hwaddrs(json_t *netifs, const json_t *told)
{
	json_t *n, *was;
	size_t i, j;

	json_array_foreach(netifs, i, n)
	{
		json_array_foreach(told, j, was)
		{
			json_t *hwaddr = json_object_get(was, "hwaddr");

			if (hwaddr && !json_object_get(n, "hwaddr") &&
				json_equal(
					json_object_get(n, "index"), json_object_get(was, "index")))
				json_object_set(n, "hwaddr", hwaddr);
		}
	}
}

/* Of the container as it is now: what makes a revision. */
static json_t *content_json(struct sending *s, const json_t *told)
{
	json_t *ct = container_json(s->c), *o = json_object();

	json_put_str(ct, "name", s->t->peer_ct);
	if (!s->o.network)
		json_object_set_new(ct, "netifs", json_array());
	if (s->o.clone)
		drop_hwaddrs(json_object_get(ct, "netifs"));
	else
		keep_hwaddrs(json_object_get(ct, "netifs"),
			json_object_get(json_object_get(told, "ct"), "netifs"));
	json_put_bool(o, "clone", s->o.clone);
	json_object_set_new(o, "ct", ct);
	json_object_set_new(o, "refused", refused_json(s->c));
	return o;
}

static json_t *line_json(struct sending *s, const json_t *told)
{
	json_t *o = json_copy((json_t *)json_object_get(told, "content"));

	json_put_u64(o, "protocol", VERB_PROTOCOL);
	json_put_str(o, "version", WHERRY_VERSION);
	json_put_str(o, "token", s->t->token);
	json_put_str(o, "source", state_node_id(s->m->st));
	json_put_u64(o, "epoch", s->t->epoch);
	json_put_u64(o, "revision", json_get_u64(told, "revision", 0));
	json_put_str(o, "pool", s->o.to_pool);
	json_put_str(o, "to_device", s->o.to_device);
	json_put_str(o, "passphrase", s->o.passphrase);
	json_object_set_new(o, "volumes", volumes_json(s));
	return o;
}

static bool method_ok(struct sending *s, const struct volume *v, const char *method)
{
	if (json_object_get(sending_volume(s, v->name), "handed"))
		return !strcmp(method, HANDED_METHOD);
	return !strcmp(method, "tree") || !strcmp(method, v->driver->name);
}

static int take_methods(struct sending *s, const json_t *answer, struct err *err)
{
	const json_t *list = json_object_get(answer, "volumes"), *v;
	size_t i, known = 0;

	json_array_foreach(list, i, v)
	{
		const char *name = json_get_str(v, "name"), *method = json_get_str(v, "method");

		for (size_t k = 0; name && method && k < s->vols.n; k++)
			if (!strcmp(s->vols.v[k]->name, name) &&
				method_ok(s, s->vols.v[k], method)) {
				json_put_str(sending_volume(s, name), "method", method);
				known++;
			}
	}
	if (known != s->vols.n)
		return err_set(err, ERR_PROTOCOL,
			"%s did not say how each volume of '%s' is to be sent", s->t->peer,
			s->t->ct);
	return 0;
}

static int take_answer(struct sending *s, const json_t *answer, struct err *err)
{
	int r = take_methods(s, answer, err);

	if (r >= 0 && json_get_u64(answer, "revision", 0) != skel_revision(s))
		r = err_set(err, ERR_PROTOCOL,
			"%s did not take the configuration of container '%s' as it is now",
			s->t->peer, s->t->ct);
	if (r >= 0)
		json_put_str(s->t->facts, "peer_pool", json_get_str(answer, "pool"));
	return r;
}

static const json_t *told_of(const struct sending *s)
{
	return json_object_get(s->t->facts, "told");
}

uint64_t skel_revision(const struct sending *s)
{
	return json_get_u64(told_of(s), "revision", 0);
}

/* content is stolen. */
static int tell(struct sending *s, json_t *content, struct err *err)
{
	const char *const words[] = {"receive", "skel", s->o.to_pool ? s->o.to_pool : "-", NULL};
	_cleanup_json_ json_t *told = json_object(), *answer = NULL, *line = NULL;
	int r;

	json_put_u64(told, "revision", skel_revision(s) + 1);
	json_object_set_new(told, "content", content);
	r = transfer_fact(s->m->st, s->t, "told", json_incref(told), err);
	if (r >= 0)
		r = fault_point("skel.told", err);
	if (r < 0)
		return r;
	line = line_json(s, told);
	r = peer_call(s->peer, words, line, &answer, err);
	if (r >= 0)
		r = fault_point("skel.answered", err);
	if (r >= 0)
		r = take_answer(s, answer, err);
	if (r < 0)
		return r;
	json_put_bool(told, "heard", true);
	return transfer_save(s->m->st, s->t, err);
}

int skel_check(struct sending *s, json_t **ret, struct err *err)
{
	const char *const words[] = {"receive", "skel", s->o.to_pool ? s->o.to_pool : "-", NULL};
	_cleanup_json_ json_t *told = json_object(), *line = NULL;

	json_put_u64(told, "revision", 1);
	json_object_set_new(told, "content", content_json(s, NULL));
	line = line_json(s, told);
	json_put_bool(line, "check", true);
	return peer_call(s->peer, words, line, ret, err);
}

int skel_tell(struct sending *s, struct err *err)
{
	return tell(s, content_json(s, NULL), err);
}

/* "hostname, netifs". */
static char *changes(const json_t *was, const json_t *now)
{
	struct str text = STR_INIT;
	const char *name;
	json_t *v;

	json_object_foreach((json_t *)now, name, v)
	{
		if (!json_equal(v, json_object_get(was, name)))
			str_addf(&text, "%s%s", text.len ? ", " : "", name);
	}
	json_object_foreach((json_t *)was, name, v)
	{
		if (!json_object_get(now, name))
			str_addf(&text, "%s%s", text.len ? ", " : "", name);
	}
	return text.len ? str_take(&text) : NULL;
}

static int tell_change(
	struct sending *s, const json_t *was, json_t *now, const char *what, struct err *err)
{
	int r;

	if (!json_equal(json_object_get(json_object_get(was, "ct"), "idmap"),
		    json_object_get(json_object_get(now, "ct"), "idmap"))) {
		json_decref(now);
		return err_set(err, ERR_STATE,
			"the id map of container '%s' is not the one with which its send began: "
			"`wherry ct send cancel %s`, and begin again",
			s->t->ct, s->t->ct);
	}
	r = tell(s, now, err);
	if (r < 0)
		return err_prefix(err,
			"the configuration of container '%s' has changed since %s was told of it "
			"(%s), and that can't be sent (change it back, or `wherry ct send cancel "
			"%s`)",
			s->t->ct, s->t->peer, what, s->t->ct);
	move_say(s->m, "the configuration of container '%s' has changed (%s): sent to %s again",
		s->t->ct, what, s->t->peer);
	return 0;
}

int skel_refresh(struct sending *s, struct err *err)
{
	_cleanup_json_ json_t *was = json_deep_copy(json_object_get(told_of(s), "content"));
	_cleanup_free_ char *what = NULL;
	json_t *now;
	int r = sending_reload(s, err);

	if (r < 0)
		return r;
	now = content_json(s, was);
	what = changes(json_object_get(was, "ct"), json_object_get(now, "ct"));
	if (json_equal(was, now) && json_get_bool(told_of(s), "heard", false)) {
		json_decref(now);
		return 0;
	}
	return tell_change(s, was, now, what ? what : "what it may reach", err);
}
