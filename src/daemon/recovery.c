#include "daemon/recovery.h"

#include "base/json.h"
#include "base/log.h"
#include "daemon/task.h"

#define BACKOFF_FIRST (5 * USEC_PER_SEC)
#define BACKOFF_LAST  (300 * USEC_PER_SEC)
#define IDLE	      (3600 * USEC_PER_SEC) /* what is staged may have expired */

/* Workers at a time, of each kind: none of them waits for another kind. What is local ends soon;
 * a peer may be dead, and takes its time then; one that was dead last time probably is again, and
 * must not be in the way of those that nobody has asked yet. */
enum part_kind { PART_LOCAL, PART_PEER, PART_DEAD_PEER, N_PART_KINDS };
static const size_t parts_max[N_PART_KINDS] = {4, 16, 4};

static const char peer_call[] = "recover.peer";

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

static bool was_dead(const struct recovery *r, const json_t *peer)
{
	const json_t *v;
	size_t i;

	json_array_foreach(r->dead, i, v) if (json_equal(v, peer)) return true;
	return false;
}

/* peer is borrowed. */
static void note_dead(struct recovery *r, json_t *peer, bool dead)
{
	const json_t *v;
	size_t i;

	json_array_foreach(r->dead, i, v) if (json_equal(v, peer)) break;
	if (!dead)
		json_array_remove(r->dead, i); /* beyond the end: nothing */
	else if (i == json_array_size(r->dead))
		json_array_append(r->dead, peer);
}

static enum part_kind kind_of(const struct recovery *r, const struct recovery_part *p)
{
	if (p->call != peer_call)
		return PART_LOCAL;
	return was_dead(r, p->args) ? PART_DEAD_PEER : PART_PEER;
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
	all->v[all->n - 1].kind = kind_of(&s->recovery, &all->v[all->n - 1]);
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
			if (result && r->parts.v[i].call == peer_call)
				note_dead(r, r->parts.v[i].args,
					json_get_bool(result, "dead", false));
			remove_part(r, i);
			break;
		}
	take_result(t->server, result);
	start_parts(t->server);
	end_round(t->server);
}

static void start_parts(struct server *s)
{
	struct recovery *r = &s->recovery;
	size_t running[N_PART_KINDS] = {0};

	for (size_t i = 0; i < r->parts.n; i++)
		running[r->parts.v[i].kind] += r->parts.v[i].task != NULL;
	for (size_t i = 0; i < r->parts.n;) {
		struct recovery_part *p = &r->parts.v[i];

		if (p->task || running[p->kind] >= parts_max[p->kind]) {
			i++;
		} else if (call_worker(s, p->call, json_incref(p->args), &p->task) < 0) {
			p->task = NULL;
			r->pending = true;
			remove_part(r, i);
		} else {
			p->task->done = on_part;
			running[p->kind]++;
			i++;
		}
	}
}

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
		add_part(s, peer_call, json_incref(v));
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
	if (!s->recovery.dead)
		s->recovery.dead = json_array();
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
	json_decref(r->dead);
	r->dead = NULL;
}
