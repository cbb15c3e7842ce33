/*
 * Sending: one `zfs send` after the other, each of one dataset up to the snapshot. Properties are
 * not in those streams (no -p): they go in our header, where both sides look at them.
 *
 * The receiving side says before what it can take and what it has (zfs_offer). A token of its own
 * is believed only after zfs has read it here and it names exactly the snapshots that are to be
 * sent: any other would be another container's data.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/log.h"
#include "base/num.h"
#include "base/proc.h"
#include "storage/zfs.h"
#include "storage/zfs_dataset.h"
#include "storage/zfs_props.h"
#include "storage/zfs_stream.h"

#define OFFER_MAX (64u << 10)

struct sender {
	const char *snap, *from;
	char *dataset;
	char **guids; /* "NAME@SNAP<tab>GUID" of all that it has */
	json_t *offer;
	char *token; /* of the part that is resumed */
	struct zfs_part_vec parts;
	struct stream *out;
	struct progress *progress;
};

static void sender_done(struct sender *s)
{
	free(s->dataset);
	strv_free(s->guids);
	json_decref(s->offer);
	free(s->token);
	zfs_parts_free(&s->parts);
}

static int read_guids(struct sender *s, struct err *err)
{
	const char *argv[] = {"zfs", "list", "-H", "-p", "-r", "-t", "snapshot", "-o", "name,guid",
		s->dataset, NULL};
	_cleanup_free_ char *out = NULL;
	int r = zfs_capture(argv, &out, err);

	if (r >= 0)
		s->guids = str_split(out, "\n", false);
	return r;
}

/* NULL: there is no such snapshot. */
static const char *guid_of(const struct sender *s, const char *relative, const char *snap)
{
	_cleanup_free_ char *dataset = zfs_join(s->dataset, relative);
	_cleanup_free_ char *name = xasprintf("%s@%s\t", dataset, snap);

	for (size_t i = 0; s->guids[i]; i++)
		if (str_starts(s->guids[i], name))
			return s->guids[i] + strlen(name);
	return NULL;
}

static bool listed(const json_t *list, const char *name)
{
	const json_t *v;
	size_t i;

	json_array_foreach(list, i,
		v) if (json_is_string(v) && strcmp(json_string_value(v), name) == 0) return true;
	return false;
}

/* "\ttoguid = 0x12ab" in what zfs says of a token. */
static uint64_t token_number(const char *text, const char *name)
{
	_cleanup_free_ char *word = xasprintf("%s = 0x", name);
	const char *at = strstr(text, word);

	return at ? strtoull(at + strlen(word), NULL, 16) : 0;
}

static bool token_is_ours(const struct sender *s, const struct zfs_part *p, const char *token)
{
	const char *argv[] = {"zfs", "send", "-n", "-v", "-t", token, NULL};
	const char *to = guid_of(s, p->name, s->snap);
	const char *from = p->from ? guid_of(s, p->name, p->from) : "0";
	_cleanup_free_ char *text = NULL;
	struct err e = ERR_INIT;
	uint64_t to_guid = 0, from_guid = 0;

	if (!to || !from || !*token || token[strspn(token, "0123456789abcdef-")] || *token == '-' ||
		num_u64(to, UINT64_MAX, &to_guid, &e) < 0 ||
		num_u64(from, UINT64_MAX, &from_guid, &e) < 0)
		return false;
	if (zfs_capture(argv, &text, &e) < 0) {
		log_info("%s: it cannot go on where it stopped: %s", s->dataset, e.text);
		return false;
	}
	return token_number(text, "toguid") == to_guid &&
	       token_number(text, "fromguid") == from_guid;
}

/* Names of one snapshot that is here and there: the increment's base, or nothing. */
static const char *base_of(const struct sender *s, const char *name)
{
	return s->from && guid_of(s, name, s->from) ? s->from : NULL;
}

static int add_part(struct sender *s, const char *name, struct err *err)
{
	_cleanup_free_ char *dataset = zfs_join(s->dataset, name);
	const json_t *partial = json_object_get(s->offer, "partial");
	const char *from = base_of(s, name), *token = json_get_str(partial, "token");
	_cleanup_free_ char *canmount = NULL;
	struct zfs_part *p;
	int r = zfs_get(dataset, "canmount", &canmount, err);

	if (r < 0)
		return r;
	p = zfs_part_vec_push(&s->parts);
	*p = (struct zfs_part){.name = xstrdup(name),
		.from = from ? xstrdup(from) : NULL,
		.automount = str_eq(canmount, "on"),
		.skip = listed(json_object_get(s->offer, "done"), name) ||
			!guid_of(s, name, s->snap)};
	if (!p->skip && token && str_eq(json_get_str(partial, "name"), name) &&
		token_is_ours(s, p, token)) {
		p->resume = true;
		s->token = xstrdup(token);
	}
	return zfs_props_read(dataset, &p->props, err);
}

