/*
 * vz6 migrate: the steps of a send (move/send.h) with OpenVZ as the source.
 */
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/num.h"
#include "base/str.h"
#include "move/claim.h"
#include "move/send.h"
#include "node/transfer.h"
#include "runtime/runtime.h"
#include "vz6/source.h"
#include "vz6/watchdog.h"

#define ZSTD_MAX 19

static int compress_level(const char *word, int *ret, struct err *err)
{
	uint32_t level;

	if (!word || str_eq(word, "off"))
		return 0;
	if (str_eq(word, "auto")) {
		*ret = -1;
		return 0;
	}
	if (num_u32(word, ZSTD_MAX, &level, err) < 0)
		return err_set(err, ERR_INVALID,
			"compression is auto, off, or a level from 1 to %d, not %.32s", ZSTD_MAX,
			word);
	*ret = (int)level;
	return 0;
}

static int read_args(struct vz6 *v, const json_t *args, struct send_opts *o, struct err *err)
{
	send_opts_init(o);
	o->host = json_get_str(args, "host");
	o->port = (uint16_t)json_get_u64(args, "port", 0);
	o->as_id = json_get_str(args, "as_id");
	o->to_pool = json_get_str(args, "to_pool");
	o->passphrase = json_get_str(args, "passphrase");
	o->accept_new_host_key = json_get_bool(args, "accept_new_host_key", false);
	o->snapshots = false; /* OpenVZ's own are of the disk, and stay */
	o->start = json_get_bool(args, "start", true);
	o->bwlimit = json_get_u64(args, "bwlimit", 0);
	o->force = json_get_bool(args, "force", false);
	o->local = json_get_bool(args, "local", false);
	o->keep = !json_get_bool(args, "delete", false);
	o->source = v->source;
	return compress_level(json_get_str(args, "compress"), &o->compress, err);
}

/* What it becomes is shown when all that can be checked has been; then there is time to say no. */
static int ask(void *ctx, struct err *err)
{
	struct vz6 *v = ctx;
	char answer[16] = "";

	vz6_show_report(v);
	if (v->cli->json)
		return err_set(err, ERR_INVALID, "with --json nobody can be asked: say --proceed");
	printf("\nDo you wish to continue? [y/N]: ");
	fflush(stdout);
	if (!fgets(answer, sizeof(answer), stdin))
		answer[0] = '\0';
	if (str_eq(str_trim(answer), "y") || str_eq(answer, "Y"))
		return 0;
	return err_set(err, ERR_CANCELLED, "not gone on with: both nodes are as before");
}

static int show_and_go_on(void *ctx, struct err *err)
{
	(void)err;
	vz6_show_report(ctx);
	return 0;
}

typedef int step_fn(struct move_ctx *m, const char *ct, const struct send_opts *o, json_t **ret,
	struct err *err);

/* The first time the base copy, later what has changed. */
static int sync_step(struct move_ctx *m, const char *ct, const struct send_opts *o, json_t **ret,
	struct err *err)
{
	_cleanup_transfer_ struct transfer *t = NULL;
	struct err ignored = ERR_INIT; /* the step itself says what is wrong */

	if (transfer_open_of(m->st, TRANSFER_SOURCE, ct, &t, &ignored) >= 0 &&
		t->phase >= TRANSFER_BASE)
		return send_sync(m, ct, o, ret, err);
	return send_rootfs(m, ct, o, ret, err);
}

/* The first step records that it stays here, which holds unless the last one says otherwise. */
static int forget_keep(struct move_ctx *m, const char *ct, struct err *err)
{
	_cleanup_transfer_ struct transfer *t = NULL;
	_cleanup_close_ int lock = -1;
	int r = move_lock(m, ct, false, &lock, err);

	if (r >= 0)
		r = transfer_open_of(m->st, TRANSFER_SOURCE, ct, &t, err);
	if (r == -ERR_NOT_FOUND) {
		err_clear(err);
		return 0;
	}
	if (r < 0 || t->phase != TRANSFER_DONE)
		return r < 0 ? r : 0;
	json_put_bool(t->opts, "keep", false);
	return transfer_save(m->st, t, err);
}

