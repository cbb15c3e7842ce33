#include <errno.h>
#include <linux/btrfs.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/fd.h"
#include "base/str.h"
#include "storage/btrfs.h"
#include "storage/btrfs_cut.h"
#include "storage/btrfs_flags.h"
#include "storage/btrfs_inodes.h"
#include "storage/btrfs_stream.h"
#include "storage/btrfs_subvol.h"
#include "storage/files.h"

#define BATCH ((size_t)256 << 10) /* bytes that are written at once */

/* The kernel writes a stream into a pipe, in a system call that lasts as long as the stream: it
 * gets a thread. It ends early when the reading end is closed. */
struct kernel {
	pthread_t thread;
	int subvol; /* not ours */
	int out;
	__u64 from_id; /* 0: none */
	uint32_t version;
	int errnum; /* valid once the thread is joined */
};

struct sender {
	struct stream *out;
	struct progress *progress;
	const struct storage_resume *resume; /* NULL once we are there */
	struct btrfs_cutter cutter;
	struct str batch;
	int snap, from;	   /* -1: none */
	uint64_t since;	   /* older leaves of snap's tree are from's too */
	bool flags, nocow; /* some inode, or some file, has such */
	struct btrfs_inodes inodes;
	struct btrfs_inode inode; /* of inodes, that add_nocow is at */
};

static void *kernel_run(void *arg)
{
	struct kernel *k = arg;
	struct btrfs_ioctl_send_args args = {
		.send_fd = k->out,
		.clone_sources = &k->from_id,
		.clone_sources_count = k->from_id ? 1 : 0,
		.parent_root = k->from_id,
		.flags = BTRFS_SEND_FLAG_OMIT_END_CMD |
			 (k->version > 1 ? BTRFS_SEND_FLAG_VERSION : 0),
		.version = k->version,
	};
	int r;

	pthread_setname_np(pthread_self(), "btrfs-send");
	r = ioctl(k->subvol, BTRFS_IOC_SEND, &args);
	k->errnum = r < 0 ? errno : 0;
	close(k->out);
	return NULL;
}

/* Its signals are ours to handle, and it must not die of a pipe that we closed. */
static int kernel_start(struct kernel *k, int *ret_fd, struct err *err)
{
	sigset_t all, before;
	int fds[2] = {-1, -1}, r = fd_pipe(fds, err);

	if (r < 0)
		return r;
	k->out = fds[1];
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&k->thread, NULL, kernel_run, k);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r != 0) {
		close(fds[0]);
		close(fds[1]);
		errno = r;
		return err_errno(err, "start a thread");
	}
	*ret_fd = fds[0];
	return 0;
}

static int kernel_failed(int errnum, struct err *err)
{
	errno = errnum;
	switch (errnum) {
	case ENAMETOOLONG:
		return err_set(err, ERR_UNSUPPORTED,
			"btrfs cannot send it: a path inside is longer than 4095 bytes");
	case EPERM:
		return err_set(err, ERR_DENIED,
			"btrfs does not send it: its snapshots must be read-only, and we root");
	default: return err_errno(err, "btrfs send");
	}
}

/* What the kernel can speak; before Linux 6.0 there was only one version. */
static uint32_t kernel_version(void)
{
	_cleanup_fclose_ FILE *f = fopen("/sys/fs/btrfs/features/send_stream_version", "re");
	unsigned version;

	return f && fscanf(f, "%u", &version) == 1 && version >= 2 ? 2 : 1;
}

/* Out */

static int flush(struct sender *s, struct err *err)
{
	int r;

	if (!s->batch.len)
		return 0;
	r = stream_write(s->out, s->batch.buf, s->batch.len, err);
	if (r < 0)
		return r;
	progress_add(s->progress, s->batch.len);
	str_trunc(&s->batch, 0);
	return 0;
}

/* What the receiver has already: it must be the same, byte for byte, as what we would send now. */
static int skip(struct sender *s, bool cut, struct err *err)
{
	const struct storage_resume *want = s->resume;

	if (s->cutter.offset < want->offset)
		return 0;
	if (!cut || s->cutter.offset != want->offset ||
		strcmp(s->cutter.at.digest, want->digest) != 0)
		return err_set(err, ERR_CORRUPT,
			"the first %llu bytes of the stream are no longer what was sent before: it "
			"must be sent again from its beginning",
			(unsigned long long)want->offset);
	s->resume = NULL;
	return 0;
}

