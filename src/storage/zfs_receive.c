/*
 * Receiving: each part goes to a `zfs receive -s` of its own, which never mounts and takes the name
 * and the properties that we give it. What broke off is kept by ZFS itself and goes on by its
 * token: nothing of it is in the caller's record (storage_resume stays zero).
 *
 * The kernel reads the stream, as it does for everybody who uses `zfs receive`; before it does, the
 * first record is checked to be an increment to what is here, or a whole one, and nothing else.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/fault.h"
#include "base/proc.h"
#include "storage/zfs.h"
#include "storage/zfs_dataset.h"
#include "storage/zfs_props.h"
#include "storage/zfs_stream.h"

#define TOKEN_MAX 4096

struct receiver {
	const char *snap, *from;
	char *dataset;
	struct zfs_part_vec parts;
	struct stream *in;
	struct progress *progress;
	bool refused; /* zfs took no more */
};

/* --- what we say before */

static json_t *lines_to_list(const char *text, const char *suffix)
{
	_cleanup_strv_ char **lines = str_split(text, "\n", false);
	json_t *list = json_array();

	for (size_t i = 0; lines[i]; i++)
		if (str_ends(lines[i], suffix)) {
			lines[i][strlen(lines[i]) - strlen(suffix)] = '\0';
			json_array_append_new(list, json_string(lines[i]));
		}
	return list;
}

static int offer_features(const char *dataset, json_t *offer, struct err *err)
{
	static const char names[] = "feature@embedded_data,feature@large_blocks,"
				    "feature@lz4_compress,feature@zstd_compress";
	_cleanup_free_ char *pool = xstrndup(dataset, strcspn(dataset, "/"));
	const char *argv[] = {"zpool", "get", "-H", "-o", "property,value", names, pool, NULL};
	_cleanup_free_ char *out = NULL;
	_cleanup_strv_ char **lines = NULL;
	json_t *list = json_array();
	int r = zfs_capture(argv, &out, err);

	json_object_set_new(offer, "features", list);
	if (r < 0)
		return r;
	lines = str_split(out, "\n", false);
	for (size_t i = 0; lines[i]; i++) {
		char *tab = strchr(lines[i], '\t');

		if (!tab || !str_starts(lines[i], "feature@") || str_eq(tab + 1, "disabled"))
			continue;
		*tab = '\0';
		json_array_append_new(list, json_string(lines[i] + strlen("feature@")));
	}
	return 0;
}

/* "NAME<tab>VALUE" lines; the name becomes relative to the volume's dataset. */
static void offer_partial(const struct receiver *r, const char *text, json_t *offer)
{
	_cleanup_strv_ char **lines = str_split(text, "\n", false);
	size_t n = strlen(r->dataset);

	for (size_t i = 0; lines[i]; i++) {
		char *tab = strchr(lines[i], '\t');

		if (!tab || !strcmp(tab + 1, "-") || strlen(tab + 1) > TOKEN_MAX)
			continue;
		*tab = '\0';
		json_object_set_new(offer, "partial",
			json_pack("{s:s,s:s}", "name", lines[i][n] ? lines[i] + n + 1 : "", "token",
				tab + 1));
	}
}

static int offer_held(const struct receiver *r, json_t *offer, struct err *err)
{
	const char *tokens[] = {"zfs", "get", "-H", "-r", "-t", "filesystem", "-o", "name,value",
		"receive_resume_token", r->dataset, NULL};
	const char *snaps[] = {
		"zfs", "list", "-H", "-r", "-t", "snapshot", "-o", "name", r->dataset, NULL};
	_cleanup_free_ char *at = xasprintf("@%s", r->snap);
	_cleanup_free_ char *out = NULL, *names = NULL;
	json_t *full, *done = json_array(), *v;
	size_t i, n = strlen(r->dataset);
	int ret = zfs_capture(tokens, &out, err);

	json_object_set_new(offer, "done", done);
	if (ret >= 0)
		ret = zfs_capture(snaps, &names, err);
	if (ret < 0)
		return ret;
	offer_partial(r, out, offer);
	full = lines_to_list(names, at);
	json_array_foreach(full, i, v)
	{
		const char *name = json_string_value(v);

		json_array_append_new(done, json_string(name[n] ? name + n + 1 : ""));
	}
	json_decref(full);
	return 0;
}

