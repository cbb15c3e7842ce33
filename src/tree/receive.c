#include "tree/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/boot.h"
#include "base/cancel.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "tree/apply.h"
#include "tree/kept.h"
#include "tree/ops.h"

#define BUF_SIZE  (4u << 20)
#define ACK_EVERY (2u << 20)
/* What comes again after a power cut: twice this, or where the stream is faster than the disk
 * syncs, the other. Between two there is a pause, so many times as long as the last took. */
#define SYNC_EVERY   (8u << 20)
#define SYNC_LATEST  (128u << 20)
#define SYNC_PAUSE   4
#define RESUME_MAGIC UINT64_C(0x65727573652d7877)

/* What survives of a pass: how far it was applied, and how far it was on disk. */
struct resume_file {
	uint64_t magic, session, applied, synced;
	char boot[BOOT_ID_MAX];
};

struct receiver {
	const struct tree_receive_args *a;
	struct stream *s;
	struct tree_result res;
	struct apply apply;
	unsigned char *buf;
	size_t pos, len;
	bool begun, ended, first;
	struct kept *kept;
	uint64_t acked, sync_asked;
	int resume_fd;
	struct resume_file resume; /* under lock */
	/* The thread that writes back while we go on. */
	pthread_t thread;
	bool running, stop, failed;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	uint64_t want, synced; /* offsets */
	usec_t sync_ended, sync_took;
	int sync_errno;
};

static char *resume_path(const char *state_dir)
{
	return xasprintf("%s/resume", state_dir);
}

int tree_resume_read(const char *state_dir, struct tree_resume *ret, struct err *err)
{
	_cleanup_free_ char *path = resume_path(state_dir), *text = NULL;
	struct resume_file f;
	char boot[BOOT_ID_MAX];
	size_t n;

	*ret = (struct tree_resume){0};
	if (!file_exists(path))
		return 0;
	if (file_read(path, 4096, &text, &n, err) < 0)
		return -(int)err->code;
	if (n < sizeof(f))
		return 0;
	memcpy(&f, text, sizeof(f));
	if (f.magic != RESUME_MAGIC)
		return 0;
	boot_id(boot);
	ret->session = f.session;
	ret->offset = memcmp(boot, f.boot, sizeof(boot)) == 0 ? f.applied : f.synced;
	return 0;
}

int tree_resume_forget(const char *state_dir, struct err *err)
{
	_cleanup_free_ char *path = resume_path(state_dir);
	struct kept *k = NULL;
	int r = kept_load(state_dir, NULL, &k, err); /* which removes it */

	kept_free(k);
	return r < 0 ? r : file_remove(path, err);
}

static void write_resume(struct receiver *rc, bool durable)
{
	if (rc->resume_fd < 0)
		return;
	/* If this fails, less counts as held than is: safe. */
	if (pwrite(rc->resume_fd, &rc->resume, sizeof(rc->resume), 0) < 0 || !durable)
		return;
	(void)fdatasync(rc->resume_fd);
}

static void note_applied(struct receiver *rc, uint64_t offset)
{
	pthread_mutex_lock(&rc->lock);
	rc->resume.applied = offset;
	write_resume(rc, false);
	pthread_mutex_unlock(&rc->lock);
}

static int sync_tree(struct receiver *rc, uint64_t offset)
{
	usec_t begun = clock_now();

	if (syncfs(rc->a->rootfd) < 0)
		return -1;
	pthread_mutex_lock(&rc->lock);
	rc->sync_ended = clock_now();
	rc->sync_took = rc->sync_ended - begun;
	rc->synced = offset;
	rc->resume.synced = offset;
	write_resume(rc, true);
	pthread_mutex_unlock(&rc->lock);
	return 0;
}

static void *sync_thread(void *arg)
{
	struct receiver *rc = arg;

	pthread_mutex_lock(&rc->lock);
	while (!rc->stop) {
		uint64_t want = rc->want;

		if (want <= rc->synced || rc->sync_errno) {
			pthread_cond_wait(&rc->wake, &rc->lock);
			continue;
		}
		pthread_mutex_unlock(&rc->lock);
		if (sync_tree(rc, want) < 0) {
			pthread_mutex_lock(&rc->lock);
			rc->sync_errno = errno;
			continue;
		}
		pthread_mutex_lock(&rc->lock);
	}
	pthread_mutex_unlock(&rc->lock);
	return NULL;
}

