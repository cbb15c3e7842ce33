/*
 * send.key.gen and receive.key.*: this node's own key, and the keys of those who may send to it.
 */
#include <string.h>

#include "daemon/serve.h"
#include "node/keys.h"

static struct {
	char *type, *line, *name, *ctid, *from, *passphrase, *pool;
	uint32_t bits;
	bool force, single_use, allow_refused, allow_devices;
} args;

static const struct json_field gen_fields[] = {
	JSON_STR(__typeof__(args), type, "type", 0, 16),
	JSON_U32(__typeof__(args), bits, "bits", 0, 0, 16384),
	JSON_BOOL(__typeof__(args), force, "force", 0),
	JSON_END,
};

static const struct json_field add_fields[] = {
	JSON_STR(__typeof__(args), line, "line", JSON_REQUIRED, 16384),
	JSON_STR(__typeof__(args), name, "name", 0, 64),
	JSON_STR(__typeof__(args), ctid, "ctid", 0, 255),
	JSON_STR(__typeof__(args), from, "from", 0, 1024),
	JSON_STR(__typeof__(args), passphrase, "passphrase", 0, 255),
	JSON_STR(__typeof__(args), pool, "pool", 0, 32),
	JSON_BOOL(__typeof__(args), single_use, "single_use", 0),
	JSON_BOOL(__typeof__(args), allow_refused, "allow_refused", 0),
	JSON_BOOL(__typeof__(args), allow_devices, "allow_devices", 0),
	JSON_END,
};

static const struct json_field del_fields[] = {
	JSON_STR(__typeof__(args), name, "name", JSON_REQUIRED, 64),
	JSON_END,
};

int serve_send_key_gen(struct serve *s, json_t **ret, struct err *err)
{
	int r = serve_args(s, gen_fields, &args, err);

	if (r >= 0)
		r = send_key_gen(args.type ? args.type : "ed25519", args.bits, args.force, err);
	if (r < 0)
		return r;
	*ret = json_object();
	json_put_str(*ret, "private", send_key_path(false));
	json_put_str(*ret, "public", send_key_path(true));
	return 0;
}

int serve_receive_key_add(struct serve *s, json_t **ret, struct err *err)
{
	_cleanup_free_ char *name = NULL;
	int r = serve_args(s, add_fields, &args, err);
	struct auth_key with = {
		.ctid = args.ctid,
		.from = args.from,
		.pool = args.pool,
		.single_use = args.single_use,
		.allow_refused = args.allow_refused,
		.allow_devices = args.allow_devices,
	};

	if (r < 0)
		return r;
	if (args.name)
		snprintf(with.name, sizeof(with.name), "%s", args.name);
	r = auth_key_add(
		s->move.st, args.line, strlen(args.line), &with, args.passphrase, &name, err);
	if (r < 0)
		return r;
	*ret = json_object();
	json_put_str(*ret, "name", name);
	return 0;
}

/* What identifies a key for people: its type, the end of its comment; never the passphrase. */
static json_t *key_json(const struct auth_key *k)
{
	json_t *o = json_object();

	json_put_str(o, "name", k->name);
	json_put_str(o, "pubkey", k->pubkey);
	json_put_str(o, "ctid", k->ctid);
	json_put_str(o, "from", k->from);
	json_put_str(o, "pool", k->pool);
	json_put_bool(o, "passphrase", k->passphrase != NULL);
	json_put_bool(o, "single_use", k->single_use);
	json_put_bool(o, "in_use", k->in_use);
	json_put_bool(o, "allow_refused", k->allow_refused);
	json_put_bool(o, "allow_devices", k->allow_devices);
	json_put_u64(o, "added", k->added);
	return o;
}

int serve_receive_key_list(struct serve *s, json_t **ret, struct err *err)
{
	_cleanup_(auth_key_vec_free) struct auth_key_vec keys = {0};
	int r = auth_key_list(s->move.st, &keys, err);

	if (r < 0)
		return r;
	*ret = json_array();
	for (size_t i = 0; i < keys.n; i++)
		json_array_append_new(*ret, key_json(&keys.v[i]));
	return 0;
}

int serve_receive_key_del(struct serve *s, json_t **ret, struct err *err)
{
	int r = serve_args(s, del_fields, &args, err);

	return r < 0 ? r : auth_key_del(s->move.st, args.name, err);
}