static int emit(struct sender *s, const void *bytes, size_t n, struct err *err)
{
	bool cut = btrfs_cutter_feed(&s->cutter, bytes, n);

	if (s->resume)
		return skip(s, cut, err);
	str_addn(&s->batch, bytes, n);
	return s->batch.len >= BATCH ? flush(s, err) : 0;
}

static int emit_fileattr(struct sender *s, const char *path, uint64_t flags, struct err *err)
{
	_cleanup_(str_done) struct str c = STR_INIT;
	size_t command = btrfs_put_command(&c, BTRFS_FILEATTR);

	btrfs_put_attr(&c, BTRFS_A_PATH, path, strlen(path));
	btrfs_put_u64(&c, BTRFS_A_FILEATTR, flags & BTRFS_FLAGS);
	btrfs_put_done(&c, command);
	return emit(s, c.buf, c.len, err);
}

static int emit_end(struct sender *s, struct err *err)
{
	_cleanup_(str_done) struct str c = STR_INIT;

	btrfs_put_done(&c, btrfs_put_command(&c, BTRFS_END));
	return emit(s, c.buf, c.len, err);
}

/* What the kernel leaves out */

static int refuse_nested(const struct sender *s, struct err *err)
{
	char path[PATH_MAX];
	int r = btrfs_inode_path(s->snap, s->inodes.nested, path, err);

	if (r < 0)
		return r;
	return err_set(err, ERR_UNSUPPORTED,
		"there was a btrfs subvolume in the folder /%s of it, which a stream leaves out",
		path);
}

/* Looks at all inodes, before anything is sent. */
static int survey(struct sender *s, struct err *err)
{
	struct btrfs_inode inode;
	int r;

	s->flags = s->from >= 0; /* some may have been taken away */
	btrfs_inodes_init(&s->inodes, s->snap, s->since);
	while ((r = btrfs_inodes_next(&s->inodes, &inode, err)) > 0) {
		s->flags = s->flags || (inode.flags & BTRFS_FLAGS);
		s->nocow = s->nocow || (inode.flags & BTRFS_FLAG_NODATACOW);
		r = cancel_check(err);
		if (r < 0)
			return r;
	}
	return r == 0 && s->inodes.nested ? refuse_nested(s, err) : r;
}

/* A file takes the flag "no copy on write" only while it is empty: right after it was made. New
 * files come in the order of their numbers, like the inodes that we go through beside them. */
static int add_nocow(struct sender *s, const struct btrfs_command *c, struct err *err)
{
	char path[PATH_MAX];
	uint64_t number;
	int r = btrfs_u64(c, BTRFS_A_INO, &number, err);

	if (r >= 0)
		r = btrfs_text(c, BTRFS_A_PATH, path, sizeof(path), err);
	while (r >= 0 && s->inode.number < number) {
		r = btrfs_inodes_next(&s->inodes, &s->inode, err);
		if (r == 0)
			s->inode.number = UINT64_MAX;
	}
	if (r < 0 || s->inode.number != number || !(s->inode.flags & BTRFS_FLAG_NODATACOW))
		return r < 0 ? r : 0;
	return emit_fileattr(s, path, BTRFS_FLAG_NODATACOW, err);
}

static int add_flags_of(struct sender *s, const struct btrfs_inode *inode, struct err *err)
{
	char path[PATH_MAX];
	uint64_t before = 0;
	int r = 0;

	if ((!S_ISREG(inode->mode) && !S_ISDIR(inode->mode)) || !inode->links)
		return 0;
	/* Flags of unchanged files come along: if the receiver had to lift one, it is set again. */
	if (!(inode->flags & BTRFS_FLAGS) && s->from >= 0)
		r = btrfs_inode_flags(s->from, inode->number, &before, err);
	if (r < 0 || !((inode->flags | before) & BTRFS_FLAGS))
		return r;
	r = btrfs_inode_path(s->snap, inode->number, path, err);
	return r <= 0 ? r : emit_fileattr(s, path, inode->flags, err);
}

/* Behind all else, since files cannot be changed any more once they are immutable. */
static int add_flags(struct sender *s, struct err *err)
{
	struct btrfs_inode inode;
	int r;

	btrfs_inodes_init(&s->inodes, s->snap, s->since);
	while ((r = btrfs_inodes_next(&s->inodes, &inode, err)) > 0) {
		r = cancel_check(err);
		if (r >= 0)
			r = add_flags_of(s, &inode, err);
		if (r < 0)
			return r;
	}
	return r;
}

