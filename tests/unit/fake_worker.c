/*
 * A worker that does what the request's "do" says, for the tests of wherryd. It reports like the
 * real one; its job has the number "job".
 *
 *	items	n items, then []		size: bytes of text in each
 *	lines	n lines, then a result
 *	wait	says "ready", ticks until it is cancelled
 *	die	kill -9 of itself
 *	mute	ends without an answer
 *	fds	the number of descriptors that came
 *
 * Recovery wants to resume the container "web" once if there is a file WHERRY_RUN_DIR/resume, to
 * take over "tok" if there is one called takeover, and to ask the peer "dead", or those that the
 * file lists, if there is one called peers. To ask one takes for ever; but as long as there is no
 * file called hang, those whose names begin with "gone" do not answer at once. Marks are lines in
 * WHERRY_RUN_DIR/marks.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/clock.h"
#include "base/dirs.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/str.h"
#include "daemon/report.h"
#include "link/local.h"

static void mark(const char *fmt, const char *what)
{
	_cleanup_free_ char *path = xasprintf("%s/marks", dirs_run());
	_cleanup_fclose_ FILE *f = fopen(path, "a");

	if (f)
		fprintf(f, "%s %s\n", fmt, what);
}

static char *text_of(size_t n)
{
	char *s = xmalloc(n + 1);

	memset(s, 'x', n);
	s[n] = '\0';
	return s;
}

static void do_items(struct report *r, const json_t *args)
{
	_cleanup_free_ char *text = text_of(json_get_u64(args, "size", 1));
	json_t *list = json_array();

	for (uint64_t i = 0; i < json_get_u64(args, "n", 0); i++) {
		json_t *item = json_object();

		json_put_u64(item, "i", i);
		json_put_str(item, "text", text);
		json_array_append_new(list, item);
	}
	report_result(r, list);
}

static void do_lines(struct report *r, const json_t *args)
{
	_cleanup_free_ char *text = text_of(json_get_u64(args, "size", 1));

	for (uint64_t i = 0; i < json_get_u64(args, "n", 0); i++)
		report_line(r, text);
	mark("said", "all");
	report_result(r, json_object());
}

static void do_wait(struct report *r)
{
	struct progress_event ev = {.phase = "waiting", .eta = CLOCK_NEVER};
	struct err err = ERR_INIT;

	report_line(r, "ready");
	while (cancel_check(&err) >= 0) {
		/* Who only watches has nothing done: a test can tell it from the job's own worker.
		 */
		ev.done += !str_eq(r->call->name, "job.attach");
		report_progress(r, &ev);
		clock_sleep(20 * USEC_PER_MSEC);
	}
	mark("cancelled", "");
	report_error(r, &err);
}

static json_t *peers_of(const char *path)
{
	_cleanup_fclose_ FILE *f = fopen(path, "r");
	json_t *list = json_array();
	char name[64];

	while (f && fscanf(f, "%63s", name) == 1)
		json_array_append_new(list, json_pack("{s:s}", "peer", name));
	if (f && !json_array_size(list))
		json_array_append_new(list, json_pack("{s:s}", "peer", "dead"));
	return list;
}

static void do_recover(struct report *r)
{
	_cleanup_free_ char *path = xasprintf("%s/resume", dirs_run());
	_cleanup_free_ char *peers = xasprintf("%s/peers", dirs_run());
	_cleanup_free_ char *takeover = xasprintf("%s/takeover", dirs_run());
	json_t *result = json_object();

	mark("recover", "");
	if (unlink(path) == 0)
		json_object_set_new(result, "resume", json_pack("[s]", "web"));
	if (access(takeover, F_OK) == 0)
		json_object_set_new(result, "takeover", json_pack("[s]", "tok"));
	json_object_set_new(result, "peers", peers_of(peers));
	json_put_u64(result, "pending", 0);
	report_result(r, result);
}

static void do_peer(struct report *r, const json_t *args)
{
	_cleanup_free_ char *hang = xasprintf("%s/hang", dirs_run());
	const char *peer = json_get_str(args, "peer");

	mark("asks", peer);
	if (str_starts(peer, "gone") && access(hang, F_OK) < 0)
		report_result(r, json_pack("{s:b,s:i}", "dead", 1, "pending", 1));
	else
		do_wait(r);
}

static void serve(struct report *r, const json_t *args, size_t n_fds)
{
	const char *what = json_get_str(args, "do");
	json_t *result;

	if (str_eq(r->call->name, "recover"))
		do_recover(r);
	else if (str_eq(r->call->name, "recover.peer"))
		do_peer(r, args);
	else if (str_eq(r->call->name, "recover.takeover"))
		mark("takes", json_get_str(args, "token"));
	else if (str_eq(what, "items"))
		do_items(r, args);
	else if (str_eq(what, "lines"))
		do_lines(r, args);
	else if (str_eq(what, "wait"))
		do_wait(r);
	else if (str_eq(what, "die"))
		raise(SIGKILL);
	else if (!str_eq(what, "mute")) {
		result = json_object();
		json_put_u64(result, "fds", n_fds);
		report_result(r, result);
	}
}

int main(void)
{
	struct report r = {.sock = 3};
	_cleanup_json_ json_t *request = NULL;
	_cleanup_free_ char *who = NULL;
	struct err err = ERR_INIT;
	int fds[FD_PASS_MAX];
	size_t n_fds = 0;
	const json_t *args;

	cancel_install();
	if (local_recv(3, &request, fds, &n_fds, &err) < 0 || !request)
		return 1;
	args = json_object_get(request, "args");
	r.call = call_find(json_get_str(request, "call"));
	who = xasprintf("%d", (int)getpid());
	mark(r.call->name, who);
	mark("pid", who);
	mark("who", json_get_str(request, "who"));
	if (json_get_u64(args, "job", 0) && !str_eq(r.call->name, "job.attach"))
		report_job(&r, json_get_u64(args, "job", 0));
	serve(&r, args, n_fds);
	return 0;
}
