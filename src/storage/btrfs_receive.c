/*
 * Receiving: the stream is applied to a working subvolume, and a read-only snapshot of that is
 * taken at each cut (btrfs_cut.h), which makes it durable: after a crash, a reboot or a lost link,
 * the next try goes on from a writable snapshot of the last cut, which has exactly what the offset
 * says. The snapshot at the end is what arrives. All of it lies beside the volume's snapshots:
 *
 *	.receive	the working subvolume
 *	.at-OFFSET	at the last cut, and for a moment at the one before it too
 *	.filled		what the tree engine fills instead (btrfs_origin.h)
 *	.stream		what the stream said at its beginning; it stays until the volume is finished
 *
 * The parent of an incremental stream is found by our own knowledge, never by searching the
 * filesystem; so it also works where the pool is mounted from a plain folder.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/beneath.h"
#include "base/cancel.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/str.h"
#include "storage/btrfs.h"
#include "storage/btrfs_apply.h"
#include "storage/btrfs_cut.h"
#include "storage/btrfs_origin.h"
#include "storage/btrfs_stream.h"
#include "storage/btrfs_subvol.h"
#include "storage/files.h"
#include "storage/place.h"

#define WORK	  ".receive"
#define CUT	  ".at-"
#define ACK_EVERY ((uint64_t)1 << 20)
#define NAME_ROOM 32

/* What a stream says of itself; kept on disk for a later try, by this same machine. */
struct beginning {
	uint32_t format; /* of this struct */
	uint32_t version;
	uint64_t transid, from_transid;
	uint8_t uuid[SUBVOL_UUID], from_uuid[SUBVOL_UUID]; /* zeros: a whole one */
};

struct receiver {
	struct volume *volume;
	const char *snap;
	int snaps; /* the folder of all of this */
	int from;  /* -1: none */
	int work;
	struct beginning beginning;
	struct storage_resume *resume; /* the last cut that is durable */
	int (*checkpoint)(void *ctx, const struct storage_resume *r, struct err *err);
	void *ctx;
	struct stream *in;
	struct progress *progress;
	uint64_t begin, acked; /* offsets in the whole stream */
	struct btrfs_reader *reader;
	struct btrfs_apply *apply;
	struct btrfs_cutter cutter;
};

static void cut_name(uint64_t offset, char buf[NAME_ROOM])
{
	snprintf(buf, NAME_ROOM, CUT "%llu", (unsigned long long)offset);
}

int btrfs_receive_clean(int snaps, const char *but, struct err *err)
{
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *e;
	int fd, r = 0;

	fd = beneath_open(snaps, ".", O_RDONLY | O_DIRECTORY, 0, err);
	if (fd < 0)
		return fd;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return err_errno(err, "list what was received");
	}
	while (r >= 0 && (e = readdir(dir)))
		if ((str_starts(e->d_name, CUT) || str_eq(e->d_name, WORK) ||
			    str_eq(e->d_name, BTRFS_FILLED)) &&
			!(but && str_eq(e->d_name, but)))
			r = subvol_delete(snaps, e->d_name, err);
	return r;
}

static int open_work(struct receiver *r, struct err *err)
{
	r->work = beneath_open(r->snaps, WORK, O_RDONLY | O_DIRECTORY, 0, err);
	return r->work < 0 ? r->work : 0;
}

/* The working subvolume, as it is at the beginning. */
static int prepare(struct receiver *r, struct err *err)
{
	int ret = btrfs_receive_clean(r->snaps, NULL, err);

	if (ret >= 0)
		ret = r->from < 0 ? subvol_create(r->snaps, WORK, err)
				  : subvol_snapshot(r->from, r->snaps, WORK, false, err);
	return ret < 0 ? ret : open_work(r, err);
}

static int not_kept(const struct receiver *r, struct err *err)
{
	return err_set(err, ERR_CORRUPT,
		"what had arrived of %s, %llu bytes, is no longer here: it must be sent again from "
		"its beginning",
		r->snap, (unsigned long long)r->resume->offset);
}

/* The working subvolume, as it was at the last cut. */
static int restore(struct receiver *r, struct err *err)
{
	_cleanup_close_ int cut = -1;
	char name[NAME_ROOM];
	int ret;

	cut_name(r->resume->offset, name);
	cut = beneath_open_raw(r->snaps, name, O_RDONLY | O_DIRECTORY, 0, 0);
	if (cut < 0 || !subvol_is(cut))
		return not_kept(r, err);
	ret = btrfs_receive_clean(r->snaps, name, err);
	if (ret >= 0)
		ret = subvol_snapshot(cut, r->snaps, WORK, false, err);
	return ret < 0 ? ret : open_work(r, err);
}

static char *beginning_path(const struct receiver *r)
{
	return place_snapshot(r->volume, BTRFS_BEGINNING);
}

static int beginning_write(const struct receiver *r, struct err *err)
{
	_cleanup_free_ char *path = beginning_path(r);

	return file_replace(path, &r->beginning, sizeof(r->beginning), 0600, err);
}

