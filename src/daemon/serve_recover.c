/*
 * recover and its parts, which the daemon alone asks for: see move/recover.h.
 */
#include "base/log.h"
#include "daemon/job_lock.h"
#include "daemon/serve.h"
#include "link/local.h"
#include "move/recover.h"
#include "node/job.h"

static struct {
	char *token, *peer, *user;
	uint32_t port;
	json_t *ssh; /* options of ssh, of the records' */
} args;

static const struct json_field takeover_fields[] = {
	JSON_STR(__typeof__(args), token, "token", JSON_REQUIRED, 40),
	JSON_END,
};

static const struct json_field peer_fields[] = {
	JSON_STR(__typeof__(args), peer, "peer", JSON_REQUIRED, 255),
	JSON_STR(__typeof__(args), user, "user", 0, 32),
	JSON_U32(__typeof__(args), port, "port", 0, 0, 65535),
	JSON_ANY(__typeof__(args), ssh, "ssh", 0),
	JSON_END,
};

/* Jobs whose worker died with its daemon, or with the node. */
static int mark_lost(struct serve *s, struct err *err)
{
	_cleanup_(job_vec_free) struct job_vec jobs = {0};
	int r = job_list(s->move.st, true, 0, &jobs, err);

	for (size_t i = 0; i < jobs.n; i++) {
		const struct job *j = &jobs.v[i];
		struct err lost = ERR_INIT, ignored = ERR_INIT;

		if (job_lock_held(j->pid))
			continue;
		log_warning("job %llu (%s %s) was lost: its worker is gone",
			(unsigned long long)j->id, j->call, j->ct);
		err_set(&lost, ERR_UNKNOWN, "its worker died");
		/* Not ours to fail on: it may have ended just now. */
		if (job_finish(s->move.st, j->id, JOB_LOST, local_error_json(&lost), &ignored) < 0)
			log_debug("%s", ignored.text);
	}
	return r;
}

int serve_recover(struct serve *s, json_t **ret, struct err *err)
{
	int r = mark_lost(s, err);

	log_context("recover");
	return r < 0 ? r : recover_all(&s->move, ret, err);
}

int serve_recover_takeover(struct serve *s, json_t **ret, struct err *err)
{
	int r = serve_args(s, takeover_fields, &args, err);

	log_context("recover");
	return r < 0 ? r : recover_takeover(&s->move, args.token, ret, err);
}

int serve_recover_peer(struct serve *s, json_t **ret, struct err *err)
{
	int r = serve_args(s, peer_fields, &args, err);

	log_context("recover");
	return r < 0 ? r
		     : recover_peer(&s->move, args.peer, args.user, (uint16_t)args.port, args.ssh,
			       ret, err);
}

int serve_recover_sweep(struct serve *s, json_t **ret, struct err *err)
{
	log_context("recover");
	return recover_sweep(&s->move, ret, err);
}