/* All of it */

static int pass_on(struct sender *s, const struct btrfs_reader *r, struct err *err)
{
	struct btrfs_bytes b = btrfs_reader_bytes(r);

	return emit(s, b.p, b.n, err);
}

static int add_end(struct sender *s, struct err *err)
{
	int r = s->flags ? add_flags(s, err) : 0;

	if (r >= 0)
		r = emit_end(s, err);
	if (r >= 0 && s->resume)
		r = err_set(err, ERR_CORRUPT,
			"the stream is shorter now than what was sent before: it must be sent "
			"again from its beginning");
	return r < 0 ? r : flush(s, err);
}

/* Everything that the kernel says, in whole commands. */
static int relay(struct sender *s, struct btrfs_reader *reader, struct err *err)
{
	struct btrfs_command c;
	int r = btrfs_reader_header(reader, err);

	if (r >= 0)
		r = pass_on(s, reader, err);
	while (r >= 0 && (r = btrfs_reader_next(reader, &c, err)) > 0) {
		r = cancel_check(err);
		if (r >= 0)
			r = pass_on(s, reader, err);
		if (r >= 0 && s->nocow && c.number == BTRFS_MKFILE)
			r = add_nocow(s, &c, err);
		if (c.number >= BTRFS_MKFILE && c.number <= BTRFS_SYMLINK)
			progress_item(s->progress, 1);
	}
	return r;
}

static int run(struct sender *s, struct kernel *k, struct err *err)
{
	struct btrfs_reader *reader;
	struct stream *in;
	int fd = -1, r = kernel_start(k, &fd, err);

	if (r < 0)
		return r;
	in = stream_fd_new(fd, -1, CLOCK_NEVER);
	reader = btrfs_reader_new(in, 0);
	r = relay(s, reader, err);
	btrfs_reader_free(reader);
	stream_free(in);
	pthread_join(k->thread, NULL);
	/* A broken pipe is our doing: then r says why. */
	if (k->errnum && k->errnum != EPIPE)
		return kernel_failed(k->errnum, err);
	return r < 0 ? r : add_end(s, err);
}

/* Two snapshots of one volume: its tree between them has only grown newer. */
static uint64_t changed_since(const struct subvol_info *snap, const struct subvol_info *from)
{
	bool siblings = memcmp(snap->parent, from->parent, SUBVOL_UUID) == 0;

	return siblings && from->created_transid <= snap->created_transid ? from->created_transid
									  : 0;
}

static int look(struct sender *s, struct kernel *k, struct err *err)
{
	struct subvol_info snap, from;
	int r = subvol_info(s->snap, &snap, err);

	if (r >= 0 && s->from >= 0)
		r = subvol_info(s->from, &from, err);
	if (r < 0 || s->from < 0)
		return r;
	s->since = changed_since(&snap, &from);
	k->from_id = from.id;
	return 0;
}

static int send_between(struct sender *s, const struct storage_resume *resume, struct err *err)
{
	struct kernel k = {.subvol = s->snap, .version = kernel_version()};
	int r = look(s, &k, err);

	if (r >= 0)
		r = survey(s, err);
	if (r < 0)
		return r;
	if (resume && resume->offset)
		s->resume = resume;
	btrfs_cutter_init(&s->cutter, &(struct storage_resume){0});
	btrfs_inodes_init(&s->inodes, s->snap, s->since);
	r = run(s, &k, err);
	btrfs_cutter_done(&s->cutter);
	str_done(&s->batch);
	return r;
}

int btrfs_send(struct volume *v, const char *snap, const char *from,
	const struct storage_resume *resume, struct stream *out, struct progress *p,
	struct err *err)
{
	_cleanup_close_ int snap_fd = -1;
	_cleanup_close_ int from_fd = -1;
	struct sender *s;
	int r = files_snapshot_root(v, snap, &snap_fd, err);

	if (r >= 0 && from)
		r = files_snapshot_root(v, from, &from_fd, err);
	if (r < 0)
		return r;
	if (!subvol_is(snap_fd) || (from && !subvol_is(from_fd)))
		return err_set(err, ERR_UNSUPPORTED,
			"snapshot %s is a plain folder, which btrfs cannot send", snap);
	s = xnew(struct sender);
	s->out = out;
	s->progress = p;
	s->snap = snap_fd;
	s->from = from_fd;
	r = send_between(s, resume, err);
	free(s);
	return r;
}
