/*
 * ct.send*: the steps of a send, all with one table of arguments: what a step has no use for, it
 * leaves alone.
 */
#include <string.h>

#include "base/str.h"
#include "daemon/serve.h"
#include "move/recover.h"
#include "move/send.h"
#include "node/transfer.h"

#define ZSTD_MAX 19

static struct {
	char *ct, *host, *as_id, *to_pool, *to_device, *passphrase, *compress, *from_snapshot;
	uint32_t port;
	uint64_t bwlimit;
	bool clone, start, restart, consistent, network, snapshots;
	bool accept_new_host_key, keep_partial, dry_run, force, local, hand_over;
} args;

static const struct json_field fields[] = {
	JSON_STR(__typeof__(args), ct, "ct", JSON_REQUIRED, 64),
	JSON_STR(__typeof__(args), host, "host", 0, 255),
	JSON_STR(__typeof__(args), as_id, "as_id", 0, 64),
	JSON_STR(__typeof__(args), to_pool, "to_pool", 0, 32),
	JSON_STR(__typeof__(args), to_device, "to_device", 0, 1023),
	JSON_BOOL(__typeof__(args), hand_over, "hand_over", 0),
	JSON_STR(__typeof__(args), passphrase, "passphrase", 0, 255),
	JSON_STR(__typeof__(args), compress, "compress", 0, 8),
	JSON_STR(__typeof__(args), from_snapshot, "from_snapshot", 0, 127),
	JSON_U32(__typeof__(args), port, "port", 0, 1, 65535),
	JSON_U64(__typeof__(args), bwlimit, "bwlimit", 0, 0, UINT64_MAX >> 1),
	JSON_BOOL(__typeof__(args), clone, "clone", 0),
	JSON_BOOL(__typeof__(args), start, "start", 0),
	JSON_BOOL(__typeof__(args), restart, "restart", 0),
	JSON_BOOL(__typeof__(args), consistent, "consistent", 0),
	JSON_BOOL(__typeof__(args), network, "network", 0),
	JSON_BOOL(__typeof__(args), snapshots, "snapshots", 0),
	JSON_BOOL(__typeof__(args), accept_new_host_key, "accept_new_host_key", 0),
	JSON_BOOL(__typeof__(args), keep_partial, "keep_partial", 0),
	JSON_BOOL(__typeof__(args), dry_run, "dry_run", 0),
	JSON_BOOL(__typeof__(args), force, "force", 0),
	JSON_BOOL(__typeof__(args), local, "local", 0),
	JSON_END,
};

static int compress_level(const char *word, int *ret, struct err *err)
{
	uint32_t level;
	int r;

	if (!word)
		return 0;
	if (str_eq(word, "auto") || str_eq(word, "off")) {
		*ret = str_eq(word, "auto") ? -1 : 0;
		return 0;
	}
	r = num_u32(word, ZSTD_MAX, &level, err);
	if (r < 0)
		return err_set(err, ERR_INVALID,
			"compression is auto, off, or a level from 1 to %d, not %s", ZSTD_MAX,
			word);
	*ret = (int)level;
	return 0;
}

static int read_args(struct serve *s, struct send_opts *o, struct err *err)
{
	int r;

	send_opts_init(o);
	args.clone = o->clone;
	args.start = o->start;
	args.restart = o->restart;
	args.consistent = o->consistent;
	args.network = o->network;
	args.snapshots = o->snapshots;
	r = serve_args(s, fields, &args, err);
	if (r < 0)
		return r;
	o->host = args.host;
	o->as_id = args.as_id;
	o->to_pool = args.to_pool;
	o->to_device = args.to_device;
	o->hand_over = args.hand_over;
	o->passphrase = args.passphrase;
	/* osctl's users write @NAME, as zfs does. */
	if (args.from_snapshot)
		o->from_snapshot = args.from_snapshot + (args.from_snapshot[0] == '@');
	o->port = (uint16_t)args.port;
	o->bwlimit = args.bwlimit;
	o->clone = args.clone;
	o->start = args.start;
	o->restart = args.restart;
	o->consistent = args.consistent;
	o->network = args.network;
	o->snapshots = args.snapshots;
	o->accept_new_host_key = args.accept_new_host_key;
	o->keep_partial = args.keep_partial;
	o->dry_run = args.dry_run;
	o->force = args.force;
	o->local = args.local;
	return compress_level(args.compress, &o->compress, err);
}

typedef int send_fn(struct move_ctx *m, const char *ct, const struct send_opts *o, json_t **ret,
	struct err *err);

static int send_step(struct serve *s, send_fn *fn, json_t **ret, struct err *err)
{
	struct send_opts o;
	int r = read_args(s, &o, err);

	return r < 0 ? r : fn(&s->move, args.ct, &o, ret, err);
}

#define STEP(name, fn)                                                                             \
	int serve_##name(struct serve *s, json_t **ret, struct err *err)                           \
	{                                                                                          \
		return send_step(s, fn, ret, err);                                                 \
	}

STEP(ct_send, send_now)
STEP(ct_send_config, send_config)
STEP(ct_send_rootfs, send_rootfs)
STEP(ct_send_sync, send_sync)
STEP(ct_send_state, send_state)
STEP(ct_send_cleanup, send_cleanup)
STEP(ct_send_cancel, send_cancel)
STEP(ct_send_resolve, send_resolve)

int serve_ct_send_status(struct serve *s, json_t **ret, struct err *err)
{
	struct send_opts o;
	int r = read_args(s, &o, err);

	return r < 0 ? r : send_status(&s->move, args.ct, ret, err);
}

/* The daemon's: recovery has found that a send is to go on. */
int serve_ct_send_resume(struct serve *s, json_t **ret, struct err *err)
{
	struct send_opts o;
	int r = read_args(s, &o, err);

	return r < 0 ? r : recover_send(&s->move, args.ct, ret, err);
}

/* The older name for both: the first time the base copy, later what has changed. */
int serve_ct_migrate_sync(struct serve *s, json_t **ret, struct err *err)
{
	_cleanup_transfer_ struct transfer *t = NULL;
	struct err ignored = ERR_INIT; /* the step itself says what is wrong */
	const char *ct = json_get_str(s->args, "ct");

	if (ct && transfer_open_of(s->move.st, TRANSFER_SOURCE, ct, &t, &ignored) >= 0 &&
		t->phase >= TRANSFER_BASE)
		return send_step(s, send_sync, ret, err);
	return send_step(s, send_rootfs, ret, err);
}
