#include "move/pass.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "move/handed.h"
#include "move/track.h"
#include "tree/tree.h"

#define TRIES_MAX     50
#define TRY_PAUSE     (100 * USEC_PER_MSEC)
#define TRY_PAUSE_MAX (2 * USEC_PER_SEC)
#define MOVED_ENOUGH  (UINT64_C(1) << 20)

/* What one stream carries. */
struct leg {
	struct volume *v;
	const char *snap; /* NULL: the live tree */
	const char *from; /* NULL: whole */
	bool base, final, native;
	/* A native volume whose first copy the tree engine does (volume_origin); "": not so. */
	char origin[STORAGE_ORIGIN_MAX];
};

static bool by_tree(const struct leg *l)
{
	return !l->native || l->origin[0];
}

static int start_verb(struct sending *s, const struct leg *l, struct verb **ret, json_t **ret_ready,
	struct err *err)
{
	_cleanup_free_ char *from = l->from ? xasprintf("from=%s", l->from) : NULL;
	_cleanup_free_ char *origin = l->origin[0] ? xasprintf("origin=%s", l->origin) : NULL;
	_cleanup_free_ char *pass = xasprintf(
		"pass=%llu", (unsigned long long)json_get_u64(s->t->facts, "pass", 0));
	const char *words[10] = {"receive", l->base ? "base" : "incremental", s->t->token,
		l->v->name, l->snap ? l->snap : "-"};
	size_t n = 5;
	int r;

	if (from)
		words[n++] = from;
	if (origin)
		words[n++] = origin;
	words[n++] = pass;
	if (l->final)
		words[n++] = "final";
	r = peer_connect(s->peer, err);
	if (r < 0)
		return r;
	r = verb_start(s->peer->ssh, words, ret, err);
	if (r < 0)
		return r;
	return verb_ready(*ret, ret_ready, err);
}

static int send_native(struct sending *s, const struct leg *l, const json_t *ready,
	struct stream *out, struct err *err)
{
	const json_t *resume = json_object_get(ready, "resume");
	struct storage_resume sr = {
		.offset = json_get_u64(resume, "offset", 0), .offer = json_get_str(ready, "offer")};

	snprintf(sr.digest, sizeof(sr.digest), "%s", json_get_str(resume, "digest") ?: "");
	return volume_send(l->v, l->snap, l->from, sr.offset || sr.offer ? &sr : NULL, out,
		s->m->progress, err);
}

static void read_resume(const json_t *ready, struct tree_resume *ret)
{
	const json_t *resume = json_object_get(ready, "resume");
	const char *session = json_get_str(resume, "session");

	*ret = (struct tree_resume){.offset = json_get_u64(resume, "offset", 0)};
	if (!session || sscanf(session, "%16" SCNx64, &ret->session) != 1)
		*ret = (struct tree_resume){0};
}

static void note_tree(struct sending *s, const struct leg *l, const struct tree_result *res)
{
	json_put_u64(sending_volume(s, l->v->name), "entries", res->entries);
	s->entries += res->sent;
}

static int send_tree(struct sending *s, const struct leg *l, const json_t *ready,
	struct stream *out, struct err *err)
{
	_cleanup_free_ char *index = places_index(s->t->token, l->v->name);
	const json_t *f = sending_volume(s, l->v->name);
	_cleanup_watch_ struct watch *watch = NULL;
	_cleanup_close_ int fd = -1;
	struct tree_resume resume;
	struct tree_result res = {0};
	struct tree_send_args a = {.index_path = index,
		.idmap = l->native ? NULL : &s->c->idmap, /* native: ids as they are */
		.final = l->final || l->snap,
		.progress = s->m->progress,
		.resume = &resume};
	int r;

	r = l->snap ? volume_snapshot_root(l->v, l->snap, &fd, err) : volume_root(l->v, &fd, err);
	if (r < 0)
		return r;
	if (l->snap)
		a.still_since = json_get_u64(f, "still_since", 0);
	else
		a.watch = watch = track_volume(s, l->v, fd);
	read_resume(ready, &resume);
	a.rootfd = fd;
	r = tree_send(&a, out, &res, err);
	if (r >= 0)
		note_tree(s, l, &res);
	tree_result_done(&res);
	return r;
}

/* What the index says that the destination has counts only after its answer; and not at all if it
 * says that it hasn't. */
static int settle_index(struct sending *s, const struct leg *l, int r, struct err *err)
{
	_cleanup_free_ char *index = places_index(s->t->token, l->v->name);
	struct err e = ERR_INIT;

	/* After the last pass nothing waits for it: if there is another, that settles it first. */
	if (r >= 0 && l->final && !l->native)
		return 0;
	if (r >= 0)
		return l->native ? tree_forget(index, err) : tree_commit(index, err);
	if ((r == -ERR_STATE || r == -ERR_CORRUPT) && tree_forget(index, &e) < 0)
		log_warning("%s", e.text);
	return r;
}