static int beginning_read(struct receiver *r, struct err *err)
{
	_cleanup_free_ char *path = beginning_path(r);
	_cleanup_free_ char *buf = NULL;
	size_t n;

	if (file_read(path, sizeof(r->beginning), &buf, &n, err) < 0 || n != sizeof(r->beginning)) {
		return not_kept(r, err);
	}
	memcpy(&r->beginning, buf, n);
	return r->beginning.format == 1 ? 0 : not_kept(r, err);
}

/* The stream was made against what we have as from: a copy of the same, or that itself, when a
 * container comes back to where it was. Transaction numbers say nothing: a sender names its own. */
static int check_from(const struct receiver *r, struct err *err)
{
	static const uint8_t nothing[SUBVOL_UUID];
	const struct beginning *b = &r->beginning;
	struct subvol_info info;
	int ret;

	if (r->from < 0)
		return 0;
	ret = subvol_info(r->from, &info, err);
	if (ret < 0)
		return ret;
	if (memcmp(info.uuid, b->from_uuid, SUBVOL_UUID) == 0 ||
		(memcmp(info.received, nothing, SUBVOL_UUID) != 0 &&
			memcmp(info.received, b->from_uuid, SUBVOL_UUID) == 0))
		return 0;
	return err_set(err, ERR_PROTOCOL,
		"btrfs stream: it was made against another snapshot than the one that is here");
}

/* The header and the first command. */
static int read_beginning(struct receiver *r, struct err *err)
{
	struct beginning *b = &r->beginning;
	struct btrfs_command c;
	unsigned want = r->from < 0 ? BTRFS_SUBVOL : BTRFS_SNAPSHOT;
	struct btrfs_bytes bytes;
	int ret = btrfs_reader_header(r->reader, err);

	if (ret < 0)
		return ret;
	bytes = btrfs_reader_bytes(r->reader);
	btrfs_cutter_feed(&r->cutter, bytes.p, bytes.n);
	ret = btrfs_reader_next(r->reader, &c, err);
	if (ret < 0)
		return ret;
	if (ret == 0 || c.number != want)
		return err_set(err, ERR_PROTOCOL, "btrfs stream: it does not begin with \"%s\"",
			btrfs_number_name(want));
	bytes = btrfs_reader_bytes(r->reader);
	btrfs_cutter_feed(&r->cutter, bytes.p, bytes.n);
	*b = (struct beginning){.format = 1, .version = btrfs_reader_version(r->reader)};
	ret = btrfs_uuid(&c, BTRFS_A_UUID, b->uuid, err);
	if (ret >= 0)
		ret = btrfs_u64(&c, BTRFS_A_CTRANSID, &b->transid, err);
	if (ret >= 0 && r->from >= 0)
		ret = btrfs_uuid(&c, BTRFS_A_CLONE_UUID, b->from_uuid, err);
	if (ret >= 0 && r->from >= 0)
		ret = btrfs_u64(&c, BTRFS_A_CLONE_CTRANSID, &b->from_transid, err);
	return ret;
}

static int begin(struct receiver *r, struct err *err)
{
	struct btrfs_origin self = {.fd = -1}, from = {.fd = r->from};
	int ret;

	ret = check_from(r, err);
	if (ret >= 0)
		ret = r->begin ? restore(r, err) : prepare(r, err);
	if (ret >= 0 && !r->begin)
		ret = beginning_write(r, err);
	if (ret < 0)
		return ret;
	self = (struct btrfs_origin){.fd = r->work, .transid = r->beginning.transid};
	memcpy(self.uuid, r->beginning.uuid, SUBVOL_UUID);
	from.transid = r->beginning.from_transid;
	memcpy(from.uuid, r->beginning.from_uuid, SUBVOL_UUID);
	r->apply = btrfs_apply_new(&self, &from);
	return 0;
}

/* The order matters: the snapshot is on disk before the offset is, and the one before it goes last.
 */
static int cut(struct receiver *r, struct err *err)
{
	struct storage_resume before = *r->resume;
	char name[NAME_ROOM];
	int ret = btrfs_apply_settle(r->apply, err);

	cut_name(r->cutter.at.offset, name);
	if (ret >= 0)
		ret = fault_point("storage.receive.cut", err);
	if (ret >= 0)
		ret = subvol_snapshot(r->work, r->snaps, name, true, err);
	if (ret >= 0)
		ret = fault_point("storage.receive.cut.made", err);
	if (ret < 0)
		return ret;
	*r->resume = r->cutter.at;
	ret = r->checkpoint ? r->checkpoint(r->ctx, r->resume, err) : 0;
	if (ret >= 0)
		ret = fault_point("storage.receive.cut.durable", err);
	if (ret >= 0)
		ret = stream_ack(r->in, r->resume->offset - r->begin, true, err);
	if (ret < 0 || !before.offset)
		return ret;
	cut_name(before.offset, name);
	return subvol_delete(r->snaps, name, err);
}

static int acknowledge(struct receiver *r, struct err *err)
{
	uint64_t offset = btrfs_reader_offset(r->reader);

	if (offset - r->acked < ACK_EVERY)
		return 0;
	r->acked = offset;
	return stream_ack(r->in, offset - r->begin, false, err);
}