static void stop_thread(struct receiver *rc)
{
	if (!rc->running)
		return;
	pthread_mutex_lock(&rc->lock);
	rc->stop = true;
	pthread_cond_signal(&rc->wake);
	pthread_mutex_unlock(&rc->lock);
	pthread_join(rc->thread, NULL);
	rc->running = false;
}

/* Offset of the stream up to which everything is applied. */
static uint64_t offset_of(const struct receiver *rc)
{
	return rc->s->n_read - (rc->len - rc->pos);
}

/* Often enough that little is lost, and so seldom that what comes has most of the disk's time. */
static bool sync_is_due(const struct receiver *rc, uint64_t offset)
{
	uint64_t since = offset - rc->sync_asked;

	if (since < SYNC_EVERY || rc->want > rc->synced)
		return since >= SYNC_LATEST;
	return since >= SYNC_LATEST || clock_now() - rc->sync_ended >= SYNC_PAUSE * rc->sync_took;
}

static int acknowledge(struct receiver *rc, bool always, struct err *err)
{
	uint64_t offset = offset_of(rc), synced;
	int sync_errno, r;

	if (!rc->begun || (!always && offset - rc->acked < ACK_EVERY))
		return 0;
	r = apply_wait(&rc->apply, err);
	if (r < 0)
		return r;
	note_applied(rc, offset);
	pthread_mutex_lock(&rc->lock);
	synced = rc->synced;
	sync_errno = rc->sync_errno;
	if (sync_is_due(rc, offset)) {
		rc->sync_asked = rc->want = offset;
		pthread_cond_signal(&rc->wake);
	}
	pthread_mutex_unlock(&rc->lock);
	if (sync_errno) {
		errno = sync_errno;
		return err_errno(err, "sync the tree");
	}
	rc->acked = offset;
	if (synced) {
		r = stream_ack(rc->s, synced, true, err);
		if (r < 0)
			return r;
	}
	return stream_ack(rc->s, offset, false, err);
}

/* From here on what was known of the tree is told what happens to it; a first copy changes all. */
static int take_proof(struct receiver *rc, bool first, struct err *err)
{
	int r = kept_load(rc->a->state_dir, rc->a->idmap, &rc->kept, err);

	if (r < 0)
		return r;
	rc->first = first;
	if (first) {
		kept_free(rc->kept);
		rc->kept = NULL;
	}
	rc->apply.kept = rc->kept;
	return 0;
}

static int prove(struct receiver *rc, struct err *err)
{
	bool done = false;
	int r = 0;

	if (rc->kept)
		r = kept_refresh(rc->kept, rc->a->rootfd, rc->a->idmap, &done, err);
	else
		rc->kept = kept_new();
	if (r >= 0 && !done)
		r = kept_walk(rc->kept, rc->a->rootfd, rc->a->idmap, err);
	return r < 0 ? r : kept_save(rc->kept, rc->a->state_dir, rc->a->idmap, err);
}

/* The tree as it is on disk now, for the comparison before a hand-over. If it can't be read, that
 * walks, and says why. */
static int keep_proof(struct receiver *rc, struct err *err)
{
	struct err e = ERR_INIT;
	int r = rc->a->state_dir && !rc->first ? prove(rc, &e) : 0;

	return r == -ERR_CANCELLED ? err_copy(err, &e) : 0;
}

static int begin(struct receiver *rc, const struct op *op, struct err *err)
{
	if (rc->begun || op->version != OPS_VERSION)
		return err_set(err, ERR_PROTOCOL,
			"version %u of the tree's operations; this node speaks %u", op->version,
			OPS_VERSION);
	rc->begun = true;
	rc->acked = rc->sync_asked = offset_of(rc);
	rc->resume = (struct resume_file){RESUME_MAGIC, op->session, rc->acked, rc->acked, ""};
	boot_id(rc->resume.boot);
	if (rc->a->state_dir) {
		_cleanup_free_ char *path = resume_path(rc->a->state_dir);
		int r = file_mkdirs(rc->a->state_dir, 0700, err);

		if (r < 0)
			return r;
		rc->resume_fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (rc->resume_fd < 0)
			return err_errno(err, "open %s", path);
		write_resume(rc, true);
		r = take_proof(rc, op->flags & OP_F_FRESH, err);
		if (r >= 0 && op->flags & OP_F_FRESH)
			r = apply_forget_moves(rc->a->state_dir, err);
		if (r < 0)
			return r;
	}
	if (pthread_create(&rc->thread, NULL, sync_thread, rc) != 0)
		return err_set(err, ERR_INTERNAL, "cannot start a thread");
	rc->running = true;
	return 0;
}

