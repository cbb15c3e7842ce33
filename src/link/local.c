#include "link/local.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/alloc.h"
#include "base/dirs.h"
#include "base/fault.h"
#include "base/str.h"

#define PHASE_MAX 63

const char *local_socket(void)
{
	static char path[4096];

	snprintf(path, sizeof(path), "%s/control.sock", dirs_run());
	return path;
}

const char *receive_socket(void)
{
	static char path[4096];

	snprintf(path, sizeof(path), "%s/receive.sock", dirs_run());
	return path;
}

static int connect_failed(const char *path, struct err *err)
{
	switch (errno) {
	case ENOENT:
	case ECONNREFUSED:
		return err_set(err, ERR_UNREACHABLE,
			"wherryd is not running on this host: systemctl start wherryd");
	case EACCES:
	case EPERM:
		return err_set(err, ERR_DENIED,
			"only root may talk to wherryd: run this as root (no access to %s)", path);
	default: return err_errno(err, "connect to wherryd at %s", path);
	}
}

int local_connect(const char *path, int *ret_sock, struct err *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	_cleanup_close_ int sock = -1;
	size_t n = strlen(path);
	int r;

	if (n >= sizeof(addr.sun_path))
		return err_set(err, ERR_INVALID,
			"the path of the socket is too long: %s: shorten WHERRY_RUN_DIR", path);
	memcpy(addr.sun_path, path, n);
	sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return err_errno(err, "make a socket");
	do
		r = connect(sock, (const struct sockaddr *)&addr, sizeof(addr));
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return connect_failed(path, err);
	*ret_sock = TAKE_FD(sock);
	return 0;
}

static int send_msg(int sock, json_t *msg, const int *fds, size_t n_fds, struct err *err)
{
	_cleanup_json_ json_t *owned = msg;
	_cleanup_free_ char *text = json_text(owned);
	size_t n = strlen(text);

	if (n > LOCAL_MSG_MAX)
		return err_set(err, ERR_INTERNAL, "a message of %zu bytes is over the limit of %d",
			n, LOCAL_MSG_MAX);
	return fd_send_msg(sock, text, n, fds, n_fds, err);
}

int local_send(int sock, json_t *msg, struct err *err)
{
	return send_msg(sock, msg, NULL, 0, err);
}

/* Every last message passes here. */
static int send_last(int sock, const char *kind, json_t *value, struct err *err)
{
	json_t *msg = json_object();
	int r = fault_point("link.local.answer.before", err);

	json_object_set_new(msg, kind, value);
	if (r < 0) {
		json_decref(msg);
		return r;
	}
	r = local_send(sock, msg, err);
	return r < 0 ? r : fault_point("link.local.answer.after", err);
}

int local_send_error(int sock, const struct err *what, struct err *err)
{
	return send_last(sock, "error", local_error_json(what), err);
}

int local_send_result(int sock, json_t *result, struct err *err)
{
	return send_last(sock, "result", result ? result : json_object(), err);
}

json_t *local_progress_json(const struct progress_event *ev)
{
	json_t *p = json_object();

	json_put_str(p, "phase", ev->phase);
	json_put_u64(p, "done", ev->done);
	json_put_u64(p, "total", ev->total);
	json_put_u64(p, "items", ev->items);
	json_put_u64(p, "rate", ev->rate);
	json_put_u64(p, "elapsed_ms", ev->elapsed / USEC_PER_MSEC);
	if (ev->eta != CLOCK_NEVER)
		json_put_u64(p, "eta_ms", ev->eta / USEC_PER_MSEC);
	json_put_bool(p, "final", ev->final);
	return p;
}

int local_send_progress(int sock, const struct progress_event *ev, struct err *err)
{
	json_t *msg = json_object();

	json_object_set_new(msg, "progress", local_progress_json(ev));
	return local_send(sock, msg, err);
}

static void close_fds(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
}

int local_recv(int sock, json_t **ret, int *ret_fds, size_t *ret_n_fds, struct err *err)
{
	_cleanup_free_ char *buf = xmalloc(LOCAL_MSG_MAX);
	int fds[FD_PASS_MAX], r;
	size_t n_fds = 0;
	ssize_t n = fd_recv_msg(sock, buf, LOCAL_MSG_MAX, ret_fds ? fds : NULL, &n_fds, err);

	if (n < 0)
		return (int)n;
	if (n == 0) {
		close_fds(fds, n_fds);
		*ret = NULL;
		if (ret_fds)
			*ret_n_fds = 0;
		return 0;
	}
	r = json_parse(buf, (size_t)n, LOCAL_MSG_MAX, ret, err);
	if (r < 0) {
		close_fds(fds, n_fds);
		return err_set(err, ERR_PROTOCOL, "not a message of Wherry: %s", err->text);
	}
	if (ret_fds) {
		memcpy(ret_fds, fds, n_fds * sizeof(int));
		*ret_n_fds = n_fds;
	}
	return 0;
}

json_t *local_error_json(const struct err *e)
{
	json_t *obj = json_object();

	json_put_str(obj, "code", err_name(e->code));
	json_put_str(obj, "text", e->text);
	return obj;
}

void local_error_from(const json_t *error, struct err *ret)
{
	const char *text = json_get_str(error, "text");
	enum err_code code = err_from_name(json_get_str(error, "code"));
	_cleanup_free_ char *shown = NULL;

	/* Cut before it is escaped, which makes it longer. */
	shown = text ? str_escape(text, strnlen(text, sizeof(ret->text))) : NULL;
	err_set(ret, code == ERR_NONE ? ERR_INTERNAL : code, "%s",
		shown && *shown ? shown : "an error that was not explained");
}

