#include "link/verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/kernel.h"
#include "base/proc.h"
#include "base/str.h"
#include "link/lines.h"
#include "link/local.h"

#define COMMAND_MAX 4096
#define WAIT_MAX    (3600 * USEC_PER_SEC)
#define WAITS_MAX   10000		/* lines */
#define END_MAX	    (5 * USEC_PER_SEC)	/* for ssh to say why it ended */
#define WAITER_END  2000		/* ms, for it to end by itself */
#define REASON_MAX  (10 * USEC_PER_SEC) /* for the answer of a peer that takes no input */

const struct verb_spec verb_specs[] = {
	{"skel", "[pool]", 0, 1, true, true},
	{"base", "[pool:]<id> <dataset> [snapshot]", 2, 5, true, true},
	{"incremental", "[pool:]<id> <dataset> [snapshot]", 2, 6, true, true},
	{"transfer", "[pool:]<id> [start]", 1, 2, true, true},
	{"cancel", "[pool:]<id>", 1, 1, false, true},
	{"cleanup", "[pool:]<id>", 1, 1, false, true},
	{"status", "[pool:]<id>", 1, 1, false, false},
	{"hello", "", 0, 0, false, false},
	{0},
};

struct verb {
	const struct verb_spec *spec; /* asking side only */
	struct ssh_run *run;	      /* asking side only; NULL: we answer */
	char *peer;
	int in, out; /* answering side: ours */
	struct lines lines;
	struct stream *stream;
	usec_t idle;
	bool answered, waited;
	pid_t waiter;	/* answering side: says that we are still here; 0: none */
	int waiter_end; /* it lives as long as we hold this */
};

const struct verb_spec *verb_find(const char *name)
{
	for (const struct verb_spec *s = verb_specs; s->name; s++)
		if (str_eq(s->name, name))
			return s;
	return NULL;
}

char *verb_usage(void)
{
	struct str s = STR_INIT;

	str_add(&s, "Usage:\n");
	for (const struct verb_spec *v = verb_specs; v->name; v++)
		str_addf(&s, "  receive %s%s%s\n", v->name, *v->usage ? " " : "", v->usage);
	return str_take(&s);
}

static int check_command(char *const *words, const struct verb_spec **ret, struct err *err)
{
	size_t n = strv_len(words);
	const struct verb_spec *spec;

	if (n < 2 || !str_eq(words[0], "receive"))
		return err_set(err, ERR_INVALID, "not a command for a receiving node");
	spec = verb_find(words[1]);
	if (!spec)
		return err_set(err, ERR_INVALID, "\"receive %.32s\" is not known here", words[1]);
	if (n - 2 < spec->min_words || n - 2 > spec->max_words)
		return err_set(err, ERR_INVALID, "usage: receive %s %s", spec->name, spec->usage);
	*ret = spec;
	return 0;
}

int verb_parse(const char *command, char ***ret_words, struct err *err)
{
	_cleanup_strv_ char **words = NULL;
	const struct verb_spec *spec;
	size_t n;
	int r;

	if (!command || strnlen(command, COMMAND_MAX + 1) > COMMAND_MAX)
		return err_set(err, ERR_INVALID, "not a command for a receiving node");
	words = str_split(command, " ", false);
	n = strv_len(words);
	for (size_t i = 0; i < n; i++)
		if (!ssh_word_ok(words[i]))
			return err_set(err, ERR_INVALID, "not a command for a receiving node");
	r = check_command(words, &spec, err);
	if (r < 0)
		return r;
	free(words[0]);
	memmove(words, words + 1, n * sizeof(*words)); /* with the NULL */
	*ret_words = TAKE_PTR(words);
	return 0;
}

/* Asking */

int verb_start(struct ssh *ssh, const char *const *words, struct verb **ret, struct err *err)
{
	const struct verb_spec *spec;
	struct ssh_run *run;
	struct verb *v;
	int r = check_command((char *const *)(uintptr_t)words, &spec, err);

	if (r >= 0)
		r = fault_point("link.verb.start.before", err);
	if (r >= 0)
		r = ssh_start(ssh, words, &run, err);
	if (r < 0)
		return r;
	v = xnew(struct verb);
	v->spec = spec;
	v->run = run;
	v->peer = xstrdup(ssh_host(ssh));
	v->in = ssh_run_out(run);
	v->out = ssh_run_in(run);
	v->lines = (struct lines)LINES_INIT(v->in);
	v->idle = VERB_IDLE;
	*ret = v;
	return fault_point("link.verb.start.after", err);
}