int zfs_offer(struct volume *v, const char *snap, const char *from, char **ret, struct err *err)
{
	struct receiver r = {.snap = snap, .from = from};
	_cleanup_json_ json_t *offer = json_object();
	int exists, res = zfs_dataset_of(v, &r.dataset, err);

	if (res >= 0)
		res = offer_features(r.dataset, offer, err);
	exists = res >= 0 ? zfs_exists(r.dataset, err) : res;
	if (exists > 0)
		res = offer_held(&r, offer, err);
	free(r.dataset);
	if (res < 0 || exists < 0)
		return res < 0 ? res : exists;
	*ret = json_text(offer);
	return 0;
}

/* --- taking */

static int skip_chunks(struct receiver *r, uint8_t *buf, struct err *err)
{
	size_t n;

	do {
		int res = zfs_chunk_read(r->in, buf, &n, err);

		if (res >= 0)
			res = cancel_check(err);
		if (res < 0)
			return res;
	} while (n);
	return 0;
}

static int guid(const char *dataset, const char *snap, uint64_t *ret, struct err *err)
{
	_cleanup_free_ char *name = zfs_at(dataset, snap);

	return zfs_get_u64(name, "guid", ret, err);
}

/* Only what is arriving is ever replaced by a stream. */
static int destroy_arriving(const char *dataset, struct err *err)
{
	const char *argv[] = {"zfs", "destroy", "-r", dataset, NULL};
	const char *staged = strstr(dataset, "/.wherry/staged/");

	if (!staged)
		return err_set(err, ERR_EXISTS, "there is a dataset %s already", dataset);
	return zfs_run(argv, err);
}

static int abort_partial(const char *dataset, struct err *err)
{
	const char *argv[] = {"zfs", "receive", "-A", dataset, NULL};

	return zfs_run(argv, err);
}

/* The dataset is there or not as this part needs it. */
static int make_ready(const struct zfs_part *p, const char *dataset, struct err *err)
{
	_cleanup_free_ char *token = NULL;
	int r = zfs_exists(dataset, err);

	if (r < 0)
		return r;
	if (r > 0) {
		r = zfs_get(dataset, "receive_resume_token", &token, err);
		if (r < 0)
			return r;
	}
	if (p->resume)
		return token && strcmp(token, "-") != 0
			       ? 0
			       : err_set(err, ERR_CORRUPT,
					 "what had arrived of %s is no longer here: it must be "
					 "sent again",
					 dataset);
	r = token && strcmp(token, "-") != 0 ? abort_partial(dataset, err) : 0;
	if (r >= 0)
		r = zfs_exists(dataset, err);
	if (p->from && r == 0)
		return err_set(
			err, ERR_STATE, "there is no %s for an increment to come to", dataset);
	if (p->from || r <= 0)
		return MIN(r, 0);
	return destroy_arriving(dataset, err);
}

static char **arguments(const struct receiver *r, const struct zfs_part *p, const char *dataset)
{
	_cleanup_free_ char *to = zfs_at(dataset, r->snap);
	char **argv = NULL;

	strv_push(&argv, "zfs");
	strv_push(&argv, "receive");
	strv_push(&argv, "-s");
	strv_push(&argv, "-u");
	if (!p->from && !p->resume) {
		strv_push(&argv, "-o");
		strv_push(&argv, "canmount=noauto");
		strv_push(&argv, "-o");
		strv_push(&argv, ZFS_ARRIVING "=yes");
		zfs_props_arguments(p->props, &argv);
	}
	strv_push(&argv, to);
	return argv;
}