static int plan(struct sender *s, struct err *err)
{
	_cleanup_strv_ char **names = NULL;
	int r = zfs_nested(s->dataset, &names, err);

	if (r >= 0)
		r = read_guids(s, err);
	if (r >= 0 && !guid_of(s, "", s->snap))
		r = err_set(err, ERR_NOT_FOUND, "it has no snapshot %s", s->snap);
	if (r >= 0 && s->from && !guid_of(s, "", s->from))
		r = err_set(err, ERR_NOT_FOUND, "it has no snapshot %s", s->from);
	for (size_t i = 0; r >= 0 && names[i]; i++)
		r = add_part(s, names[i], err);
	return r;
}

/* What the receiving pool takes: blocks as they are on disk here where it can. */
static void add_flags(const struct sender *s, char ***argv)
{
	const json_t *features = json_object_get(s->offer, "features");

	if (listed(features, "large_blocks"))
		strv_push(argv, "-L");
	if (listed(features, "embedded_data"))
		strv_push(argv, "-e");
	if (listed(features, "lz4_compress") && listed(features, "zstd_compress"))
		strv_push(argv, "-c");
}

static char **arguments(const struct sender *s, const struct zfs_part *p)
{
	_cleanup_free_ char *dataset = zfs_join(s->dataset, p->name);
	_cleanup_free_ char *to = zfs_at(dataset, s->snap);
	char **argv = NULL;

	strv_push(&argv, "zfs");
	strv_push(&argv, "send");
	if (p->resume) {
		strv_push(&argv, "-t");
		strv_push(&argv, s->token);
		return argv;
	}
	add_flags(s, &argv);
	if (p->from) {
		_cleanup_free_ char *from = xasprintf("@%s", p->from);

		strv_push(&argv, "-i");
		strv_push(&argv, from);
	}
	strv_push(&argv, to);
	return argv;
}

/* The first record makes a chunk of its own: the receiver looks at it before it begins. */
static int copy(struct sender *s, struct stream *in, uint8_t *buf, struct err *err)
{
	size_t n = ZFS_BEGIN_SIZE;
	int r = stream_read_full(in, buf, n, err);

	while (r >= 0) {
		ssize_t k;

		r = zfs_chunk_write(s->out, buf, n, err);
		if (r < 0)
			return r;
		progress_add(s->progress, n);
		k = stream_read(in, buf, ZFS_CHUNK_MAX, err);
		if (k <= 0)
			return (int)k;
		n = (size_t)k;
		r = cancel_check(err);
	}
	return r;
}

static int send_part(struct sender *s, const struct zfs_part *p, struct err *err)
{
	_cleanup_strv_ char **argv = arguments(s, p);
	_cleanup_free_ uint8_t *buf = xmalloc(ZFS_CHUNK_MAX);
	struct proc proc = PROC_INIT;
	struct stream *in;
	struct err said = ERR_INIT;
	int r;

	proc.argv = (const char *const *)argv;
	proc.pipe_out = true;
	r = proc_spawn(&proc, err);
	if (r < 0)
		return r;
	in = stream_fd_new(TAKE_FD(proc.ret_out), -1, CLOCK_NEVER);
	r = copy(s, in, buf, err);
	stream_free(in);
	/* That it ended is told apart from that it failed by its status alone. */
	if ((r >= 0 || r == -ERR_PROTOCOL) && proc_wait(&proc, CLOCK_NEVER, NULL, &said) < 0)
		r = err_copy(err, &said);
	proc_done(&proc);
	return r < 0 ? r : zfs_chunk_write(s->out, NULL, 0, err);
}

static int read_offer(struct sender *s, const char *text, struct err *err)
{
	if (!text || !*text)
		return 0;
	if (json_parse(text, strlen(text), OFFER_MAX, &s->offer, err) < 0 ||
		!json_is_object(s->offer))
		return err_set(
			err, ERR_PROTOCOL, "what the receiving side says of itself is malformed");
	return 0;
}

int zfs_send(struct volume *v, const char *snap, const char *from,
	const struct storage_resume *resume, struct stream *out, struct progress *p,
	struct err *err)
{
	struct sender s = {.snap = snap, .from = from, .out = out, .progress = p};
	int r = read_offer(&s, resume ? resume->offer : NULL, err);

	if (r >= 0)
		r = zfs_dataset_of(v, &s.dataset, err);
	if (r >= 0)
		r = plan(&s, err);
	if (r >= 0)
		r = zfs_header_write(out, &s.parts, err);
	for (size_t i = 0; r >= 0 && i < s.parts.n; i++)
		if (!s.parts.v[i].skip)
			r = send_part(&s, &s.parts.v[i], err);
	sender_done(&s);
	return r < 0 ? r : stream_flush(out, err);
}
