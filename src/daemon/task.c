#include "daemon/task.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/recovery.h"
#include "link/local.h"

#define LINES_KEPT 32
#define KILL_GRACE (10 * USEC_PER_SEC) /* a query's worker whose caller has gone */

static void message_vec_clear(struct message_vec *v)
{
	for (size_t i = 0; i < v->n; i++)
		free(v->v[i].text);
	message_vec_done(v);
}

void task_free(struct task *t)
{
	struct task_vec *all = &t->server->tasks;

	for (size_t i = 0; i < all->n; i++)
		if (all->v[i] == t) {
			all->v[i] = all->v[--all->n];
			break;
		}
	for (size_t i = 0; i < t->clients.n; i++)
		t->clients.v[i]->task = NULL;
	client_vec_done(&t->clients);
	sd_event_source_disable_unref(t->io);
	sd_event_source_disable_unref(t->exit);
	sd_event_source_disable_unref(t->timer);
	proc_done(&t->proc);
	if (t->sock >= 0)
		close(t->sock);
	json_decref(t->result);
	free(t->progress);
	message_vec_clear(&t->lines);
	free(t);
}

struct task *task_of_job(struct server *s, uint64_t job)
{
	for (size_t i = 0; job && i < s->tasks.n; i++)
		if (s->tasks.v[i]->job == job)
			return s->tasks.v[i];
	return NULL;
}

void task_cancel(struct task *t)
{
	proc_kill(&t->proc, SIGTERM);
}

static int on_kill(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct task *t = userdata;

	log_warning("%s: its worker does not end by itself: killed", t->call);
	proc_kill(&t->proc, SIGKILL);
	return 0;
}

/* Nobody waits for the answer of a query. */
static void abandon(struct task *t)
{
	if (t->flags & (CALL_JOB | CALL_RECEIVE | CALL_DAEMON) || t->timer)
		return;
	task_resume(t);
	task_cancel(t);
	sd_event_add_time_relative(
		t->server->event, &t->timer, CLOCK_MONOTONIC, KILL_GRACE, 0, on_kill, t);
}

void task_detach(struct task *t, struct client *c)
{
	for (size_t i = 0; i < t->clients.n; i++)
		if (t->clients.v[i] == c) {
			t->clients.v[i] = t->clients.v[--t->clients.n];
			break;
		}
	c->task = NULL;
	if (t->clients.n == 0)
		abandon(t);
}

void task_attach(struct task *t, struct client *c)
{
	c->task = t;
	*client_vec_push(&t->clients) = c;
	if (t->job) {
		_cleanup_free_ char *text = xasprintf("{\"job\":%llu}", (unsigned long long)t->job);

		client_send(c, text, strlen(text), false);
	}
	for (size_t i = 0; i < t->lines.n; i++)
		client_send(c, t->lines.v[i].text, t->lines.v[i].n, false);
	if (t->progress)
		client_send(c, t->progress, strlen(t->progress), true);
}

void task_resume(struct task *t)
{
	if (t->io)
		sd_event_source_set_enabled(t->io, SD_EVENT_ON);
}

static void tell(struct task *t, const char *text, bool may_drop)
{
	size_t n = strlen(text);

	for (size_t i = 0; i < t->clients.n; i++) {
		client_send(t->clients.v[i], text, n, may_drop);
		/* A query has one reader, and waits for it; a job waits for nobody. */
		if (t->flags == 0 && client_is_behind(t->clients.v[i]))
			sd_event_source_set_enabled(t->io, SD_EVENT_OFF);
	}
}

static void keep_line(struct task *t, const char *text)
{
	if (t->lines.n == LINES_KEPT) {
		free(t->lines.v[0].text);
		memmove(t->lines.v, t->lines.v + 1, --t->lines.n * sizeof(*t->lines.v));
	}
	*message_vec_push(&t->lines) = (struct message){xstrdup(text), strlen(text)};
}

static void end_clients(struct task *t)
{
	while (t->clients.n)
		client_end(t->clients.v[--t->clients.n]);
}