static int feed(struct receiver *r, struct stream *out, uint8_t *buf, size_t n, struct err *err)
{
	while (n) {
		int res = stream_write(out, buf, n, err);

		r->refused = res < 0;
		if (res < 0)
			return res;
		progress_add(r->progress, n);
		res = fault_point("storage.receive.cut", err);
		if (res >= 0)
			res = zfs_chunk_read(r->in, buf, &n, err);
		if (res >= 0)
			res = cancel_check(err);
		if (res < 0)
			return res;
	}
	return stream_end(out, err);
}

/* Its first line is the cause; what follows is advice on how to resume by hand. */
static int explain(const struct proc *proc, struct err *err)
{
	_cleanup_free_ char *text = proc_stderr(proc);
	enum err_code code = ERR_IO;

	if (strstr(text, "out of space") || strstr(text, "quota exceeded"))
		code = ERR_NO_SPACE;
	else if (strstr(text, "checksum mismatch") && !strstr(text, "incomplete stream"))
		code = ERR_CORRUPT;
	text[strcspn(text, "\n")] = '\0';
	return err_set(err, code, "zfs receive: %s", *text ? text : "it failed without a word");
}

/* When the stream breaks off, zfs sees its end and keeps what it has: it must not be killed. */
static int run_receive(
	struct receiver *r, char *const *argv, uint8_t *buf, size_t n, struct err *err)
{
	struct proc proc = PROC_INIT;
	struct err said = ERR_INIT;
	struct stream *out;
	int res, ended;

	proc.argv = (const char *const *)argv;
	proc.pipe_in = true;
	res = proc_spawn(&proc, err);
	if (res < 0)
		return res;
	out = stream_fd_new(-1, TAKE_FD(proc.ret_in), CLOCK_NEVER);
	res = feed(r, out, buf, n, err);
	stream_free(out);
	ended = proc_wait(&proc, CLOCK_NEVER, NULL, &said);
	/* It took all, or would take no more: what it says counts. Otherwise the stream broke off.
	 */
	if (ended < 0 && said.code != ERR_CANCELLED && (res >= 0 || r->refused))
		res = explain(&proc, err);
	proc_done(&proc);
	return res;
}

static int check_begin(struct receiver *r, const struct zfs_part *p, const char *dataset,
	const uint8_t *buf, size_t n, struct zfs_begin *ret, struct err *err)
{
	uint64_t base = 0;
	int res = zfs_begin_check(buf, n, ret, err);

	if (res >= 0 && p->from)
		res = guid(dataset, p->from, &base, err);
	if (res >= 0 && ret->fromguid != base)
		res = err_set(err, ERR_PROTOCOL,
			"zfs stream: it was made against another snapshot than the one that is "
			"here");
	return res;
}

static int note_arrived(const struct zfs_part *p, const char *dataset, struct err *err)
{
	_cleanup_free_ char *mount = xasprintf(
		"wherry:canmount=%s", p->automount ? "on" : "noauto");
	const char *argv[] = {
		"zfs", "set", "canmount=noauto", ZFS_ARRIVING "=yes", mount, dataset, NULL};
	int r = p->from ? 0 : zfs_run(argv, err);

	return r < 0 ? r : zfs_props_apply(dataset, p->props, err);
}

/* It is here already: the caller crashed before it knew, or the sender was not told. */
static int take_again(struct receiver *r, const char *dataset, uint8_t *buf,
	const struct zfs_begin *begin, struct err *err)
{
	uint64_t here;
	int res = guid(dataset, r->snap, &here, err);

	if (res >= 0 && here != begin->toguid)
		res = err_set(err, ERR_EXISTS, "there is another snapshot %s here", r->snap);
	return res < 0 ? res : skip_chunks(r, buf, err);
}

static int take_new(struct receiver *r, const struct zfs_part *p, const char *dataset, uint8_t *buf,
	size_t n, struct err *err)
{
	_cleanup_strv_ char **argv = arguments(r, p, dataset);
	int res = run_receive(r, argv, buf, n, err);

	if (res >= 0)
		res = fault_point("storage.receive.seal", err);
	return res < 0 ? res : note_arrived(p, dataset, err);
}

