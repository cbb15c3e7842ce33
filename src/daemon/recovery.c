#include "daemon/recovery.h"

#include "base/json.h"
#include "base/log.h"
#include "daemon/task.h"

#define BACKOFF_FIRST (5 * USEC_PER_SEC)
#define BACKOFF_LAST  (300 * USEC_PER_SEC)

static void start(struct server *s);

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	start(userdata);
	return 0;
}

static void later(struct server *s)
{
	struct recovery *r = &s->recovery;

	r->backoff = r->backoff ? MIN(r->backoff * 2, BACKOFF_LAST) : BACKOFF_FIRST;
	sd_event_source_disable_unref(r->timer);
	r->timer = NULL;
	sd_event_add_time_relative(
		s->event, &r->timer, CLOCK_MONOTONIC, r->backoff, USEC_PER_SEC, on_timer, s);
}

static int call_worker(struct server *s, const char *name, json_t *args, struct task **ret)
{
	json_t *request = json_object();
	struct err err = ERR_INIT;
	int r;

	json_put_str(request, "call", name);
	json_put_str(request, "who", "wherryd");
	json_object_set_new(request, "args", args);
	r = task_start(s, call_find(name), request, NULL, 0, ret, &err);
	if (r < 0)
		log_error("cannot look after what was left half done: %s", err.text);
	return r;
}

/* One that failed may have left something to look after; not at once, or it would go round. */
static void on_resumed(struct task *t, const json_t *result)
{
	if (!result && !t->server->recovery.timer)
		later(t->server);
}

/* A send may take hours: it goes on as a job, and recovery of others waits for none. */
static int resume(struct server *s, const json_t *cts)
{
	size_t i;
	json_t *ct;
	int failed = 0;

	json_array_foreach(cts, i, ct)
	{
		json_t *args = json_object();
		struct task *t;

		json_put_str(args, "ct", json_string_value(ct));
		if (call_worker(s, "ct.send.resume", args, &t) < 0)
			failed = -1;
		else
			t->done = on_resumed;
	}
	return failed;
}

/* A recovery that failed is tried again too. */
static void on_done(struct task *t, const json_t *result)
{
	struct server *s = t->server;
	bool pending = !result || json_get_u64(result, "pending", 0);

	s->recovery.task = NULL;
	if (result && resume(s, json_object_get(result, "resume")) < 0)
		pending = true;
	if (s->recovery.again) {
		s->recovery.again = false;
		start(s);
	} else if (pending) {
		later(s);
	} else {
		s->recovery.backoff = 0;
	}
}

static void start(struct server *s)
{
	sd_event_source_disable_unref(s->recovery.timer);
	s->recovery.timer = NULL;
	if (call_worker(s, "recover", json_object(), &s->recovery.task) < 0) {
		s->recovery.task = NULL;
		later(s);
		return;
	}
	s->recovery.task->done = on_done;
}

void recovery_run(struct server *s)
{
	s->recovery.backoff = 0;
	if (s->recovery.task)
		s->recovery.again = true;
	else
		start(s);
}

void recovery_done(struct server *s)
{
	sd_event_source_disable_unref(s->recovery.timer);
	s->recovery.timer = NULL;
}
