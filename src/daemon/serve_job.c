/*
 * job.*, ct.history: what runs, what ran, and how it ended.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>

#include "base/cancel.h"
#include "base/str.h"
#include "daemon/job_lock.h"
#include "daemon/serve.h"
#include "link/local.h"
#include "node/job.h"

#define LIST_MOST  1000
#define LIST_DFLT  30
#define LOOK_EVERY (100 * USEC_PER_MSEC)
#define KILL_GRACE (30 * USEC_PER_SEC)

static struct {
	uint64_t job;
	uint32_t most;
	bool running, force;
	char *ct;
} args;

static const struct json_field list_fields[] = {
	JSON_BOOL(__typeof__(args), running, "running", 0),
	JSON_U32(__typeof__(args), most, "most", 0, 1, LIST_MOST),
	JSON_END,
};

static const struct json_field job_fields[] = {
	JSON_U64(__typeof__(args), job, "job", JSON_REQUIRED, 1, INT64_MAX),
	JSON_END,
};

static const struct json_field cancel_fields[] = {
	JSON_U64(__typeof__(args), job, "job", JSON_REQUIRED, 1, INT64_MAX),
	JSON_BOOL(__typeof__(args), force, "force", 0),
	JSON_END,
};

static const struct json_field history_fields[] = {
	JSON_STR(__typeof__(args), ct, "ct", 0, 64),
	JSON_U32(__typeof__(args), most, "most", 0, 1, 100000),
	JSON_END,
};

static bool alive(const struct job *j)
{
	return j->state == JOB_RUNNING && job_lock_held(j->pid);
}

static json_t *job_json(const struct job *j)
{
	bool lost = j->state == JOB_RUNNING && !alive(j);
	json_t *o = json_object();

	json_put_u64(o, "job", j->id);
	json_put_str(o, "state", job_state_name(lost ? JOB_LOST : j->state));
	json_put_str(o, "call", j->call);
	json_put_str(o, "ct", j->ct);
	json_put_str(o, "who", j->who);
	json_put_u64(o, "started", j->started);
	if (j->ended)
		json_put_u64(o, "ended", j->ended);
	if (j->result)
		json_object_set(o, j->state == JOB_DONE ? "result" : "error", j->result);
	return o;
}

int serve_job_list(struct serve *s, json_t **ret, struct err *err)
{
	_cleanup_(job_vec_free) struct job_vec jobs = {0};
	int r = serve_args(s, list_fields, &args, err);

	if (r >= 0)
		r = job_list(
			s->move.st, args.running, args.most ? args.most : LIST_DFLT, &jobs, err);
	if (r < 0)
		return r;
	*ret = json_array();
	for (size_t i = 0; i < jobs.n; i++)
		json_array_append_new(*ret, job_json(&jobs.v[i]));
	return 0;
}

int serve_job_show(struct serve *s, json_t **ret, struct err *err)
{
	_cleanup_(job_done) struct job job = {0};
	int r = serve_args(s, job_fields, &args, err);

	if (r >= 0)
		r = job_get(s->move.st, args.job, &job, err);
	if (r < 0)
		return r;
	*ret = job_json(&job);
	return 0;
}

static int outcome(struct job *j, json_t **ret, struct err *err)
{
	switch (j->state) {
	case JOB_DONE: *ret = json_incref(j->result ? j->result : json_null()); return 0;
	case JOB_FAILED:
	case JOB_CANCELLED: local_error_from(j->result, err); return -(int)err->code;
	default:
		return err_set(err, ERR_UNKNOWN,
			"the worker of job %llu (%s) died, its outcome is unknown: wherryd brings "
			"it "
			"to an end by itself",
			(unsigned long long)j->id, j->call);
	}
}

/* Until it has ended, however. */
static int await(struct serve *s, struct job *ret, struct err *err)
{
	for (;;) {
		_cleanup_(job_done) struct job job = {0};
		bool held;
		int r = cancel_check(err);

		if (r >= 0)
			r = job_get(s->move.st, args.job, &job, err);
		if (r < 0)
			return r;
		held = alive(&job);
		if (!held && job.state == JOB_RUNNING) { /* it may have ended between the two */
			job_done(&job);
			r = job_get(s->move.st, args.job, &job, err);
			if (r < 0)
				return r;
		}
		if (!held) {
			*ret = job;
			job = (struct job){0};
			return 0;
		}
		clock_sleep(LOOK_EVERY);
	}
}

/* Only for a job that the daemon does not have at hand: it ended, or an earlier daemon started it.
 */
int serve_job_attach(struct serve *s, json_t **ret, struct err *err)
{
	_cleanup_(job_done) struct job job = {0};
	int r = serve_args(s, job_fields, &args, err);

	if (r >= 0)
		r = await(s, &job, err);
	return r < 0 ? r : outcome(&job, ret, err);
}

/* The lock says that the process is still the job's: asked after the pidfd is held. */
static int signal_worker(const struct job *j, int sig, struct err *err)
{
	_cleanup_close_ int pidfd = pidfd_open(j->pid, 0);

	if (pidfd < 0 || !alive(j))
		return 0;
	if (pidfd_send_signal(pidfd, sig, NULL, 0) < 0 && errno != ESRCH)
		return err_errno(err, "signal the worker of job %llu", (unsigned long long)j->id);
	return 0;
}

static int insist(struct serve *s, const struct job *j, struct err *err)
{
	usec_t deadline = clock_deadline(KILL_GRACE);

	while (alive(j) && clock_now() < deadline) {
		int r = cancel_check(err);

		if (r < 0)
			return r;
		clock_sleep(LOOK_EVERY);
	}
	if (!alive(j))
		return 0;
	move_say(&s->move, "job %llu did not end in 30 s: its worker is killed",
		(unsigned long long)j->id);
	return signal_worker(j, SIGKILL, err);
}

int serve_job_cancel(struct serve *s, json_t **ret, struct err *err)
{
	_cleanup_(job_done) struct job job = {0}, after = {0};
	int r = serve_args(s, cancel_fields, &args, err);

	if (r >= 0)
		r = job_get(s->move.st, args.job, &job, err);
	if (r < 0)
		return r;
	if (!alive(&job))
		return err_set(err, ERR_STATE, "job %llu (%s) does not run any more: %s",
			(unsigned long long)job.id, job.call,
			job.state == JOB_RUNNING ? "lost" : job_state_name(job.state));
	r = signal_worker(&job, SIGTERM, err);
	if (r >= 0 && args.force)
		r = insist(s, &job, err);
	if (r >= 0)
		r = await(s, &after, err);
	if (r < 0)
		return r;
	*ret = job_json(&after);
	return 0;
}

int serve_job_history(struct serve *s, json_t **ret, struct err *err)
{
	int r = serve_args(s, history_fields, &args, err);

	return r < 0 ? r : history_read(s->move.st, args.ct, args.most, ret, err);
}

int serve_ct_history(struct serve *s, json_t **ret, struct err *err)
{
	return serve_job_history(s, ret, err);
}
