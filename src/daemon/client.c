#include "daemon/client.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/calls.h"
#include "daemon/recovery.h"
#include "daemon/task.h"
#include "link/local.h"

#define QUEUE_HIGH (1u << 20) /* bytes: a query's worker waits for its reader from here on, */
#define QUEUE_LOW  (1u << 18) /* and goes on here */

/* Clients are freed by the loop alone (on_io, on_timeout), so that nobody who walks a list of them
 * sees one go: everybody else cuts the connection, which wakes the loop. */
static void cut(struct client *c)
{
	shutdown(c->sock, SHUT_RDWR);
}

static void forget(struct client_vec *v, const struct client *c)
{
	for (size_t i = 0; i < v->n; i++)
		if (v->v[i] == c) {
			v->v[i] = v->v[--v->n];
			return;
		}
}

void client_free(struct client *c)
{
	if (c->task)
		task_detach(c->task, c);
	forget(&c->server->clients, c);
	sd_event_source_disable_unref(c->io);
	sd_event_source_disable_unref(c->timer);
	for (size_t i = 0; i < c->queue.n; i++)
		free(c->queue.v[i].text);
	message_vec_done(&c->queue);
	close(c->sock);
	free(c);
}

static void watch(struct client *c)
{
	sd_event_source_set_io_events(c->io, EPOLLIN | (c->queue.n ? EPOLLOUT : 0));
}

/* Sends what waits, as far as it goes. */
static void flush(struct client *c)
{
	struct err err = ERR_INIT;
	size_t sent = 0;
	int r = 0;

	while (sent < c->queue.n) {
		struct message *m = &c->queue.v[sent];

		r = fd_send_msg(c->sock, m->text, m->n, NULL, 0, &err);
		if (r < 0)
			break;
		c->queued -= m->n;
		free(m->text);
		sent++;
	}
	memmove(c->queue.v, c->queue.v + sent, (c->queue.n - sent) * sizeof(*c->queue.v));
	c->queue.n -= sent;
	if (r < 0 && err.code != ERR_BUSY)
		cut(c);
	if (c->ending && c->queue.n == 0)
		cut(c);
	if (c->task && c->queued <= QUEUE_LOW)
		task_resume(c->task);
	watch(c);
}

void client_send(struct client *c, const char *text, size_t n, bool may_drop)
{
	if (c->ending || (may_drop && c->queue.n))
		return;
	if (c->queued + n > CLIENT_QUEUE_MAX) {
		log_warning("pid %d does not read what it asked for: dropped", (int)c->pid);
		cut(c);
		return;
	}
	*message_vec_push(&c->queue) = (struct message){xmemdup(text, n), n};
	c->queued += n;
	flush(c);
}

bool client_is_behind(const struct client *c)
{
	return c->queued > QUEUE_HIGH;
}

void client_send_error(struct client *c, const struct err *e)
{
	_cleanup_json_ json_t *msg = json_object();
	_cleanup_free_ char *text = NULL;

	json_object_set_new(msg, "error", local_error_json(e));
	text = json_text(msg);
	client_send(c, text, strlen(text), false);
}

void client_end(struct client *c)
{
	c->task = NULL;
	c->ending = true;
	flush(c);
}

/* For the history: sudo makes everybody root, but the user who logged in is kept by the kernel. */
static char *who_calls(const struct client *c, const json_t *args)
{
	_cleanup_free_ char *path = xasprintf("/proc/%d/loginuid", (int)c->pid), *text = NULL;
	struct err ignored = ERR_INIT;
	uint32_t login;

	if (c->receive)
		return xasprintf("key %.50s", json_get_str(args, "key"));
	if (file_read(path, 64, &text, NULL, &ignored) < 0 ||
		num_u32(str_trim(text), UINT32_MAX, &login, &ignored) < 0 || login == UINT32_MAX ||
		login == c->uid)
		return xasprintf("uid %u", (unsigned)c->uid);
	return xasprintf("uid %u, logged in as %u", (unsigned)c->uid, (unsigned)login);
}

/* What the worker is told besides the call itself. */
static json_t *request_for_worker(const struct client *c, const struct call *call, json_t *args)
{
	json_t *request = json_object(), *daemon = json_object();
	_cleanup_free_ char *who = who_calls(c, args);

	json_put_u64(daemon, "pid", (uint64_t)getpid());
	json_put_u64(daemon, "up_ms", (clock_now() - c->server->started) / USEC_PER_MSEC);
	json_put_u64(daemon, "tasks", c->server->tasks.n);
	json_put_bool(daemon, "receive", c->server->has_receive);
	json_put_str(request, "call", call->name);
	json_object_set(request, "args", args);
	json_put_str(request, "who", who);
	json_object_set_new(request, "daemon", daemon);
	return request;
}

/* A flood on one socket leaves the other one usable, and one key the others. */
static int check_limits(const struct client *c, const char *key, struct err *err)
{
	const struct server *s = c->server;
	size_t most = c->receive ? s->limits.receive_tasks : s->limits.tasks;

	if (server_count_tasks(s, c->receive, NULL) >= most)
		return err_set(err, ERR_BUSY,
			"this node runs %zu calls already, which is its limit: try again later",
			most);
	if (key && server_count_tasks(s, true, key) >= s->limits.key_tasks)
		return err_set(err, ERR_BUSY,
			"the key %s has %zu calls running here already, which is its limit: try "
			"again later",
			key, s->limits.key_tasks);
	return 0;
}