static int cleanup_step(struct move_ctx *m, const char *ct, const struct send_opts *o, json_t **ret,
	struct err *err)
{
	int r = o->keep ? 0 : forget_keep(m, ct, err);

	return r < 0 ? r : send_cleanup(m, ct, o, ret, err);
}

static int status(struct move_ctx *m, const char *ct, const struct send_opts *o, json_t **ret,
	struct err *err)
{
	(void)o;
	return send_status(m, ct, ret, err);
}

#define NEEDS_SOURCE 1u
#define ONLY_LOOKS   2u
#define STOPS_IT     4u

static const struct {
	const char *name;
	step_fn *fn;
	unsigned flags;
} steps[] = {
	{"stage", send_config, NEEDS_SOURCE | STOPS_IT},
	{"sync", sync_step, 0},
	{"transfer", send_state, STOPS_IT},
	{"cleanup", cleanup_step, 0},
	{"cancel", send_cancel, 0},
	{"now", send_now, NEEDS_SOURCE | STOPS_IT},
	{"resolve", send_resolve, 0},
	{"status", status, ONLY_LOOKS},
};

/* Of one that is open already the record says how it is loaded. */
static int prepare_source(struct vz6 *v, const json_t *args, struct err *err)
{
	_cleanup_transfer_ struct transfer *t = NULL;
	int r = transfer_open_of(v->st, TRANSFER_SOURCE, json_get_str(args, "ct"), &t, err);

	if (r != -ERR_NOT_FOUND)
		return r < 0 ? r : 0;
	err_clear(err);
	vz6_say_unused(v, args);
	return source_from_args(args, &v->source, err);
}

/* The second lock on the door, as soon as it is the destination's: its mount script is the first.
 */
static void disable(struct vz6 *v, const char *ct, const json_t *result)
{
	struct err e = ERR_INIT;

	if (!str_eq(json_get_str(result, "phase"), transfer_phase_name(TRANSFER_DONE)))
		return;
	if (runtime_disable(ct, &e) < 0)
		move_say(&v->move,
			"container %s could not be disabled here (%s): its mount script "
			"alone keeps it from starting",
			ct, e.text);
}

int vz6_own(struct vz6 *v, const json_t *args, json_t **ret, struct err *err)
{
	const struct claim_opts o = {.force = json_get_bool(args, "force", false),
		.even_if_running_there = json_get_bool(args, "even_if_running_there", false)};
	const char *ct = json_get_str(args, "ct");
	/* Its end clears up after the migration that is ended. */
	int r = o.force ? watchdog_start(err) : 0;

	if (r >= 0)
		r = claim_run(&v->move, ct, &o, ret, err);
	if (o.force)
		vz6_at_boot(v);
	return r;
}

int vz6_migrate(struct vz6 *v, const char *step, const json_t *args, json_t **ret, struct err *err)
{
	const char *ct = json_get_str(args, "ct");
	struct send_opts o;
	size_t i = 0;
	int r = 0;

	while (!str_eq(steps[i].name, step))
		i++;
	if (steps[i].flags & NEEDS_SOURCE)
		r = prepare_source(v, args, err);
	if (r >= 0 && steps[i].flags & STOPS_IT)
		r = vz6_check_awake(ct, err);
	if (r >= 0)
		r = read_args(v, args, &o, err);
	if (r >= 0 && str_eq(step, "now")) {
		o.proceed = json_get_bool(args, "proceed", false) ? show_and_go_on : ask;
		o.proceed_ctx = v;
	}
	if (r >= 0 && !(steps[i].flags & ONLY_LOOKS))
		r = watchdog_start(err);
	if (r < 0)
		return r;
	r = steps[i].fn(&v->move, ct, &o, ret, err);
	if (r >= 0 && str_eq(step, "stage"))
		vz6_show_report(v);
	if (r >= 0)
		disable(v, ct, *ret);
	vz6_release(v, ct);
	if (!(steps[i].flags & ONLY_LOOKS))
		vz6_at_boot(v);
	return r;
}
