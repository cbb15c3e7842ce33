/*
 * wherry-worker: serves one call. Started by wherryd with a socket to it as descriptor 3, over
 * which the request comes and everything that there is to say goes back. It writes the record of
 * its job itself, before the daemon hears of the end.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/job_lock.h"
#include "daemon/report.h"
#include "daemon/serve.h"
#include "link/local.h"
#include "node/job.h"
#include "node/transfer.h"

#define FD_DAEMON 3

typedef int serve_fn(struct serve *s, json_t **ret, struct err *err);

#define FUNCTION(call_name, fn, call_flags) {call_name, serve_##fn},
static const struct {
	const char *name;
	serve_fn *fn;
} functions[] = {CALL_LIST(FUNCTION)};

static serve_fn *function_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(functions); i++)
		if (str_eq(functions[i].name, name))
			return functions[i].fn;
	return NULL;
}

/* What an operator calls the arguments that he can make too long. */
static const char *meaning_of(const char *field)
{
	static const struct {
		const char *field, *meaning;
	} all[] = {
		{"ct", "the name of the container"},
		{"as_id", "the new name of the container"},
		{"host", "the name of the host"},
		{"pool", "the name of the pool"},
		{"to_pool", "the name of the pool"},
		{"name", "the name"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (str_eq(all[i].field, field))
			return all[i].meaning;
	return NULL;
}

static int check_length(const json_t *args, const struct json_field *f, struct err *err)
{
	const json_t *v = json_object_get(args, f->name);
	const char *meaning = meaning_of(f->name);
	_cleanup_free_ char *shown = NULL;

	if (f->kind != JSON_KIND_STR || !meaning || json_string_length(v) <= f->max)
		return 0;
	shown = str_escape(json_string_value(v), 32);
	return err_set(err, ERR_INVALID, "%s is too long: %zu bytes, %llu are possible (%s...)",
		meaning, json_string_length(v), (unsigned long long)f->max, shown);
}

int serve_args(struct serve *s, const struct json_field *fields, void *out, struct err *err)
{
	int r = 0;

	for (const struct json_field *f = fields; r >= 0 && f->name; f++)
		r = check_length(s->args, f, err);
	if (r < 0)
		return r;
	r = json_read(s->args, fields, 0, out, err);
	return r < 0 ? err_prefix(err, "%s", s->call->name) : 0;
}

static int read_request(struct serve *s, json_t **ret, struct err *err)
{
	int r = local_recv(FD_DAEMON, ret, s->fds, &s->n_fds, err);

	if (r < 0)
		return r;
	if (!*ret)
		return err_set(err, ERR_UNREACHABLE, "wherryd went away before it said what to do");
	s->request = *ret;
	s->args = json_object_get(*ret, "args");
	s->call = call_find(json_get_str(*ret, "call"));
	if (!s->call || !json_is_object(s->args))
		return err_set(err, ERR_INVALID, "not a request");
	s->move.who = json_get_str(*ret, "who");
	return 0;
}

/* Of a receive the verb, and only those that change something. */
static bool job_call(const struct serve *s, char *ret, size_t n)
{
	const char *verb = json_string_value(json_array_get(json_object_get(s->args, "words"), 0));

	snprintf(ret, n, "%s", s->call->name);
	if (s->call->flags & CALL_JOB)
		return true;
	if (!(s->call->flags & CALL_RECEIVE) || str_eq(verb, "hello") || str_eq(verb, "status"))
		return false;
	snprintf(ret, n, "receive.%s", verb ? verb : "");
	return true;
}

/* Whose job it is: the container is in the arguments, or known by the token of a receive. */
static void name_job(struct serve *s, struct job *job)
{
	const char *ct = json_get_str(s->args, "ct");
	const char *id = json_string_value(json_array_get(json_object_get(s->args, "words"), 1));
	_cleanup_transfer_ struct transfer *t = NULL;
	struct err ignored = ERR_INIT;

	if (s->call->flags & CALL_RECEIVE && id &&
		transfer_by_token(s->move.st, id, &t, &ignored) >= 0) {
		ct = t->ct;
		snprintf(job->token, sizeof(job->token), "%s", t->token);
	}
	snprintf(job->ct, sizeof(job->ct), "%s", ct ? ct : "");
	snprintf(job->who, sizeof(job->who), "%s", s->move.who ? s->move.who : "");
}

static int begin_job(struct serve *s, struct report *report, int *ret_lock, struct err *err)
{
	struct job job = {.pid = getpid()};
	int r;

	if (!job_call(s, job.call, sizeof(job.call)))
		return 0;
	name_job(s, &job);
	r = job_lock_take(ret_lock, err);
	if (r >= 0)
		r = job_start(s->move.st, &job, err);
	if (r < 0)
		return r;
	s->move.job = job.id;
	log_context("job %llu (%s%s%s)", (unsigned long long)job.id, job.call, *job.ct ? " " : "",
		job.ct);
	log_info("begins, for %s", job.who);
	report_job(report, job.id);
	return 0;
}

static void end_job(struct serve *s, int r, json_t *result, const struct err *why)
{
	json_t *record = r < 0 ? local_error_json(why) : json_incref(result);
	enum job_state state = r >= 0			    ? JOB_DONE
			       : why->code == ERR_CANCELLED ? JOB_CANCELLED
							    : JOB_FAILED;
	struct err err = ERR_INIT;

	if (!s->move.job) {
		json_decref(record);
		return;
	}
	if (r < 0)
		log_warning("%s: %s", job_state_name(state), why->text);
	else
		log_info("done");
	if (job_finish(s->move.st, s->move.job, state, record, &err) < 0)
		log_error("the end of the job is not recorded: %s", err.text);
}

static void tell_end(
	struct serve *s, struct report *report, int r, json_t *result, const struct err *why)
{
	json_t *answer;

	if (!s->answered) {
		if (r < 0)
			report_error(report, why);
		else
			report_result(report, json_incref(result));
		return;
	}
	answer = json_object();
	json_put_u64(answer, "exit", (uint64_t)err_exit_status(r < 0 ? why->code : ERR_NONE));
	json_put_str(answer, "text", r < 0 ? why->text : NULL);
	report_result(report, answer);
}

static int prepare(struct serve *s, struct state **st, struct config **cfg, struct err *err)
{
	int r = state_open(st, err);

	if (r >= 0)
		r = config_load(cfg, err);
	s->move.st = *st;
	s->move.cfg = *cfg;
	return r;
}

int main(void)
{
	struct report report = {.sock = FD_DAEMON};
	struct progress progress = {.sink = report_progress, .ctx = &report};
	struct serve s = {.move = {.progress = &progress, .say = report_line, .say_ctx = &report}};
	_cleanup_config_ struct config *cfg = NULL;
	_cleanup_state_ struct state *st = NULL;
	_cleanup_json_ json_t *request = NULL, *result = NULL;
	_cleanup_close_ int lock = -1;
	struct err err = ERR_INIT;
	int r;

	umask(022);
	log_open("wherry-worker", LOG_LEVEL_INFO);
	cancel_install();
	r = fd_cloexec(FD_DAEMON, true, &err);
	if (r >= 0)
		r = read_request(&s, &request, &err);
	if (r < 0) {
		log_error("%s", err.text);
		return err_exit_status(err.code);
	}
	report.call = s.call;
	s.move.call = s.call->name;
	r = prepare(&s, &st, &cfg, &err);
	if (r >= 0)
		r = begin_job(&s, &report, &lock, &err);
	if (r >= 0)
		r = function_of(s.call->name)(&s, &result, &err);
	progress_end(&progress);
	cancel_shield(); /* what was done has been done: a late signal must not hide it */
	end_job(&s, r, result, &err);
	tell_end(&s, &report, r, result, &err);
	return 0;
}
