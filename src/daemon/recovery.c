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

/* A recovery that failed is tried again too. */
static void on_done(struct task *t, const json_t *result)
{
	struct server *s = t->server;
	uint64_t pending = result ? json_get_u64(result, "pending", 0) : 1;

	s->recovery.task = NULL;
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
	const struct call *call = call_find("recover");
	json_t *request = json_object();
	struct err err = ERR_INIT;

	sd_event_source_disable_unref(s->recovery.timer);
	s->recovery.timer = NULL;
	json_put_str(request, "call", call->name);
	json_put_str(request, "who", "wherryd");
	json_object_set_new(request, "args", json_object());
	if (task_start(s, call, request, NULL, 0, &s->recovery.task, &err) < 0) {
		s->recovery.task = NULL;
		log_error("cannot look after what was left half done: %s", err.text);
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