/* The caller's loop over messages */

static void on_progress(const json_t *v, const struct local_handler *h)
{
	struct {
		char *phase;
		uint64_t done, total, items, rate, elapsed, eta;
		bool final;
	} p = {.eta = UINT64_MAX};
	static const struct json_field fields[] = {
		JSON_STR(__typeof__(p), phase, "phase", JSON_REQUIRED, PHASE_MAX),
		JSON_U64(__typeof__(p), done, "done", 0, 0, UINT64_MAX),
		JSON_U64(__typeof__(p), total, "total", 0, 0, UINT64_MAX),
		JSON_U64(__typeof__(p), items, "items", 0, 0, UINT64_MAX),
		JSON_U64(__typeof__(p), rate, "rate", 0, 0, UINT64_MAX),
		JSON_U64(__typeof__(p), elapsed, "elapsed_ms", 0, 0, UINT64_MAX / 1000),
		JSON_U64(__typeof__(p), eta, "eta_ms", 0, 0, UINT64_MAX / 1000),
		JSON_BOOL(__typeof__(p), final, "final", 0),
		JSON_END,
	};
	struct err ignored = ERR_INIT; /* a picture that cannot be shown is no reason to fail */

	if (json_read(v, fields, JSON_LOOSE, &p, &ignored) >= 0)
		h->progress(h->ctx,
			&(struct progress_event){
				.phase = p.phase,
				.done = p.done,
				.total = p.total,
				.items = p.items,
				.rate = p.rate,
				.elapsed = p.elapsed * USEC_PER_MSEC,
				.eta = p.eta == UINT64_MAX ? CLOCK_NEVER : p.eta * USEC_PER_MSEC,
				.final = p.final,
			});
	free(p.phase);
}

/* It may quote a peer: it must not steer the user's terminal. */
static void on_line(const json_t *v, const struct local_handler *h)
{
	_cleanup_free_ char *text = str_escape(json_string_value(v), json_string_length(v));

	h->line(h->ctx, text);
}

/* Kinds that we do not know come from a newer daemon and mean nothing to us. */
static void on_message(const char *kind, const json_t *v, const struct local_handler *h)
{
	if (!h)
		return;
	if (str_eq(kind, "progress") && h->progress)
		on_progress(v, h);
	else if (str_eq(kind, "line") && h->line && json_is_string(v))
		on_line(v, h);
	else if (str_eq(kind, "job") && h->job && json_integer_value(v) > 0)
		h->job(h->ctx, (uint64_t)json_integer_value(v));
	else if (str_eq(kind, "item") && h->item)
		h->item(h->ctx, v);
}

static int not_known(struct err *err)
{
	return err_set(err, ERR_UNKNOWN,
		"lost the connection to wherryd before the outcome was known; "
		"`wherry job list` shows it");
}

/* One message: 1 for the last one, 0 for others. */
static int dispatch(
	json_t *msg, const struct local_handler *h, json_t **ret_result, struct err *err)
{
	const char *kind = json_object_iter_key(json_object_iter(msg));
	json_t *v = json_object_get(msg, kind ? kind : "");

	if (!v || json_object_size(msg) != 1)
		return err_set(err, ERR_UNKNOWN,
			"wherryd said something that cannot be understood (is it of another "
			"version?); `wherry job list` shows the outcome");
	if (h && h->end && (str_eq(kind, "error") || str_eq(kind, "result")))
		h->end(h->ctx);
	if (str_eq(kind, "error")) {
		local_error_from(v, err);
		return -(int)err->code;
	}
	if (str_eq(kind, "result")) {
		if (ret_result)
			*ret_result = json_incref(v);
		return 1;
	}
	on_message(kind, v, h);
	return 0;
}

int local_wait(int sock, const struct local_handler *h, json_t **ret_result, struct err *err)
{
	for (;;) {
		_cleanup_json_ json_t *msg = NULL;
		int r = local_recv(sock, &msg, NULL, NULL, err);

		if (r == -ERR_CANCELLED)
			return r;
		if (r < 0 || !msg)
			return not_known(err);
		r = dispatch(msg, h, ret_result, err);
		if (r != 0)
			return r < 0 ? r : 0;
	}
}

/* A daemon that turns a caller away answers before it has read the request, and hangs up. */
static int refused(int sock, struct err *err)
{
	struct err sending = *err, why = ERR_INIT;
	int r = local_wait(sock, NULL, NULL, &why);

	if (r < 0 && why.code != ERR_UNKNOWN)
		return err_copy(err, &why);
	return err_set(err, sending.code, "wherryd did not take the call: %s", sending.text);
}

int local_call(int sock, const char *call, json_t *args, const int *fds, size_t n_fds,
	const struct local_handler *h, json_t **ret_result, struct err *err)
{
	json_t *request = json_object();
	int r;

	json_put_str(request, "call", call);
	json_object_set_new(request, "args", args ? args : json_object());
	r = fault_point("link.local.call.before", err);
	if (r < 0) {
		json_decref(request);
		return r;
	}
	r = send_msg(sock, request, fds, n_fds, err);
	if (r == -ERR_UNREACHABLE)
		return refused(sock, err);
	if (r >= 0)
		r = fault_point("link.local.call.after", err);
	return r < 0 ? r : local_wait(sock, h, ret_result, err);
}
