#include "cli/call.h"

#include <stdio.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/bar.h"
#include "cli/output.h"
#include "link/local.h"

#define DAEMON_BACK (15 * USEC_PER_SEC) /* a daemon that is restarted is there again by then */

struct calling {
	struct cli *cli;
	struct bar bar;
	json_t *items;
	uint64_t job;
	bool cancelled; /* ^C once */
	bool ended;	/* the last message has come */
};

static void on_progress(void *ctx, const struct progress_event *ev)
{
	struct calling *c = ctx;

	snprintf(c->cli->phase, sizeof(c->cli->phase), "%s", ev->phase);
	bar_progress(&c->bar, ev);
}

static void on_line(void *ctx, const char *text)
{
	struct calling *c = ctx;

	bar_line(&c->bar, text);
}

static void on_job(void *ctx, uint64_t id)
{
	struct calling *c = ctx;

	if (c->cli->json && c->job != id)
		output_json_line(c->cli, "job", json_integer((json_int_t)id));
	c->job = id;
}

static void on_item(void *ctx, const json_t *item)
{
	struct calling *c = ctx;

	json_array_append(c->items, (json_t *)(uintptr_t)item);
}

static void on_end(void *ctx)
{
	((struct calling *)ctx)->ended = true;
}

/* What ^C means: a query just ends, a job is asked to cancel and undo, the second time left alone.
 */
static int interrupted(struct calling *c, int sock, struct err *err)
{
	json_t *msg;

	cancel_reset();
	if (!c->job)
		return err_set(err, ERR_CANCELLED, "interrupted");
	if (c->cancelled)
		return err_set(err, ERR_CANCELLED,
			"job %llu goes on cancelling by itself: wherry job attach %llu watches it",
			(unsigned long long)c->job, (unsigned long long)c->job);
	c->cancelled = true;
	bar_line(&c->bar, "Cancelling and undoing; ^C again leaves it to that");
	msg = json_object();
	json_put_bool(msg, "cancel", true);
	return local_send(sock, msg, err);
}

static int wait_result(struct calling *c, int sock, int r, const struct local_handler *h,
	json_t **ret, struct err *err)
{
	while (r == -ERR_CANCELLED && cancel_requested()) {
		r = interrupted(c, sock, err);
		if (r < 0)
			return r;
		r = local_wait(sock, h, ret, err);
	}
	return r;
}

/* 1: the connection was lost again, or there is none. */
static int attach_once(
	struct calling *c, const struct local_handler *h, json_t **ret, struct err *err)
{
	_cleanup_close_ int sock = -1;
	json_t *args;
	int r = local_connect(local_socket(), &sock, err);

	if (r < 0)
		return 1;
	args = json_object();
	json_put_u64(args, "job", c->job);
	r = local_call(sock, "job.attach", args, NULL, 0, h, ret, err);
	r = wait_result(c, sock, r, h, ret, err);
	return c->ended || r == -ERR_CANCELLED ? r : 1;
}

/* The daemon went away under a job, which goes on: the next daemon knows it too. */
static int attach_again(
	struct calling *c, const struct local_handler *h, json_t **ret, struct err *err)
{
	usec_t since = clock_now(); /* nobody is there */
	struct err why = *err;

	while (clock_now() < since + DAEMON_BACK && !cancel_requested()) {
		usec_t began = clock_now();
		int r = attach_once(c, h, ret, err);

		if (r <= 0)
			return r;
		if (clock_now() > began + USEC_PER_SEC) /* somebody was */
			since = clock_now();
		clock_sleep(USEC_PER_SEC / 5);
	}
	return err_copy(err, &why);
}

int call_daemon(struct cli *cli, const char *name, json_t *args, const int *fds, size_t n_fds,
	json_t **ret, struct err *err)
{
	struct calling c = {.cli = cli, .bar = {.cli = cli}, .items = json_array()};
	const struct local_handler h = {.progress = on_progress,
		.line = on_line,
		.job = on_job,
		.item = on_item,
		.ctx = &c,
		.end = on_end};
	_cleanup_json_ json_t *result = NULL, *items = c.items;
	_cleanup_close_ int sock = -1;
	int r = local_connect(local_socket(), &sock, err);

	if (r < 0) {
		json_decref(args);
		return r;
	}
	cancel_install();
	if (str_eq(name, "job.attach"))
		c.job = json_get_u64(args, "job", 0);
	r = local_call(sock, name, args, fds, n_fds, &h, &result, err);
	r = wait_result(&c, sock, r, &h, &result, err);
	if (r < 0 && c.job && !c.ended && r != -ERR_CANCELLED)
		r = attach_again(&c, &h, &result, err);
	bar_end(&c.bar);
	if (r < 0)
		return r;
	*ret = json_is_array(result) ? TAKE_PTR(items) : TAKE_PTR(result);
	return 0;
}
