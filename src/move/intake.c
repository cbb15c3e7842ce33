#include "move/intake.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/num.h"
#include "base/str.h"
#include "move/handed.h"
#include "move/handoff.h"
#include "tree/tree.h"

static bool snapshot_name_ok(const char *s)
{
	size_t n = strspn(
		s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:@+-");

	return n > 0 && n < 128 && !s[n] && s[0] != '.' && s[0] != '-';
}

int intake_parse(char *const *words, bool base, struct intake *ret, struct err *err)
{
	*ret = (struct intake){.base = base};
	if (!words[0] || !volume_name_ok(words[0]))
		return err_set(err, ERR_PROTOCOL, "that is not a volume's name");
	ret->volume = words[0];
	for (size_t i = 1; words[i]; i++) {
		const char *w = words[i];

		if (!strcmp(w, "final"))
			ret->final = true;
		else if (str_starts(w, "from=") && snapshot_name_ok(w + 5))
			ret->from = w + 5;
		else if (str_starts(w, "origin="))
			ret->origin = w + 7;
		else if (str_starts(w, "pass=") && num_u64(w + 5, INT64_MAX, &ret->pass, err) >= 0)
			continue;
		else if (i == 1 && !strcmp(w, "-"))
			ret->snap = NULL;
		else if (i == 1 && snapshot_name_ok(w))
			ret->snap = w;
		else
			return err_set(err, ERR_PROTOCOL, "the words of that verb are malformed");
	}
	return 0;
}

static bool is_native(const json_t *f)
{
	return json_get_bool(f, "native", false);
}

static uint64_t highest_pass(const struct receiving *r)
{
	return json_get_u64(r->t->facts, "pass", 0);
}

int intake_check(struct receiving *r, const struct intake *in, struct err *err)
{
	enum transfer_phase phase = r->t->phase;

	if (handoff_takes_data(phase, highest_pass(r), in->pass))
		return 0;
	if (phase >= TRANSFER_CANCELLED)
		return receiving_has_ended(r, err);
	if (phase >= TRANSFER_CONFIG && phase <= TRANSFER_PREPARED)
		return err_set(err, ERR_STATE,
			"container '%s' takes no late data: they are of pass %llu, and pass %llu "
			"%s",
			r->t->ct, (unsigned long long)in->pass, (unsigned long long)highest_pass(r),
			phase == TRANSFER_PREPARED ? "is prepared already" : "has begun");
	return err_set(err, ERR_STATE,
		"container '%s' takes no data now, its transfer is in state '%s'", r->t->ct,
		transfer_phase_name(phase));
}

/* Data of a new pass after `prepared`: what was verified is changed again, so it isn't prepared any
 * more. */
static int reopen(struct receiving *r, const struct intake *in, struct err *err)
{
	int res = intake_check(r, in, err);

	if (res < 0 || in->pass == highest_pass(r))
		return res;
	json_put_u64(r->t->facts, "pass", in->pass);
	if (r->t->phase == TRANSFER_PREPARED)
		return transfer_set_phase(r->m->st, r->t, TRANSFER_INCREMENTAL, err);
	return transfer_save(r->m->st, r->t, err);
}

struct checkpoint {
	struct receiving *r;
	json_t *f;
	const char *snap;
};

static int save_checkpoint(void *ctx, const struct storage_resume *s, struct err *err)
{
	struct checkpoint *c = ctx;
	json_t *resume = json_object();

	json_put_str(resume, "snap", c->snap);
	json_put_u64(resume, "offset", s->offset);
	json_put_str(resume, "digest", s->digest);
	json_object_set_new(c->f, "resume", resume);
	return transfer_save(c->r->m->st, c->r->t, err);
}

static void load_checkpoint(const json_t *f, const char *snap, struct storage_resume *ret)
{
	const json_t *resume = json_object_get(f, "resume");
	const char *of = json_get_str(resume, "snap");

	*ret = (struct storage_resume){0};
	if (!of || !snap || strcmp(of, snap))
		return;
	ret->offset = json_get_u64(resume, "offset", 0);
	snprintf(ret->digest, sizeof(ret->digest), "%s", json_get_str(resume, "digest") ?: "");
}

static int say_native_ready(struct receiving *r, const struct intake *in, struct volume *v,
	const struct storage_resume *s, struct err *err)
{
	_cleanup_free_ char *offer = NULL;
	json_t *ready = json_pack(
		"{s:{s:I,s:s}}", "resume", "offset", (json_int_t)s->offset, "digest", s->digest);
	int res = volume_offer(v, in->snap, in->from, &offer, err);

	if (res < 0) {
		json_decref(ready);
		return res;
	}
	json_put_str(ready, "offer", offer);
	return verb_serve_ready(r->verb, ready, err);
}

static int say_tree_ready(struct receiving *r, const char *state_dir, struct err *err)
{
	struct tree_resume resume;
	char session[17];
	int res = tree_resume_read(state_dir, &resume, err);

	if (res < 0)
		return res;
	snprintf(session, sizeof(session), "%016" PRIx64, resume.session);
	return verb_serve_ready(r->verb,
		json_pack("{s:{s:I,s:s}}", "resume", "offset", (json_int_t)resume.offset, "session",
			session),
		err);
}

/* The base of the next increment is the newest received; older ones of Wherry's own are not needed
 * any more. */
static int forget_older(struct volume *v, const struct intake *in, struct err *err)
{
	if (!in->from || !str_starts(in->from, "wherry-"))
		return 0;
	return volume_snapshot_destroy(v, in->from, err);
}

/* What is here and what comes don't fit together: from the start, next time. */
static void start_over(struct receiving *r, json_t *f)
{
	struct err e = ERR_INIT;

	json_object_del(f, "resume");
	if (transfer_save(r->m->st, r->t, &e) < 0)
		log_warning("%s", e.text);
}

static json_t *tree_answer(const struct tree_result *res)
{
	json_t *o = json_object(), *list = json_array();

	json_put_u64(o, "entries", res->entries);
	json_put_u64(o, "bytes", res->bytes);
	for (size_t i = 0; res->unsupported && res->unsupported[i] && i < 17; i++) {
		_cleanup_free_ char *text = str_escape(
			res->unsupported[i], strnlen(res->unsupported[i], 512));

		json_array_append_new(list, json_string(text));
	}
	json_object_set_new(o, "unsupported", list);
	json_put_u64(o, "n_unsupported", res->n_unsupported);
	return o;
}

/* The operations say where they end, but only the stream's own end says that nothing was lost on
 * the way, and only after it may the verb be answered. */
static int expect_end(struct stream *in, struct err *err)
{
	char byte;
	ssize_t n = stream_read(in, &byte, 1, err);

	if (n > 0)
		return err_set(err, ERR_PROTOCOL, "there are data behind the end of the tree");
	return (int)n;
}

/* A pass of the tree engine, into the folder fd. */
static int take_operations(struct receiving *r, const struct intake *in, int fd,
	const struct idmap *idmap, json_t **ret, struct err *err)
{
	_cleanup_free_ char *dir = places_transfer_dir(r->t->token);
	_cleanup_free_ char *state_dir = xasprintf("%s/%s", dir, in->volume);
	struct tree_receive_args a = {
		.rootfd = fd, .idmap = idmap, .progress = r->m->progress, .state_dir = state_dir};
	struct tree_result result = {0};
	int res = file_mkdirs(state_dir, 0700, err);

	if (res >= 0)
		res = say_tree_ready(r, state_dir, err);
	if (res >= 0)
		res = tree_receive(&a, verb_stream(r->verb, NULL), &result, err);
	if (res >= 0)
		res = expect_end(verb_stream(r->verb, NULL), err);
	if (res >= 0)
		*ret = tree_answer(&result);
	tree_result_done(&result);
	return res;
}

/* 1: it is here already. A folder that is new has nothing of what the engine has kept. */
static int open_filled(struct receiving *r, const struct intake *in, struct volume *v, int *ret_fd,
	struct err *err)
{
	_cleanup_free_ char *dir = places_transfer_dir(r->t->token);
	_cleanup_free_ char *state_dir = xasprintf("%s/%s", dir, in->volume);
	int res = volume_fill(v, in->snap, in->origin, false, ret_fd, err);

	if (res != -ERR_NOT_FOUND)
		return res;
	err_clear(err);
	res = tree_resume_forget(state_dir, err);
	return res < 0 ? res : volume_fill(v, in->snap, in->origin, true, ret_fd, err);
}

/* A native first copy that comes as a tree. */
static int fill_native(struct receiving *r, const struct intake *in, struct volume *v, json_t **ret,
	struct err *err)
{
	_cleanup_close_ int fd = -1;
	int res = open_filled(r, in, v, &fd, err);

	if (res > 0) {
		*ret = json_object();
		return verb_serve_ready(r->verb, json_pack("{s:b}", "complete", 1), err);
	}
	if (res >= 0)
		res = take_operations(r, in, fd, NULL, ret, err);
	return res < 0 ? res : volume_filled(v, in->snap, in->origin, err);
}

static int receive_native(struct receiving *r, const struct intake *in, struct volume *v, json_t *f,
	json_t **ret, struct err *err)
{
	struct checkpoint cp = {r, f, in->snap};
	struct storage_resume resume;
	int res;

	load_checkpoint(f, in->snap, &resume);
	res = say_native_ready(r, in, v, &resume, err);
	if (res >= 0)
		res = volume_receive(v, in->snap, in->from, &resume, save_checkpoint, &cp,
			verb_stream(r->verb, NULL), r->m->progress, err);
	if (res == -ERR_CORRUPT)
		start_over(r, f);
	if (res >= 0)
		*ret = json_object();
	return res;
}

static int take_native(
	struct receiving *r, const struct intake *in, json_t *f, json_t **ret, struct err *err)
{
	_cleanup_volume_ struct volume *v = receiving_staged(r, in->volume);
	const char *last = json_get_str(f, "last");
	int res;

	if (!in->snap)
		return err_set(err, ERR_PROTOCOL, "a native stream needs its snapshot's name");
	if (last && !strcmp(last, in->snap)) { /* the answer was lost, or it is a replay: nothing is
						  taken twice */
		res = forget_older(v, in, err);
		if (res < 0)
			return res;
		*ret = json_object();
		return verb_serve_ready(r->verb, json_pack("{s:b}", "complete", 1), err);
	}
	if (in->from ? !last || strcmp(last, in->from) : last != NULL)
		return err_set(err, ERR_STATE, "volume '%s' was last received at '%s', not at '%s'",
			in->volume, last ? last : "(nothing)", in->from ? in->from : "(nothing)");
	res = in->origin && !in->from ? fill_native(r, in, v, ret, err)
				      : receive_native(r, in, v, f, ret, err);
	if (res < 0)
		return res;
	json_put_str(f, "last", in->snap);
	json_object_del(f, "resume");
	res = transfer_save(r->m->st, r->t, err);
	if (res >= 0)
		res = forget_older(v, in, err);
	return res;
}

static int make_volume(struct volume *v, json_t *f, struct receiving *r, struct err *err)
{
	int res;

	if (json_get_bool(f, "made", false))
		return 0;
	res = volume_create(v, err);
	if (res == -ERR_EXISTS) /* the crash came between making and noting it */
		err_clear(err);
	else if (res < 0)
		return res;
	json_put_bool(f, "made", true);
	return transfer_save(r->m->st, r->t, err);
}

static int take_tree(
	struct receiving *r, const struct intake *in, json_t *f, json_t **ret, struct err *err)
{
	_cleanup_volume_ struct volume *v = receiving_staged(r, in->volume);
	_cleanup_container_ struct container *c = NULL;
	_cleanup_close_ int fd = -1;
	int res = make_volume(v, f, r, err);

	if (res >= 0)
		res = receiving_model(r, &c, err);
	if (res >= 0)
		res = volume_root(v, &fd, err);
	if (res >= 0)
		res = take_operations(r, in, fd, &c->idmap, ret, err);
	if (res < 0)
		return res;
	json_put_bool(f, "complete", true);
	return transfer_save(r->m->st, r->t, err);
}

static bool all_complete(struct receiving *r)
{
	const json_t *f;
	const char *name;

	json_object_foreach(json_object_get(r->t->facts, "volumes"), name,
		f) if (!json_get_bool(f, "complete", false) && !json_get_str(f, "last") &&
		       !handed_is(f)) return false;
	return true;
}

int intake_run(struct receiving *r, const struct intake *in, json_t **ret, struct err *err)
{
	json_t *f = receiving_volume(r, in->volume);
	int res;

	if (!f || handed_is(f))
		return err_set(err, ERR_NOT_FOUND,
			"container '%s' has no volume '%s' that is copied", r->t->ct, in->volume);
	res = reopen(r, in, err);
	if (res >= 0)
		res = receiving_pool(r, err);
	if (res >= 0)
		res = places_transfer_dir_make(r->t->token, err);
	if (res >= 0)
		res = fault_point("intake.before", err);
	if (res >= 0)
		res = is_native(f) ? take_native(r, in, f, ret, err)
				   : take_tree(r, in, f, ret, err);
	if (res >= 0)
		res = fault_point("intake.after", err);
	if (res < 0 || !all_complete(r))
		return res;
	return transfer_set_phase(
		r->m->st, r->t, in->base ? TRANSFER_BASE : TRANSFER_INCREMENTAL, err);
}