static int step(struct receiver *r, const struct btrfs_command *c, struct err *err)
{
	struct btrfs_bytes b = btrfs_reader_bytes(r->reader);
	int ret = cancel_check(err);

	if (ret >= 0)
		ret = btrfs_apply_command(r->apply, c, err);
	if (ret < 0)
		return ret;
	progress_add(r->progress, b.n);
	if (c->number >= BTRFS_MKFILE && c->number <= BTRFS_SYMLINK)
		progress_item(r->progress, 1);
	if (btrfs_cutter_feed(&r->cutter, b.p, b.n))
		return cut(r, err);
	return acknowledge(r, err);
}

static int apply_all(struct receiver *r, struct err *err)
{
	struct btrfs_command c;

	for (;;) {
		int ret = btrfs_reader_next(r->reader, &c, err);

		if (ret == 0)
			return err_set(err, ERR_PROTOCOL,
				"btrfs stream: it ended too early, after %llu bytes",
				(unsigned long long)btrfs_reader_offset(r->reader));
		if (ret > 0 && c.number == BTRFS_END)
			return btrfs_apply_settle(r->apply, err);
		if (ret > 0)
			ret = step(r, &c, err);
		if (ret < 0)
			return ret;
	}
}

/* A read-only snapshot takes over what the working subvolume is said to be, and is on disk at once.
 */
static int seal(struct receiver *r, struct err *err)
{
	int ret = btrfs_reader_end(r->reader, err);

	if (ret >= 0)
		ret = fault_point("storage.receive.seal", err);
	if (ret >= 0)
		ret = subvol_set_received(r->work, r->beginning.uuid, r->beginning.transid, err);
	if (ret >= 0)
		ret = subvol_snapshot(r->work, r->snaps, r->snap, true, err);
	return ret < 0 ? ret : fault_point("storage.receive.sealed", err);
}

/* A try before this one has come to its end, but nobody was told. */
static int skip_all(struct receiver *r, int snap, struct err *err)
{
	struct subvol_info info;
	struct btrfs_command c;
	int ret = subvol_info(snap, &info, err);

	if (ret < 0)
		return ret;
	if (memcmp(info.received, r->beginning.uuid, SUBVOL_UUID) != 0)
		return err_set(err, ERR_EXISTS, "there is another snapshot %s here", r->snap);
	do
		ret = btrfs_reader_next(r->reader, &c, err);
	while (ret > 0 && c.number != BTRFS_END && (ret = cancel_check(err)) >= 0);
	if (ret == 0)
		ret = err_set(err, ERR_PROTOCOL, "btrfs stream: it ended too early");
	return ret < 0 ? ret : btrfs_reader_end(r->reader, err);
}

static int take(struct receiver *r, struct err *err)
{
	int ret = begin(r, err);

	if (ret >= 0)
		ret = apply_all(r, err);
	return ret < 0 ? ret : seal(r, err);
}

static int receive(struct receiver *r, struct err *err)
{
	_cleanup_close_ int snap = beneath_open_raw(
		r->snaps, r->snap, O_RDONLY | O_DIRECTORY, 0, 0);
	int ret;

	if (snap >= 0 && !subvol_is(snap))
		return err_set(err, ERR_EXISTS, "there is another snapshot %s here", r->snap);
	ret = r->begin ? beginning_read(r, err) : read_beginning(r, err);
	btrfs_reader_set_version(r->reader, r->beginning.version);
	if (ret >= 0)
		ret = snap < 0 ? take(r, err) : skip_all(r, snap, err);
	if (ret >= 0)
		ret = btrfs_receive_clean(r->snaps, NULL, err);
	if (ret < 0)
		return ret;
	*r->resume = (struct storage_resume){0};
	return stream_ack(r->in, btrfs_reader_offset(r->reader) - r->begin, true, err);
}

static void receiver_done(struct receiver *r)
{
	btrfs_apply_free(r->apply);
	btrfs_reader_free(r->reader);
	btrfs_cutter_done(&r->cutter);
	cleanup_closep(&r->work);
	cleanup_closep(&r->from);
	cleanup_closep(&r->snaps);
}

int btrfs_receive(struct volume *v, const char *snap, const char *from,
	struct storage_resume *resume,
	int (*checkpoint)(void *ctx, const struct storage_resume *r, struct err *err), void *ctx,
	struct stream *in, struct progress *p, struct err *err)
{
	struct receiver r = {
		.volume = v,
		.snap = snap,
		.from = -1,
		.work = -1,
		.resume = resume,
		.checkpoint = checkpoint,
		.ctx = ctx,
		.in = in,
		.progress = p,
		.begin = resume->offset,
		.acked = resume->offset,
	};
	int ret = 0;

	r.snaps = place_open_snaps(v, true, err);
	if (r.snaps < 0)
		return r.snaps;
	btrfs_cutter_init(&r.cutter, resume);
	r.reader = btrfs_reader_new(in, resume->offset);
	if (from)
		ret = files_snapshot_root(v, from, &r.from, err);
	if (ret >= 0)
		ret = receive(&r, err);
	receiver_done(&r);
	return ret;
}
