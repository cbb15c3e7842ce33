/* Wherry's own archive, read. */
#include <string.h>

#include "archive/import.h"
#include "archive/own.h"
#include "archive/piece.h"
#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "link/frame.h"
#include "tree/tree.h"

#define PASSES_MAX 64 /* of one volume */
#define NOTES_MAX  16

static bool own_mine(const char *start, size_t n)
{
	return n >= OWN_MAGIC_LEN && !memcmp(start, OWN_MAGIC, OWN_MAGIC_LEN);
}

/* In this file's words what the frames say of a peer. */
static int cut_off(int r, struct err *err)
{
	if (r == -ERR_UNREACHABLE)
		return err_set(
			err, ERR_CORRUPT, "the archive is cut off: it ends before it is complete");
	return r < 0 ? r : 0;
}

static int read_sizes(struct importing *x, const json_t *list, struct err *err)
{
	const json_t *v;
	size_t i;

	json_array_foreach(list, i, v)
	{
		uint64_t b = json_get_u64(v, "bytes", 0), n = json_get_u64(v, "inodes", 0);

		if (b > INT64_MAX / 256 || n > INT64_MAX / 256 || i >= CONTAINER_VOLUMES_MAX)
			return err_set(err, ERR_CORRUPT, "the archive's sizes are malformed");
		x->bytes += b;
		x->inodes += n;
	}
	return 0;
}

static int read_head(struct importing *x, const json_t *head, struct err *err)
{
	uint64_t format = json_get_u64(head, "format", 0);
	int r;

	if (format != OWN_FORMAT)
		return err_set(err, ERR_UNSUPPORTED,
			"the archive is of format %llu, this Wherry reads %u: upgrade it",
			(unsigned long long)format, OWN_FORMAT);
	r = container_from_json(json_object_get(head, "ct"), &x->c, err);
	if (r < 0)
		return err_prefix(err, "the archive's configuration");
	if (x->c->volumes.n == 0)
		return err_set(err, ERR_CORRUPT, "the archive's container has no root");
	return read_sizes(x, json_object_get(head, "volumes"), err);
}

static int own_open(struct importing *x, struct err *err)
{
	struct frame_opts fo = {.peer = "the archive"};
	_cleanup_json_ json_t *head = NULL;
	enum piece_type type;
	int r;

	x->start_n = 0;
	x->state = frame_reader_new(x->fd, -1, &fo);
	r = piece_read(x->state, &type, &head, err);
	if (r >= 0 && type != PIECE_HEAD)
		return err_set(err, ERR_CORRUPT, "the archive does not begin with its head");
	return r < 0 ? cut_off(r, err) : read_head(x, head, err);
}

static struct volume *volume_named(struct importing *x, const char *name)
{
	for (size_t i = 0; name && i < x->vols.n; i++)
		if (!strcmp(x->vols.v[i]->name, name))
			return x->vols.v[i];
	return NULL;
}

static void say_lost(struct importing *x, const struct volume *v, const struct tree_result *res)
{
	for (size_t i = 0; res->unsupported && res->unsupported[i] && i < NOTES_MAX; i++)
		move_say(x->m, "not kept: %s: %s", v->name, res->unsupported[i]);
	if (res->n_unsupported > NOTES_MAX)
		move_say(x->m, "not kept: %s: %llu more like these", v->name,
			(unsigned long long)res->n_unsupported - NOTES_MAX);
}

static int expect_end(struct stream *data, struct err *err)
{
	char byte;
	ssize_t n = stream_read(data, &byte, 1, err);

	if (n > 0)
		return err_set(err, ERR_CORRUPT, "the archive has data behind the end of a tree");
	return (int)n;
}

static int take_pass(struct importing *x, const json_t *head, struct err *err)
{
	struct volume *v = volume_named(x, json_get_str(head, "volume"));
	_cleanup_stream_ struct stream *data = piece_reader_new(x->state, import_room, x);
	_cleanup_free_ char *dir = places_transfer_dir(x->pledge.token), *state_dir = NULL;
	struct tree_result res = {0};
	_cleanup_close_ int fd = -1;
	int r;

	if (!v)
		return err_set(err, ERR_CORRUPT, "the archive has files of no volume");
	state_dir = xasprintf("%s/%s", dir, v->name);
	r = file_mkdirs(state_dir, 0700, err);
	if (r >= 0)
		r = volume_root(v, &fd, err);
	if (r < 0)
		return r;
	struct tree_receive_args a = {.rootfd = fd,
		.idmap = &x->c->idmap,
		.progress = x->m->progress,
		.state_dir = state_dir};
	progress_phase(x->m->progress, v->name, 0);
	r = tree_receive(&a, data, &res, err);
	if (r >= 0)
		r = expect_end(data, err);
	if (r >= 0)
		say_lost(x, v, &res);
	tree_result_done(&res);
	return r < 0 ? err_prefix(err, "volume '%s'", v->name) : 0;
}

static int check_digests(struct importing *x, const json_t *tail, struct err *err)
{
	const json_t *theirs = json_object_get(tail, "digests");
	_cleanup_json_ json_t *ours = json_object();

	for (size_t i = 0; i < x->vols.n; i++) {
		const char *name = x->vols.v[i]->name, *said = json_get_str(theirs, name);
		int r;

		/* Of one that ran on there is none. */
		if (!said)
			continue;
		r = places_digest(x->vols.v[i], &x->c->idmap, ours, err);
		if (r < 0)
			return r;
		if (strcmp(said, json_get_str(ours, name)))
			return err_set(err, ERR_CORRUPT,
				"volume '%s' is not what the archive says that it was", name);
	}
	return 0;
}

static int end(struct importing *x, const json_t *tail, size_t passes, struct err *err)
{
	char byte;
	ssize_t n;

	if (passes < x->vols.n)
		return err_set(err, ERR_CORRUPT, "the archive lacks the files of a volume");
	/* Only the frames' own end says that nothing was lost. */
	n = stream_read(x->state, &byte, 1, err);
	if (n > 0)
		return err_set(err, ERR_CORRUPT, "the archive has data behind its end");
	n = n < 0 ? n : import_rest(x, err);
	return n < 0 ? (int)n : check_digests(x, tail, err);
}

static int take_pieces(struct importing *x, struct err *err)
{
	size_t passes = 0;

	for (;;) {
		_cleanup_json_ json_t *v = NULL;
		enum piece_type type;
		int r = piece_read(x->state, &type, &v, err);

		if (r < 0)
			return r;
		if (type == PIECE_TAIL)
			return end(x, v, passes, err);
		if (type != PIECE_PASS || ++passes > PASSES_MAX * CONTAINER_VOLUMES_MAX)
			return err_set(err, ERR_CORRUPT, "the archive's pieces are out of order");
		r = take_pass(x, v, err);
		if (r < 0)
			return r;
	}
}

static int own_fill(struct importing *x, struct err *err)
{
	return cut_off(take_pieces(x, err), err);
}

static void own_free(struct importing *x)
{
	stream_free(x->state);
	x->state = NULL;
}

const struct archive_reader own_reader = {
	.name = "wherry",
	.mine = own_mine,
	.open = own_open,
	.fill = own_fill,
	.free = own_free,
};