static int check_call(
	const struct client *c, const char *name, const struct call **ret, struct err *err)
{
	const struct call *call = call_find(name);

	if (!call || call->flags & CALL_DAEMON)
		return err_set(err, ERR_INVALID, "wherryd does not know the call \"%.64s\"",
			name ? name : "");
	if (c->receive != !!(call->flags & CALL_RECEIVE))
		return err_set(err, ERR_DENIED, "%s is not for this socket", call->name);
	*ret = call;
	return 0;
}

static int start(struct client *c, const struct call *call, json_t *args, const int *fds,
	size_t n_fds, struct err *err)
{
	const char *key = c->receive ? json_get_str(args, "key") : NULL;
	struct task *t;
	int r;

	if (c->receive && (!key || !*key || strlen(key) > 64))
		return err_set(err, ERR_INVALID, "a receive without the name of a key");
	r = check_limits(c, key, err);
	if (r < 0)
		return r;
	r = task_start(c->server, call, request_for_worker(c, call, args), fds, n_fds, &t, err);
	if (r < 0)
		return r;
	snprintf(t->key, sizeof(t->key), "%s", key ? key : "");
	if (str_eq(call->name, "job.attach"))
		t->watches = json_get_u64(args, "job", 0);
	task_attach(t, c);
	return 0;
}

/* A worker of a daemon before us says which job it does. */
static int adopt(struct client *c, const json_t *args, struct err *err)
{
	const struct call *call = call_find(json_get_str(args, "call"));
	int r;

	if (c->receive || !call)
		return err_set(err, ERR_DENIED, "not a worker");
	r = task_adopt(c->server, c->sock, c->pid, json_get_u64(args, "job", 0), call, err);
	return r < 0 ? r : 1;
}

/* 1: the connection is a task's now, and the client is to be freed. */
static int dispatch(
	struct client *c, const json_t *msg, const int *fds, size_t n_fds, struct err *err)
{
	const char *name = json_get_str(msg, "call");
	json_t *args = json_object_get(msg, "args");
	const struct call *call = NULL;
	struct task *t;
	int r;

	if (!json_is_object(args))
		return err_set(err, ERR_INVALID, "a request without arguments");
	if (str_eq(name, "worker.adopt"))
		return adopt(c, args, err);
	r = check_call(c, name, &call, err);
	if (r < 0)
		return r;
	if (str_eq(name, "job.attach")) {
		t = task_of_job(c->server, json_get_u64(args, "job", 0));
		if (t) {
			task_attach(t, c);
			return 0;
		}
	}
	return start(c, call, args, fds, n_fds, err);
}

static int on_message(struct client *c, const json_t *msg, const int *fds, size_t n_fds)
{
	struct err err = ERR_INIT;
	int r;

	if (c->task) {
		if (json_get_bool(msg, "cancel", false) && !c->receive)
			task_cancel(c->task);
		return 0;
	}
	sd_event_source_set_enabled(c->timer, SD_EVENT_OFF);
	r = dispatch(c, msg, fds, n_fds, &err);
	if (r < 0) {
		client_send_error(c, &err);
		client_end(c);
	}
	return r;
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	_cleanup_json_ json_t *msg = NULL;
	struct client *c = userdata;
	struct err err = ERR_INIT;
	int fds[FD_PASS_MAX], r;
	size_t n_fds = 0;

	if (events & EPOLLOUT)
		flush(c);
	if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return 0;
	r = local_recv(c->sock, &msg, fds, &n_fds, &err);
	if (r < 0 && err.code == ERR_BUSY)
		return 0;
	if (r < 0 && err.code != ERR_UNREACHABLE)
		log_warning("pid %d (uid %u): %s", (int)c->pid, (unsigned)c->uid, err.text);
	if (r >= 0 && msg && !c->ending)
		r = on_message(c, msg, fds, n_fds) > 0 ? -1 : 0;
	for (size_t i = 0; i < n_fds; i++)
		close(fds[i]);
	if (r < 0 || !msg)
		client_free(c);
	return 0;
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
	client_free(userdata);
	return 0;
}

/* Too many, or a stranger: says so and closes, without becoming a client. */
static int admit(struct server *s, int fd, bool receive, struct ucred *ret, struct err *err)
{
	socklen_t n = sizeof(*ret);
	size_t have = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ret, &n) < 0)
		return err_errno(err, "ask who is calling");
	if (ret->uid != (receive ? s->receive_uid : s->root_uid) && ret->uid != 0)
		return err_set(err, ERR_DENIED, "uid %u may not call wherryd: root must",
			(unsigned)ret->uid);
	for (size_t i = 0; i < s->clients.n; i++)
		have += s->clients.v[i]->receive == receive;
	if (have >= s->limits.clients)
		return err_set(err, ERR_BUSY,
			"this node has %zu callers already, which is its limit: try again later",
			have);
	return 0;
}

void client_new(struct server *s, int fd, bool receive)
{
	struct err err = ERR_INIT, ignored = ERR_INIT;
	struct ucred who;
	struct client *c;

	if (admit(s, fd, receive, &who, &err) < 0) {
		log_warning("refused a call: %s", err.text);
		(void)!local_send_error(fd, &err, &ignored);
		close(fd);
		return;
	}
	c = xnew(struct client);
	c->server = s;
	c->sock = fd;
	c->receive = receive;
	c->pid = who.pid;
	c->uid = who.uid;
	*client_vec_push(&s->clients) = c;
	if (sd_event_add_io(s->event, &c->io, fd, EPOLLIN, on_io, c) < 0 ||
		sd_event_add_time_relative(s->event, &c->timer, CLOCK_MONOTONIC,
			s->limits.request_timeout, 0, on_timeout, c) < 0)
		client_free(c);
}
