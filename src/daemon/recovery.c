#include "daemon/recovery.h"

#include "base/json.h"
#include "base/log.h"
#include "daemon/task.h"

#define BACKOFF_FIRST (5 * USEC_PER_SEC)
#define BACKOFF_LAST  (300 * USEC_PER_SEC)
#define IDLE	      (3600 * USEC_PER_SEC) /* what is staged may have expired */
#define PARTS_MAX     4			    /* workers at a time; dead peers take theirs a while */

static void start(struct server *s);

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	start(userdata);
	return 0;
}

static void set_timer(struct server *s, usec_t in)
{
	struct recovery *r = &s->recovery;

	if (r->wake)
		in = MIN(in, r->wake);
	sd_event_source_disable_unref(r->timer);
	r->timer = NULL;
	sd_event_add_time_relative(
		s->event, &r->timer, CLOCK_MONOTONIC, in, USEC_PER_SEC, on_timer, s);
}

static void later(struct server *s)
{
	struct recovery *r = &s->recovery;
	char text[NUM_HUMAN_MAX];

	r->backoff = r->backoff ? MIN(r->backoff * 2, BACKOFF_LAST) : BACKOFF_FIRST;
	r->waiting = true;
	log_info("something is left half done: looked after again in %s",
		num_human_usec(r->backoff, text));
	set_timer(s, r->backoff);
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
	struct recovery *r = &t->server->recovery;

	r->resumes--;
	if (result)
		return;
	r->pending = true;
	if (!r->task && !r->parts.n && !r->waiting)
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
		if (call_worker(s, "ct.send.resume", args, &t) < 0) {
			failed = -1;
		} else {
			t->done = on_resumed;
			s->recovery.resumes++;
		}
	}
	return failed;
}

/* The same again would do nothing more: one that waits or runs is enough. args is stolen. */
static void add_part(struct server *s, const char *call, json_t *args)
{
	struct recovery_part_vec *all = &s->recovery.parts;

	for (size_t i = 0; i < all->n; i++)
		if (all->v[i].call == call && json_equal(all->v[i].args, args)) {
			json_decref(args);
			return;
		}
	*recovery_part_vec_push(all) = (struct recovery_part){.call = call, .args = args};
}

static void remove_part(struct recovery *r, size_t i)
{
	json_decref(r->parts.v[i].args);
	r->parts.n--;
	for (; i < r->parts.n; i++)
		r->parts.v[i] = r->parts.v[i + 1];
}

static void end_round(struct server *s)
{
	struct recovery *r = &s->recovery;

	if (r->task || r->parts.n)
		return;
	if (r->pending) {
		later(s);
	} else {
		if (!r->resumes)
			r->backoff = 0;
		set_timer(s, IDLE);
	}
}

static void take_result(struct server *s, const json_t *result)
{
	struct recovery *r = &s->recovery;
	uint64_t wake = json_get_u64(result, "wake_ms", 0);

	if (!result || json_get_u64(result, "pending", 0) ||
		resume(s, json_object_get(result, "resume")) < 0)
		r->pending = true;
	if (wake)
		r->wake = MAX(wake * USEC_PER_MSEC, USEC_PER_SEC);
}

static void start_parts(struct server *s);

static void on_part(struct task *t, const json_t *result)
{
	struct recovery *r = &t->server->recovery;

	for (size_t i = 0; i < r->parts.n; i++)
		if (r->parts.v[i].task == t) {
			remove_part(r, i);
			break;
		}
	take_result(t->server, result);
	start_parts(t->server);
	end_round(t->server);
}

static size_t running_parts(const struct recovery *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->parts.n; i++)
		n += r->parts.v[i].task != NULL;
	return n;
}

static void start_parts(struct server *s)
{
	struct recovery *r = &s->recovery;

	for (size_t i = 0; i < r->parts.n && running_parts(r) < PARTS_MAX;) {
		struct recovery_part *p = &r->parts.v[i];

		if (!p->task && call_worker(s, p->call, json_incref(p->args), &p->task) < 0) {
			p->task = NULL;
			r->pending = true;
			remove_part(r, i);
			continue;
		}
		p->task->done = on_part;
		i++;
	}
}

/* What belongs here first, then what is left over, then the peers. */
static void plan_parts(struct server *s, const json_t *result)
{
	size_t i;
	json_t *v;

	json_array_foreach(json_object_get(result, "takeover"), i, v)
	{
		json_t *args = json_object();

		json_object_set(args, "token", v);
		add_part(s, "recover.takeover", args);
	}
	add_part(s, "recover.sweep", json_object());
	json_array_foreach(json_object_get(result, "peers"), i, v)
		add_part(s, "recover.peer", json_incref(v));
}

/* A recovery that failed is tried again too. */
static void on_done(struct task *t, const json_t *result)
{
	struct server *s = t->server;

	s->recovery.task = NULL;
	take_result(s, result);
	plan_parts(s, result);
	start_parts(s);
	if (s->recovery.again) {
		s->recovery.again = false;
		start(s);
	}
	end_round(s);
}

static void start(struct server *s)
{
	struct recovery *r = &s->recovery;

	sd_event_source_disable_unref(r->timer);
	r->timer = NULL;
	r->pending = r->waiting = false;
	r->wake = 0;
	if (call_worker(s, "recover", json_object(), &r->task) < 0) {
		r->task = NULL;
		later(s);
		return;
	}
	r->task->done = on_done;
}

/* Parts of the last round that still wait for a dead peer hold up nothing. */
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
	struct recovery *r = &s->recovery;

	sd_event_source_disable_unref(r->timer);
	r->timer = NULL;
	while (r->parts.n)
		remove_part(r, r->parts.n - 1);
	recovery_part_vec_done(&r->parts);
}
