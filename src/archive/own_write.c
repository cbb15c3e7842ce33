/* Wherry's own archive, written. */
#include <string.h>

#include "archive/export.h"
#include "archive/own.h"
#include "archive/piece.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/str.h"
#include "link/frame.h"
#include "tree/tree.h"

#define ZSTD_DEFAULT 3

static int own_check(struct exporting *x, struct err *err)
{
	if (x->o->skel)
		return err_set(err, ERR_INVALID,
			"an archive without files is one of osctl's: say --format osctl too");
	if (x->o->compression == COMPRESS_GZIP)
		return err_set(err, ERR_UNSUPPORTED,
			"Wherry's own archive is compressed by zstd or not at all");
	return 0;
}

static json_t *volumes_json(struct exporting *x)
{
	json_t *a = json_array();

	for (size_t i = 0; i < x->vols.n; i++) {
		struct volume_size size = {0};
		struct err ignored = ERR_INIT;
		json_t *o = json_object();

		json_put_str(o, "name", x->vols.v[i]->name);
		json_put_str(o, "driver", x->vols.v[i]->driver->name);
		if (volume_size(x->vols.v[i], &size, &ignored) >= 0) {
			json_put_u64(o, "bytes", size.bytes);
			json_put_u64(o, "inodes", size.inodes);
		}
		json_array_append_new(a, o);
	}
	return a;
}

static json_t *head_json(struct exporting *x)
{
	json_t *o = json_object();

	json_put_u64(o, "format", OWN_FORMAT);
	json_put_str(o, "wherry", WHERRY_VERSION);
	json_put_u64(o, "created", clock_wall());
	json_put_bool(o, "consistent", x->stops || !x->running);
	json_object_set_new(o, "ct", container_json(x->c));
	json_object_set_new(o, "volumes", volumes_json(x));
	return o;
}

static int own_begin(struct exporting *x, struct err *err)
{
	struct frame_opts fo = {.peer = "the archive's reader",
		.zstd_level = x->o->compression == COMPRESS_OFF ? 0
			      : x->o->level			? x->o->level
								: ZSTD_DEFAULT};
	_cleanup_json_ json_t *head = head_json(x);
	int r = fd_write_all(x->fd, OWN_MAGIC, OWN_MAGIC_LEN, CLOCK_NEVER, err);

	if (r < 0)
		return r;
	x->state = frame_writer_new(-1, x->fd, &fo);
	return piece_write(x->state, PIECE_HEAD, head, err);
}

static int own_pass(struct exporting *x, size_t i, int fd, bool still, struct err *err)
{
	const char *name = x->vols.v[i]->name;
	_cleanup_free_ char *index = places_index(x->pledge.token, name);
	_cleanup_json_ json_t *head = json_object();
	_cleanup_stream_ struct stream *data = piece_writer_new(x->state);
	struct tree_result res = {0};
	struct tree_send_args a = {.rootfd = fd,
		.index_path = index,
		.idmap = &x->c->idmap,
		.final = still,
		.progress = x->m->progress};
	int r;

	json_put_str(head, "volume", name);
	json_put_bool(head, "final", still);
	progress_phase(x->m->progress, name, 0);
	r = piece_write(x->state, PIECE_PASS, head, err);
	if (r >= 0)
		r = tree_send(&a, data, &res, err);
	if (r >= 0)
		r = stream_end(data, err);
	if (r >= 0)
		r = tree_commit(index, err);
	tree_result_done(&res);
	return r;
}

static int own_end(struct exporting *x, struct err *err)
{
	_cleanup_json_ json_t *tail = json_object();
	struct stream *s = x->state;
	int r;

	json_object_set(tail, "digests", x->digests);
	r = piece_write(s, PIECE_TAIL, tail, err);
	if (r >= 0)
		r = stream_end(s, err);
	x->bytes = frame_wire_bytes(s) + OWN_MAGIC_LEN;
	return r;
}

static void own_free(struct exporting *x)
{
	stream_free(x->state);
	x->state = NULL;
}

const struct archive_writer own_writer = {
	.name = "wherry",
	.incremental = true,
	.check = own_check,
	.begin = own_begin,
	.pass = own_pass,
	.end = own_end,
	.free = own_free,
};