/* The connection has ended without an answer: why, as ssh has it. */
static int ended(void *ctx, struct err *err)
{
	struct verb *v = ctx;
	int r = 0;

	if (!v->run)
		return err_set(err, ERR_UNREACHABLE, "%s has closed the connection", v->peer);
	if (!v->waited)
		r = ssh_run_wait(v->run, clock_deadline(END_MAX), err);
	v->waited = true;
	/* Data were flowing, so it was the right command, and it died: it can be asked again. */
	if (r < 0 && err->code == ERR_PROTOCOL && v->stream)
		return err_set(err, ERR_UNREACHABLE, "%s", err->text);
	if (r < 0 && err->code != ERR_TIMEOUT)
		return r;
	return err_set(err, ERR_UNREACHABLE, "%s ended the call without an answer", v->peer);
}

/* err says what came instead of an answer. */
static int no_answer(struct verb *v, struct err *err)
{
	if (err->code == ERR_CANCELLED)
		return -(int)err->code;
	if (err->code == ERR_TIMEOUT || err->code == ERR_PROTOCOL)
		err_prefix(err, "%s", v->peer);
	if (!v->spec || !v->spec->changes)
		return -(int)err->code;
	return err_set(err, ERR_UNKNOWN, "%s; whether `receive %s` was done there is not known",
		err->text, v->spec->name);
}

static int next_line(struct verb *v, usec_t deadline, json_t **ret, struct err *err)
{
	int r;

	if (v->stream && v->run)
		r = frame_await(v->stream, deadline, ret, err);
	else
		r = lines_next(&v->lines, deadline, ret, err);
	return r == 0 ? ended(v, err) : r;
}

int verb_recv_line(struct verb *v, usec_t timeout, json_t **ret, struct err *err)
{
	usec_t last = clock_deadline(WAIT_MAX);

	for (unsigned i = 0; i < WAITS_MAX; i++) {
		_cleanup_json_ json_t *line = NULL;
		const json_t *error;
		int r = next_line(v, MIN(clock_deadline(timeout), MAX(last, timeout)), &line, err);

		if (r < 0)
			return no_answer(v, err);
		if (json_object_get(line, "wait"))
			continue;
		error = json_object_get(line, "error");
		v->answered = error || json_object_get(line, "ok");
		if (error) {
			local_error_from(error, err);
			return err_prefix(err, "%s", v->peer);
		}
		*ret = TAKE_PTR(line);
		return 0;
	}
	err_set(err, ERR_PROTOCOL, "it says nothing but that we should wait");
	return no_answer(v, err);
}

/* A line of that one kind, and what is in it. */
static int recv_kind(struct verb *v, const char *kind, json_t **ret, struct err *err)
{
	_cleanup_json_ json_t *line = NULL;
	int r = verb_recv_line(v, v->idle, &line, err);
	json_t *data;

	if (r < 0)
		return r;
	data = json_object_get(line, kind);
	if (json_object_size(line) != 1 || !json_is_object(data)) {
		v->answered = false;
		err_set(err, ERR_PROTOCOL, "not the answer that was expected (\"%s\")", kind);
		return no_answer(v, err);
	}
	if (ret)
		*ret = json_incref(data);
	return 0;
}

int verb_ready(struct verb *v, json_t **ret, struct err *err)
{
	return recv_kind(v, "ready", ret, err);
}

int verb_send_line(struct verb *v, json_t *line, struct err *err)
{
	_cleanup_json_ json_t *answer = NULL;
	int r = fault_point("link.verb.line.before", err);

	if (r < 0) {
		json_decref(line);
		return r;
	}
	r = lines_write(v->out, line, v->idle, err);
	if (r >= 0)
		return fault_point("link.verb.line.after", err);
	if (r != -ERR_UNREACHABLE || !v->run)
		return r == -ERR_CANCELLED ? r : err_prefix(err, "%s", v->peer);
	/* Nobody reads: most often it has said why. */
	r = verb_recv_line(v, REASON_MAX, &answer, err);
	if (r < 0)
		return r;
	err_set(err, ERR_PROTOCOL, "it answered before it was asked");
	return no_answer(v, err);
}

struct stream *verb_stream(struct verb *v, const struct frame_opts *o)
{
	struct frame_opts all = o ? *o : (struct frame_opts){.zstd_level = -1};

	all.idle = v->idle;
	all.peer = v->peer;
	all.lost = ended;
	all.ctx = v;
	if (!v->stream && v->run)
		v->stream = frame_writer_over(&v->lines, v->out, &all);
	else if (!v->stream)
		v->stream = frame_reader_new(v->in, v->out, &all);
	return v->stream;
}