static int take_part(struct receiver *r, const struct zfs_part *p, struct err *err)
{
	_cleanup_free_ char *dataset = zfs_join(r->dataset, p->name);
	_cleanup_free_ char *to = zfs_at(dataset, r->snap);
	_cleanup_free_ uint8_t *buf = xmalloc(ZFS_CHUNK_MAX);
	struct zfs_begin begin;
	int here, res;
	size_t n;

	if (p->from && !str_eq(p->from, r->from))
		return err_set(err, ERR_PROTOCOL,
			"zfs stream: an increment to %s comes, which was not agreed", p->from);
	here = zfs_exists(to, err);
	res = here > 0 ? 0 : here < 0 ? here : make_ready(p, dataset, err);
	if (res >= 0)
		res = zfs_chunk_read(r->in, buf, &n, err);
	if (res >= 0)
		res = check_begin(r, p, dataset, buf, n, &begin, err);
	if (res < 0)
		return res;
	return here ? take_again(r, dataset, buf, &begin, err)
		    : take_new(r, p, dataset, buf, n, err);
}

static bool is_part(const struct receiver *r, const char *name)
{
	for (size_t i = 0; i < r->parts.n; i++)
		if (strcmp(r->parts.v[i].name, name) == 0)
			return true;
	return false;
}

/* Datasets that the source does not have any more; the innermost first. */
static int drop_others(struct receiver *r, struct err *err)
{
	_cleanup_strv_ char **names = NULL;
	int res = zfs_nested(r->dataset, &names, err);

	for (size_t i = res < 0 ? 0 : strv_len(names); res >= 0 && i > 0; i--) {
		_cleanup_free_ char *dataset = zfs_join(r->dataset, names[i - 1]);

		if (!is_part(r, names[i - 1]))
			res = destroy_arriving(dataset, err);
	}
	return res;
}

static int expect_end(struct receiver *r, struct err *err)
{
	char byte;
	ssize_t n = stream_read(r->in, &byte, 1, err);

	if (n > 0)
		return err_set(err, ERR_PROTOCOL, "zfs stream: there are data behind its end");
	return (int)n;
}

static int take_all(struct receiver *r, struct err *err)
{
	int res = 0;

	for (size_t i = 0; res >= 0 && i < r->parts.n; i++)
		if (!r->parts.v[i].skip)
			res = take_part(r, &r->parts.v[i], err);
	if (res >= 0)
		res = expect_end(r, err);
	if (res >= 0)
		res = drop_others(r, err);
	return res;
}

static int check_complete(struct receiver *r, struct err *err)
{
	_cleanup_free_ char *to = zfs_at(r->dataset, r->snap);
	int res = zfs_exists(to, err);

	return res == 0 ? err_set(err, ERR_PROTOCOL, "zfs stream: %s has not come with it", r->snap)
			: MIN(res, 0);
}

int zfs_receive(struct volume *v, const char *snap, const char *from, struct storage_resume *resume,
	int (*checkpoint)(void *ctx, const struct storage_resume *r, struct err *err), void *ctx,
	struct stream *in, struct progress *p, struct err *err)
{
	struct receiver r = {.snap = snap, .from = from, .in = in, .progress = p};
	int res = zfs_dataset_of(v, &r.dataset, err), there = 0;

	(void)checkpoint;
	(void)ctx;
	if (res >= 0)
		res = there = zfs_exists(r.dataset, err);
	if (there > 0)
		res = zfs_unmount_all(r.dataset, err);
	if (res >= 0)
		res = zfs_make_above(v, r.dataset, err);
	if (res >= 0)
		res = zfs_header_read(in, &r.parts, err);
	if (res >= 0)
		res = take_all(&r, err);
	if (res >= 0)
		res = check_complete(&r, err);
	if (res >= 0)
		res = stream_ack(in, in->n_read, true, err);
	zfs_parts_free(&r.parts);
	free(r.dataset);
	if (res >= 0)
		*resume = (struct storage_resume){0};
	return MIN(res, 0);
}