/* What the target could not hold is said file by file, before the stop: nothing is dropped in
 * silence. */
static void say_unsupported(struct sending *s, const struct leg *l, const json_t *ok)
{
	const json_t *list = json_object_get(ok, "unsupported"), *v;
	uint64_t n = json_get_u64(ok, "n_unsupported", 0);
	size_t i;

	json_array_foreach(list, i, v)
	{
		_cleanup_free_ char *text = NULL;

		if (i == 16 || !json_is_string(v))
			break;
		text = str_escape(json_string_value(v), json_string_length(v));
		move_say(s->m, "not kept on %s: %s: %s", s->t->peer, l->v->name, text);
	}
	if (n > 16)
		move_say(s->m, "not kept on %s: %llu more like these", s->t->peer,
			(unsigned long long)n - 16);
}

static int stream_data(struct sending *s, const struct leg *l, struct verb *v, const json_t *ready,
	struct err *err)
{
	struct frame_opts fo = {.idle = s->m->cfg->link_timeout,
		.zstd_level = s->o.compress,
		.rate = &s->rate,
		.bwlimit = s->bwlimit};
	struct stream *out = verb_stream(v, &fo);
	int r = by_tree(l) ? send_tree(s, l, ready, out, err) : send_native(s, l, ready, out, err);

	if (r >= 0)
		r = stream_end(out, err);
	s->bytes += out->n_written;
	return r;
}

static int stream_leg(struct sending *s, const struct leg *l, struct err *err)
{
	_cleanup_(verb_freep) struct verb *v = NULL;
	_cleanup_json_ json_t *ready = NULL, *ok = NULL;
	int r = start_verb(s, l, &v, &ready, err);

	if (r < 0)
		return r;
	/* It came through to the end before, only the answer was lost. */
	if (!json_get_bool(ready, "complete", false))
		r = stream_data(s, l, v, ready, err);
	if (r >= 0)
		r = verb_finish(v, &ok, err);
	if (by_tree(l))
		r = settle_index(s, l, r, err);
	if (r < 0)
		return r;
	say_unsupported(s, l, ok);
	return 0;
}

/* After a lost connection: is another try worth it? Data that moved renews the patience, but not
 * while the container is down, and a connection that always breaks at the same place is not tried
 * for ever. */
static bool try_again(
	const struct leg *l, usec_t patience, uint64_t moved, unsigned tries, usec_t *deadline)
{
	if (clock_now() >= *deadline || tries >= TRIES_MAX)
		return false;
	if (!l->final && moved >= MOVED_ENOUGH)
		*deadline = clock_deadline(patience);
	return true;
}

/* A broken stream goes on where it stopped: the destination's record and the source's index say
 * where. */
static int stream_leg_patiently(
	struct sending *s, const struct leg *l, usec_t patience, struct err *err)
{
	usec_t deadline = clock_deadline(patience);
	bool again = false;

	for (unsigned tries = 1;; tries++) {
		uint64_t before = s->bytes;
		int r;

		err_clear(err);
		r = stream_leg(s, l, err);
		if ((r == -ERR_CORRUPT || (r == -ERR_STATE && by_tree(l))) && !again) {
			again = true; /* once more from what both agree on: the start */
			continue;
		}
		if (!peer_link_lost(r) ||
			!try_again(l, patience, s->bytes - before, tries, &deadline))
			return r;
		move_say(s->m, "connection to %s lost (%s), trying again", s->t->peer, err->text);
		clock_sleep(MIN(tries * TRY_PAUSE, TRY_PAUSE_MAX));
		r = peer_reconnect(s->peer, deadline, err);
		if (r < 0)
			return r;
	}
}

static int send_snapshot(struct sending *s, struct leg *l, usec_t patience, struct err *err)
{
	int r = l->base ? volume_origin(l->v, l->snap, l->origin, err) : 0;

	return r < 0 ? r : stream_leg_patiently(s, l, patience, err);
}

static int new_snapshot(struct sending *s, struct volume *v, json_t *f, struct err *err)
{
	char name[64];
	uint64_t n = json_get_u64(f, "n", 0) + 1;
	int r;

	if (json_get_str(f, "pending"))
		return 0;
	snprintf(name, sizeof(name), "wherry-%.8s-%llu", s->t->token, (unsigned long long)n);
	json_put_u64(f, "n", n);
	json_put_str(f, "pending", name);
	r = transfer_save(s->m->st, s->t, err);
	if (r < 0)
		return r;
	json_put_u64(f, "still_since", clock_wall_nsec());
	return volume_snapshot(v, name, err);
}