/* The peer got the answer, and we its exit status. A full or failing disk may have kept a removal
 * from its end: what lies in the trash is asked for by nobody again, but recovery sweeps it. */
static bool receive_leaves_work(uint64_t exit)
{
	return exit == (uint64_t)err_exit_status(ERR_UNKNOWN) ||
	       exit == (uint64_t)err_exit_status(ERR_NO_SPACE) ||
	       exit == (uint64_t)err_exit_status(ERR_IO);
}

/* Something is half done, or a send failed or was cancelled while the other side could not be told.
 * Recovery's own tasks come back by themselves. */
static bool leaves_work(const struct task *t, const json_t *error)
{
	if (t->flags & CALL_DAEMON)
		return false;
	if (t->flags & CALL_RECEIVE && t->result)
		return receive_leaves_work(json_get_u64(t->result, "exit", 0));
	return json_get_str(t->result, "later") || json_get_bool(t->result, "forced", false) ||
	       str_eq(json_get_str(error, "code"), err_name(ERR_UNKNOWN)) ||
	       (error && str_starts(t->call, "ct.send")) || str_eq(t->call, "ct.send.cancel");
}

/* The worker is trusted, but a broken one must not harm the others. */
static void on_message(struct task *t, const json_t *msg)
{
	_cleanup_free_ char *text = json_text(msg);
	const json_t *error = json_object_get(msg, "error");

	if (t->ended)
		return;
	if (json_object_get(msg, "job"))
		t->job = json_get_u64(msg, "job", 0);
	if (json_object_get(msg, "line"))
		keep_line(t, text);
	if (json_object_get(msg, "progress")) {
		free(t->progress);
		t->progress = xstrdup(text);
		tell(t, text, true);
		return;
	}
	tell(t, text, false);
	t->result = json_incref(json_object_get(msg, "result"));
	t->ended = t->result || error;
	if (!t->ended)
		return;
	end_clients(t);
	if (leaves_work(t, error))
		recovery_run(t->server);
}

/* 1: there may be more. */
static int read_message(struct task *t)
{
	_cleanup_json_ json_t *msg = NULL;
	struct err err = ERR_INIT;
	size_t n_fds = 0;
	int fds[FD_PASS_MAX];

	if (local_recv(t->sock, &msg, fds, &n_fds, &err) < 0 || !msg)
		return 0;
	for (size_t i = 0; i < n_fds; i++)
		close(fds[i]);
	on_message(t, msg);
	return 1;
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	/* At its end the process is what counts. */
	if (!read_message(userdata))
		sd_event_source_set_enabled(source, SD_EVENT_OFF);
	return 0;
}

/* It is gone and has not said how it ended. */
static void lost(struct task *t, const struct err *why)
{
	struct err err = ERR_INIT;

	if (t->job)
		err_set(&err, ERR_UNKNOWN,
			"the worker of job %llu (%s) died, its outcome is unknown (%s): wherryd "
			"now brings it to an end by itself, see wherry job show %llu",
			(unsigned long long)t->job, t->call, why->text, (unsigned long long)t->job);
	else
		err_set(&err, ERR_UNKNOWN, "the worker of %s died (%s)", t->call, why->text);
	log_error("%s", err.text);
	for (size_t i = 0; i < t->clients.n; i++)
		client_send_error(t->clients.v[i], &err);
	end_clients(t);
	if (t->flags & (CALL_JOB | CALL_RECEIVE) && !(t->flags & CALL_DAEMON))
		recovery_run(t->server);
}

static int on_exit_(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct task *t = userdata;
	struct err err = ERR_INIT;

	while (read_message(t))
		;
	if (t->adopted)
		err_set(&err, ERR_IO, "an earlier wherryd had started it");
	else if (proc_wait(&t->proc, clock_now() + USEC_PER_SEC, NULL, &err) >= 0)
		err_set(&err, ERR_INTERNAL, "it ended without an answer");
	if (!t->ended)
		lost(t, &err);
	if (t->done)
		t->done(t, t->result);
	task_free(t);
	return 0;
}