int verb_finish(struct verb *v, json_t **ret_ok, struct err *err)
{
	int r = fault_point("link.verb.finish.before", err);

	if (r < 0)
		return r;
	ssh_run_close_in(v->run);
	v->out = -1;
	r = recv_kind(v, "ok", ret_ok, err);
	return r < 0 ? r : fault_point("link.verb.finish.after", err);
}

bool verb_answered(const struct verb *v)
{
	return v->answered;
}

void verb_free(struct verb *v)
{
	if (!v)
		return;
	verb_serve_waited(v);
	stream_free(v->stream);
	lines_done(&v->lines);
	if (!v->run) {
		close(v->in);
		if (v->out != v->in)
			close(v->out);
	}
	ssh_run_free(v->run);
	free(v->peer);
	free(v);
}

void verb_freep(struct verb **v)
{
	verb_free(*v);
}

int verb_call(
	struct ssh *ssh, const char *const *words, json_t *input, json_t **ret_ok, struct err *err)
{
	_cleanup_verb_ struct verb *v = NULL;
	_cleanup_json_ json_t *line = input;
	int r = verb_start(ssh, words, &v, err);

	if (r >= 0 && line)
		r = verb_send_line(v, TAKE_PTR(line), err);
	return r < 0 ? r : verb_finish(v, ret_ok, err);
}

/* Answering */

struct verb *verb_serve_new(int fd_in, int fd_out, usec_t idle)
{
	struct verb *v = xnew(struct verb);

	v->peer = xstrdup("the sending node");
	v->in = fd_in;
	v->out = fd_out;
	v->lines = (struct lines)LINES_INIT(fd_in);
	v->idle = idle;
	return v;
}

/* In the waiter: nothing but these lines, until the other end is closed. */
static _noreturn_ void say_wait(struct verb *v, int held, const char *text, usec_t every)
{
	struct err ignored = ERR_INIT;
	struct pollfd p = {.fd = held, .events = POLLIN};

	while (poll(&p, 1, (int)(every / USEC_PER_MSEC)) == 0)
		if (verb_serve_wait(v, text, &ignored) < 0)
			break;
	_exit(0);
}

int verb_serve_waiting(struct verb *v, const char *text, usec_t every, struct err *err)
{
	int ends[2];

	verb_serve_waited(v);
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_errno(err, "make a pipe");
	v->waiter = proc_fork(err);
	if (v->waiter == 0) {
		close(ends[1]);
		say_wait(v, ends[0], text, every);
	}
	close(ends[0]);
	v->waiter_end = ends[1];
	if (v->waiter > 0)
		return 0;
	close(ends[1]);
	v->waiter = 0;
	return -(int)err->code;
}

/* It ends between two lines, unless it is stuck in one because nobody reads. */
void verb_serve_waited(struct verb *v)
{
	struct pollfd p = {.events = POLLIN};

	if (v->waiter <= 0)
		return;
	close(v->waiter_end);
	p.fd = kernel_pidfd(v->waiter);
	if (p.fd < 0 || poll(&p, 1, WAITER_END) != 1)
		(void)kill(v->waiter, SIGKILL);
	while (waitpid(v->waiter, NULL, 0) < 0 && errno == EINTR)
		;
	if (p.fd >= 0)
		close(p.fd);
	v->waiter = 0;
}

/* Acknowledgements go before, so that no line falls into another. */
static int serve(struct verb *v, const char *kind, json_t *data, struct err *err)
{
	json_t *line = json_object();
	int r;

	verb_serve_waited(v);
	r = v->stream ? stream_flush(v->stream, err) : 0;

	json_object_set_new(line, kind, data ? data : json_object());
	if (r >= 0)
		return lines_write(v->out, line, v->idle, err);
	json_decref(line);
	return r;
}

int verb_serve_ready(struct verb *v, json_t *data, struct err *err)
{
	return serve(v, "ready", data, err);
}

int verb_serve_wait(struct verb *v, const char *text, struct err *err)
{
	json_t *data = json_object();

	json_put_str(data, "text", text);
	return serve(v, "wait", data, err);
}

static int serve_last(struct verb *v, const char *kind, json_t *data, struct err *err)
{
	int r = fault_point("link.answer.before", err);

	if (r < 0) {
		json_decref(data);
		return r;
	}
	r = serve(v, kind, data, err);
	v->answered = r >= 0;
	return r < 0 ? r : fault_point("link.answer.after", err);
}

int verb_serve_ok(struct verb *v, json_t *data, struct err *err)
{
	return serve_last(v, "ok", data, err);
}

int verb_serve_error(struct verb *v, const struct err *what, struct err *err)
{
	return serve_last(v, "error", local_error_json(what), err);
}