/* Which of the user's snapshots are sent: all, or those from one on, or that one alone. */
static int first_snapshot(
	const struct sending *s, const struct snapshot_vec *snaps, size_t *ret, struct err *err)
{
	const char *name = s->o.from_snapshot;

	*ret = 0;
	if (!name)
		return 0;
	for (size_t i = 0; i < snaps->n; i++)
		if (!strcmp(snaps->v[i].name, name)) {
			*ret = i;
			return 0;
		}
	return err_set(err, ERR_NOT_FOUND, "it has no snapshot '%s' to begin with", name);
}

/* The user's own snapshots first, oldest first, so that the base is an increment to the newest of
 * them. */
static int send_user_snapshots(
	struct sending *s, struct volume *v, json_t *f, usec_t patience, struct err *err)
{
	struct snapshot_vec snaps = {0};
	size_t first = 0;
	int r = volume_snapshots(v, &snaps, err);

	if (r >= 0)
		r = first_snapshot(s, &snaps, &first, err);
	if (r >= 0 && !s->o.snapshots)
		snaps.n = first + 1;
	for (size_t i = MAX(first, json_get_u64(f, "user_next", 0)); r >= 0 && i < snaps.n; i++) {
		const char *sent = json_get_str(f, "sent");
		struct leg l = {.v = v,
			.snap = snaps.v[i].name,
			.from = sent,
			.base = !sent,
			.native = true};

		if (snaps.v[i].own)
			continue;
		r = send_snapshot(s, &l, patience, err);
		if (r < 0)
			break;
		json_put_str(f, "sent", snaps.v[i].name);
		json_put_u64(f, "user_next", i + 1);
		r = transfer_save(s->m->st, s->t, err);
	}
	snapshot_vec_done(&snaps);
	return r < 0 ? r : 0;
}

/* The peer has the new one durably: the one before is no base any more. Only ours are removed. */
static int advance(struct sending *s, struct volume *v, json_t *f, struct err *err)
{
	_cleanup_free_ char *before = xstrdup(json_get_str(f, "sent"));
	int r;

	json_object_set(f, "sent", json_object_get(f, "pending"));
	json_object_del(f, "pending");
	json_put_bool(f, "complete", true);
	r = transfer_save(s->m->st, s->t, err);
	if (r < 0 || !before || !str_starts(before, "wherry-"))
		return r;
	return volume_snapshot_destroy(v, before, err);
}

static int send_pending(
	struct sending *s, struct volume *v, json_t *f, const struct pass *p, struct err *err)
{
	const char *sent = json_get_str(f, "sent");
	struct leg l = {.v = v,
		.snap = json_get_str(f, "pending"),
		.from = sent,
		.base = !sent,
		.final = p->final,
		.native = true};
	int r = send_snapshot(s, &l, p->patience, err);

	return r < 0 ? r : advance(s, v, f, err);
}

static int pass_native(struct sending *s, struct volume *v, const struct pass *p, struct err *err)
{
	json_t *f = sending_volume(s, v->name);
	int r;

	if (!json_get_bool(f, "complete", false) && (s->o.snapshots || s->o.from_snapshot)) {
		r = send_user_snapshots(s, v, f, p->patience, err);
		if (r < 0)
			return r;
	}
	r = new_snapshot(s, v, f, err);
	return r < 0 ? r : send_pending(s, v, f, p, err);
}

static int drop_pending(struct sending *s, struct volume *v, json_t *f, struct err *err)
{
	int r = volume_snapshot_destroy(v, json_get_str(f, "pending"), err);

	if (r < 0)
		return r;
	json_object_del(f, "pending");
	return transfer_save(s->m->st, s->t, err);
}

static bool has_snapshots(const struct volume *v, const json_t *f)
{
	return volume_can(v, STORAGE_SNAPSHOT) && !json_get_bool(f, "live", false);
}

/* Where snapshots are cheap the tree engine reads one, so that what it sends is one moment's. */
static int pass_tree(struct sending *s, struct volume *v, const struct pass *p, struct err *err)
{
	json_t *f = sending_volume(s, v->name);
	struct leg l = {.v = v, .base = !json_get_bool(f, "complete", false), .final = p->final};
	int r = volume_whole(v, err);

	if (r >= 0 && s->o.from_snapshot)
		r = err_set(err, ERR_UNSUPPORTED,
			"snapshots travel only between pools of one kind: cancel, and send it "
			"without --from-snapshot");
	if (r < 0)
		return r;
	if ((p->frozen || !p->final) && has_snapshots(v, f)) {
		r = new_snapshot(s, v, f, err);
		if (r < 0)
			return r;
		l.snap = json_get_str(f, "pending");
	}
	r = stream_leg_patiently(s, &l, p->patience, err);
	if (r >= 0 && l.snap)
		r = drop_pending(s, v, f, err);
	if (r < 0)
		return r;
	json_put_bool(f, "complete", true);
	return transfer_save(s->m->st, s->t, err);
}