static int watch(struct task *t, struct err *err)
{
	struct server *s = t->server;

	*task_vec_push(&s->tasks) = t;
	if (fcntl(t->sock, F_SETFL, O_NONBLOCK) < 0 ||
		sd_event_add_io(s->event, &t->io, t->sock, EPOLLIN, on_io, t) < 0 ||
		sd_event_add_io(s->event, &t->exit, t->proc.pidfd, EPOLLIN, on_exit_, t) < 0)
		return err_set(err, ERR_INTERNAL, "cannot watch the worker of %s", t->call);
	return 0;
}

static struct task *task_new(struct server *s, const struct call *call, int sock)
{
	struct task *t = xnew(struct task);

	t->server = s;
	t->proc = (struct proc)PROC_INIT;
	t->sock = sock;
	t->flags = call->flags;
	snprintf(t->call, sizeof(t->call), "%s", call->name);
	return t;
}

/* A worker knows nothing of our environment but what is meant for Wherry. */
static char **environment(void)
{
	static const char *const passed[] = {
		"WHERRY_", "ASAN_OPTIONS=", "UBSAN_OPTIONS=", "LSAN_OPTIONS="};
	char **v = NULL;

	for (char **e = environ; *e; e++)
		for (size_t i = 0; i < ARRAY_SIZE(passed); i++)
			if (str_starts(*e, passed[i]))
				strv_push(&v, *e);
	return v;
}

static int spawn(struct task *t, int sock, struct err *err)
{
	_cleanup_strv_ char **env = environment();
	int r;

	t->argv[0] = t->server->worker;
	t->argv[1] = t->call; /* for ps(1) */
	t->proc.argv = t->argv;
	t->proc.env = (const char *const *)env;
	t->proc.fd_extra = sock;
	t->proc.keep_stderr = true;
	t->proc.detach = true;
	r = proc_spawn(&t->proc, err);
	t->proc.env = NULL;
	return r;
}

int task_start(struct server *s, const struct call *call, json_t *request, const int *fds,
	size_t n_fds, struct task **ret, struct err *err)
{
	_cleanup_free_ char *text = json_text(request);
	_cleanup_close_ int theirs = -1;
	int pair[2], r;
	struct task *t;

	json_decref(request);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_errno(err, "make a socket for the worker of %s", call->name);
	theirs = pair[1];
	t = task_new(s, call, pair[0]);
	r = spawn(t, theirs, err);
	if (r >= 0)
		r = watch(t, err);
	if (r >= 0)
		r = fd_send_msg(t->sock, text, strlen(text), fds, n_fds, err);
	if (r < 0) {
		task_free(t); /* the worker sees the end of its socket and goes */
		return err_prefix(err, "start a worker for %s", call->name);
	}
	*ret = t;
	return 0;
}

/* Those who asked for it before it had found us. */
static void take_watchers(struct task *t)
{
	for (size_t i = 0; i < t->server->tasks.n; i++) {
		struct task *w = t->server->tasks.v[i];

		while (w->watches == t->job && w->clients.n) {
			struct client *c = w->clients.v[0];

			task_detach(w, c);
			task_attach(t, c);
		}
	}
}

int task_adopt(struct server *s, int sock, pid_t pid, uint64_t job, const struct call *call,
	struct err *err)
{
	int pidfd = pidfd_open(pid, 0), dup_sock, r;
	struct task *t;

	if (pidfd < 0)
		return err_errno(err, "adopt the worker %d", (int)pid);
	dup_sock = fcntl(sock, F_DUPFD_CLOEXEC, 3);
	t = task_new(s, call, dup_sock);
	t->proc.detach = true;
	t->proc.pid = pid;
	t->proc.pidfd = pidfd;
	t->adopted = true;
	t->job = job;
	r = watch(t, err);
	if (r < 0) {
		task_free(t);
		return r;
	}
	take_watchers(t);
	log_info("job %llu (%s) goes on in worker %d of an earlier wherryd",
		(unsigned long long)job, call->name, (int)pid);
	return 0;
}