static int receive_op(struct receiver *rc, const struct op *op, struct err *err)
{
	if (rc->ended || (op->type != OP_BEGIN && !rc->begun))
		return err_set(
			err, ERR_PROTOCOL, "operation %s does not belong there", op_name(op->type));
	if (op->type == OP_BEGIN)
		return begin(rc, op, err);
	if (op->type != OP_END)
		return apply_op(&rc->apply, op, err);
	if (!apply_complete(&rc->apply))
		return err_set(err, ERR_PROTOCOL, "the stream ends in the middle of a folder");
	rc->ended = true;
	return 0;
}

static int receive_buffered(struct receiver *rc, struct op *op, struct err *err)
{
	while (rc->pos < rc->len && !rc->ended) {
		uint64_t before = rc->res.bytes, items = rc->res.sent;
		int n = op_decode(rc->buf + rc->pos, rc->len - rc->pos, op, err), r;

		if (n <= 0)
			return n;
		rc->pos += (size_t)n;
		r = receive_op(rc, op, err);
		if (r < 0) { /* not applied after all */
			rc->pos -= (size_t)n;
			return r;
		}
		progress_add(rc->a->progress, rc->res.bytes - before);
		progress_item(rc->a->progress, rc->res.sent - items);
		r = acknowledge(rc, false, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int receive_all(struct receiver *rc, struct err *err)
{
	_cleanup_free_ struct op *op = xnew(struct op);

	while (!rc->ended) {
		ssize_t n;
		int r;

		memmove(rc->buf, rc->buf + rc->pos, rc->len - rc->pos);
		rc->len -= rc->pos;
		rc->pos = 0;
		r = cancel_check(err);
		if (r < 0)
			return r;
		apply_kick(&rc->apply);
		n = stream_read(rc->s, rc->buf + rc->len, BUF_SIZE - rc->len, err);
		if (n < 0)
			return (int)n;
		if (n == 0)
			return err_set(err, ERR_PROTOCOL, "the stream ended too early");
		rc->len += (size_t)n;
		r = receive_buffered(rc, op, err);
		if (r < 0)
			return r;
	}
	if (rc->pos < rc->len)
		return err_set(err, ERR_PROTOCOL, "more after the end of the stream");
	return 0;
}

static int finish(struct receiver *rc, int r, struct err *err)
{
	uint64_t offset = rc->begun ? offset_of(rc) : 0;
	struct err late = ERR_INIT;

	stop_thread(rc);
	if (!rc->begun)
		return r;
	/* What failed lies behind the last acknowledgement. */
	if (apply_wait(&rc->apply, &late) < 0) {
		offset = rc->acked;
		r = r >= 0 ? err_copy(err, &late) : r;
	}
	note_applied(rc, offset);
	/* Also what broke off: so much need not come again. */
	if (sync_tree(rc, offset) < 0 && r >= 0)
		return err_errno(err, "sync the tree");
	if (r >= 0)
		r = stream_ack(rc->s, offset, true, err);
	return r < 0 ? r : keep_proof(rc, err);
}

int tree_receive(const struct tree_receive_args *a, struct stream *s, struct tree_result *ret,
	struct err *err)
{
	struct receiver rc = {.a = a,
		.s = s,
		.resume_fd = -1,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.wake = PTHREAD_COND_INITIALIZER};
	int r;

	rc.buf = xmalloc(BUF_SIZE);
	apply_init(&rc.apply, a->rootfd, a->idmap, a->state_dir, &rc.res);
	r = receive_all(&rc, err);
	r = finish(&rc, r, err);
	apply_done(&rc.apply);
	kept_free(rc.kept);
	free(rc.buf);
	if (rc.resume_fd >= 0)
		close(rc.resume_fd);
	if (r < 0) {
		tree_result_done(&rc.res);
		return r;
	}
	*ret = rc.res;
	return 0;
}