/* A snapshot that was not sent to its end is older than what is to be sent now: it goes first, or
 * away. */
static int flush_volume(struct sending *s, struct volume *v, const struct pass *p, struct err *err)
{
	const struct pass left = {.patience = p->patience};
	json_t *f = sending_volume(s, v->name);
	_cleanup_close_ int fd = -1;
	int r;

	if (!json_get_str(f, "pending"))
		return 0;
	r = volume_snapshot_root(v, json_get_str(f, "pending"), &fd, err);
	if (r == -ERR_NOT_FOUND) { /* named, and never made */
		err_clear(err);
		return drop_pending(s, v, f, err);
	}
	if (r < 0)
		return r;
	return sending_native(s, v->name) ? send_pending(s, v, f, &left, err)
					  : drop_pending(s, v, f, err);
}

int pass_flush(struct sending *s, const struct pass *p, struct err *err)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < s->vols.n; i++)
		r = flush_volume(s, s->vols.v[i], p, err);
	return r;
}

static int pass_volume(struct sending *s, struct volume *v, const struct pass *p, struct err *err)
{
	int r = cancel_check(err);

	if (handed_is(sending_volume(s, v->name)))
		return r;
	if (r >= 0 && !p->frozen)
		r = flush_volume(s, v, p, err);
	if (r >= 0)
		r = sending_native(s, v->name) ? pass_native(s, v, p, err)
					       : pass_tree(s, v, p, err);
	return r < 0 ? err_prefix(err, "send volume '%s' of container '%s' to %s", v->name,
			       s->t->ct, s->t->peer)
		     : 0;
}

int pass_count(struct sending *s, struct err *err)
{
	uint64_t n = json_get_u64(s->t->facts, "pass", 0) + 1;

	return transfer_fact(s->m->st, s->t, "pass", json_integer((json_int_t)n), err);
}

int pass_run(struct sending *s, const struct pass *p, struct err *err)
{
	int r = places_transfer_dir_make(s->t->token, err);

	for (size_t i = 0; r >= 0 && i < s->vols.n; i++)
		r = pass_volume(s, s->vols.v[i], p, err);
	return r;
}

int pass_freeze(struct sending *s, bool *ret_all, struct err *err)
{
	bool all = true;

	for (size_t i = 0; i < s->vols.n; i++) {
		struct volume *v = s->vols.v[i];
		int r;

		if (!has_snapshots(v, sending_volume(s, v->name))) {
			all = false;
			continue;
		}
		r = new_snapshot(s, v, sending_volume(s, v->name), err);
		if (r < 0)
			return r;
	}
	*ret_all = all;
	return 0;
}

/* By their names, not by what is noted of them: a power cut may have brought an older one back. */
static int forget_volume(
	const struct sending *s, const char *name, const json_t *f, struct err *err)
{
	_cleanup_free_ char *prefix = xasprintf("wherry-%.8s-", s->t->token);
	_cleanup_volume_ struct volume *v = NULL;
	const char *path = json_get_str(f, "path");
	int r = path ? volume_open(path, s->t->ct, name, &v, err) : -ERR_NOT_FOUND;

	if (r == -ERR_NOT_FOUND) {
		err_clear(err);
		return 0;
	}
	return r < 0 ? r : volume_snapshots_forget(v, prefix, err);
}

int pass_forget(struct sending *s, struct err *err)
{
	json_t *all = json_object_get(s->t->facts, "volumes"), *f;
	const char *name;
	int ret = 0;

	json_object_foreach(all, name, f)
	{
		int r = forget_volume(s, name, f, err);

		track_end(s->t->token, name);
		if (r < 0)
			ret = r;
	}
	return ret;
}

json_t *pass_snapshots(struct sending *s)
{
	json_t *o = json_object(), *all = json_object_get(s->t->facts, "volumes"), *f;
	const char *name;

	json_object_foreach(all, name, f)
	{
		json_t *v = json_object();

		json_put_str(v, "snapshot", json_get_str(f, "sent"));
		handed_tell(s, name, v);
		json_object_set_new(o, name, v);
	}
	return o;
}

void pass_start_over(struct sending *s, const char *volume)
{
	_cleanup_free_ char *index = places_index(s->t->token, volume);
	struct err e = ERR_INIT;

	track_end(s->t->token, volume);
	if (tree_forget(index, &e) < 0)
		log_warning("%s", e.text);
}

int pass_digests(struct sending *s, json_t **ret, struct err *err)
{
	json_t *o = json_object();

	for (size_t i = 0; i < s->vols.n; i++) {
		struct volume *v = s->vols.v[i];
		int r = handed_is(sending_volume(s, v->name))
				? 0
				: places_digest(v, &s->c->idmap, o, err);

		if (r < 0) {
			json_decref(o);
			return r;
		}
	}
	*ret = o;
	return 0;
}
