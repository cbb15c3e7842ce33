#include "storage/btrfs_clone.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/cancel.h"

struct copy {
	int src, dst;
	off_t at, end; /* in the source */
	off_t shift;   /* to the destination */
};

/* Up to where the source has a hole at c->at; the end of the range at most. */
static off_t hole_end(const struct copy *c)
{
	off_t data = lseek(c->src, c->at, SEEK_DATA);

	if (data < 0)
		return errno == ENXIO ? c->end : -1;
	return MIN(data, c->end);
}

static off_t data_end(const struct copy *c)
{
	off_t hole = lseek(c->src, c->at, SEEK_HOLE);

	return hole < 0 ? -1 : MIN(hole, c->end);
}

static int copy_hole(struct copy *c)
{
	off_t until = hole_end(c);

	if (until < 0)
		return -1;
	if (until > c->at && fallocate(c->dst, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				     c->at + c->shift, until - c->at) < 0)
		return -1;
	c->at = until;
	return 0;
}

static int copy_data(struct copy *c)
{
	off_t until = data_end(c);
	char buf[1 << 16];

	if (until < 0)
		return -1;
	while (c->at < until) {
		ssize_t n = pread(c->src, buf, MIN(sizeof(buf), (size_t)(until - c->at)), c->at);

		if (n > 0 && pwrite(c->dst, buf, (size_t)n, c->at + c->shift) == n)
			c->at += n;
		else
			return -1;
	}
	return 0;
}

/* A range of a file over itself would go on for ever, copying what it has just written. */
static bool overlaps(const struct copy *c, const struct stat *src, const struct stat *dst)
{
	off_t len = c->end - c->at;

	return src->st_dev == dst->st_dev && src->st_ino == dst->st_ino && c->shift < len &&
	       c->shift > -len;
}

static int copy(struct copy *c)
{
	struct stat src, dst;

	if (fstat(c->src, &src) < 0 || fstat(c->dst, &dst) < 0)
		return -1;
	if (src.st_size < c->end || overlaps(c, &src, &dst)) {
		errno = EINVAL;
		return -1;
	}
	while (c->at < c->end) {
		if (cancel_requested()) {
			errno = ECANCELED;
			return -1;
		}
		if (copy_hole(c) < 0 || copy_data(c) < 0)
			return -1;
	}
	if (fstat(c->dst, &dst) < 0)
		return -1;
	/* The range may have ended in a hole. */
	return dst.st_size < c->end + c->shift ? ftruncate(c->dst, c->end + c->shift) : 0;
}

int btrfs_clone(int src, uint64_t src_at, int dst, uint64_t dst_at, uint64_t len)
{
	struct file_clone_range range = {
		.src_fd = src,
		.src_offset = src_at,
		.src_length = len,
		.dest_offset = dst_at,
	};
	struct copy c = {
		.src = src,
		.dst = dst,
		.at = (off_t)src_at,
		.end = (off_t)(src_at + len),
		.shift = (off_t)dst_at - (off_t)src_at,
	};

	/* To the kernel, 0 bytes means all there are. */
	if (len == 0 || ioctl(dst, FICLONERANGE, &range) == 0)
		return 0;
	if (errno != EINVAL && errno != EOPNOTSUPP && errno != EXDEV && errno != ENOTTY)
		return -1;
	return copy(&c);
}
