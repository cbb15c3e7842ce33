#include "convert/ploop.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/beneath.h"
#include "base/cancel.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/str.h"
#include "convert/ploop_xml.h"

#define DESCRIPTOR "DiskDescriptor.xml"
#define CHUNK	   (1u << 20)

void ploop_free(struct ploop *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->deltas.n; i++)
		ploop_delta_done(&p->deltas.v[i]);
	ploop_delta_vec_done(&p->deltas);
	free(p);
}

void ploop_freep(struct ploop **p)
{
	ploop_free(*p);
}

/* A plain image can only be the base; all others have clusters of one size. */
static int check_deltas(struct ploop *p, unsigned flags, struct err *err)
{
	for (size_t i = 0; i < p->deltas.n; i++) {
		const struct ploop_delta *d = &p->deltas.v[i];

		if (d->plain && i + 1 < p->deltas.n)
			return err_set(
				err, ERR_INVALID, "an image without a table lies above others");
		if (d->in_use && !(flags & PLOOP_IN_USE))
			return err_set(err, ERR_BUSY,
				"its image %zu is in use, or was not closed: stop its container "
				"and "
				"unmount it (vzctl stop, vzctl umount)",
				i + 1);
		if (!d->plain && p->cluster && d->cluster != p->cluster)
			return err_set(
				err, ERR_INVALID, "its images have clusters of different sizes");
		if (!d->plain)
			p->cluster = d->cluster;
	}
	return 0;
}

int ploop_assemble(struct ploop_delta_vec *deltas, uint64_t size, unsigned flags,
	struct ploop **ret, struct err *err)
{
	_cleanup_ploop_ struct ploop *p = xnew(struct ploop);
	const struct ploop_delta *top;
	int r;

	p->deltas = *deltas;
	*deltas = (struct ploop_delta_vec){0};
	if (!p->deltas.n)
		return err_set(err, ERR_INVALID, "a disk has at least one image");
	top = &p->deltas.v[0];
	p->size = size ? size : top->disk;
	r = check_deltas(p, flags, err);
	if (r < 0)
		return r;
	if (!top->plain && p->size > (uint64_t)top->n * p->cluster)
		return err_set(err, ERR_INVALID,
			"the disk is larger than its image's table: what is on its end is lost");
	*ret = TAKE_PTR(p);
	return 0;
}

/* Old descriptors name files by their whole path: only such as lie beside the descriptor are
 * opened. */
static int open_image(
	int dirfd, const struct ploop_image *image, struct ploop_delta *ret, struct err *err)
{
	const char *name = image->file[0] == '/' ? strrchr(image->file, '/') + 1 : image->file;
	_cleanup_close_ int fd = -1;
	int r;

	if (!beneath_path_ok(name))
		return err_set(err, ERR_DENIED, "its image \"%.128s\" lies outside of its folder",
			image->file);
	fd = beneath_open(dirfd, name, O_RDONLY | O_NONBLOCK, 0, err);
	if (fd < 0)
		return fd;
	r = ploop_delta_open(fd, image->plain, ret, err);
	if (r < 0)
		return err_prefix(err, "image %.128s", name);
	TAKE_FD(fd);
	return 0;
}

static int read_descriptor(int dirfd, struct ploop_descriptor *ret, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int fd = beneath_open(dirfd, DESCRIPTOR, O_RDONLY | O_NONBLOCK, 0, err);
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > PLOOP_XML_MAX)
		return err_set(err, ERR_INVALID, DESCRIPTOR " is not a file of at most 1 MiB");
	text = xmalloc((size_t)st.st_size + 1);
	n = pread(fd, text, (size_t)st.st_size, 0);
	if (n < 0)
		return err_errno(err, "read " DESCRIPTOR);
	if (ploop_xml_parse(text, (size_t)n, ret, err) < 0)
		return err_prefix(err, DESCRIPTOR);
	return 0;
}

static int open_chain(int dirfd, const struct ploop_descriptor *d, const char *guid,
	struct ploop_delta_vec *deltas, struct err *err)
{
	size_t chain[PLOOP_IMAGES_MAX], n;
	int r = ploop_chain(d, guid, chain, &n, err);

	if (r < 0)
		return err_prefix(err, DESCRIPTOR);
	for (size_t i = 0; i < n; i++) {
		struct ploop_delta delta;

		r = open_image(dirfd, &d->images.v[chain[i]], &delta, err);
		if (r < 0)
			return r;
		*ploop_delta_vec_push(deltas) = delta;
		if (d->blocksize && !delta.plain && delta.cluster != d->blocksize * PLOOP_SECTOR)
			return err_set(err, ERR_INVALID,
				"image %s has clusters of another size than " DESCRIPTOR " says",
				d->images.v[chain[i]].file);
	}
	return 0;
}

int ploop_open(int dirfd, const char *guid, unsigned flags, struct ploop **ret, struct err *err)
{
	_cleanup_(ploop_descriptor_done) struct ploop_descriptor d = {0};
	struct ploop_delta_vec deltas = {0};
	int r = read_descriptor(dirfd, &d, err);

	if (r < 0)
		return r;
	r = open_chain(dirfd, &d, guid, &deltas, err);
	if (r >= 0)
		return ploop_assemble(&deltas, d.sectors * PLOOP_SECTOR, flags, ret, err);
	for (size_t i = 0; i < deltas.n; i++)
		ploop_delta_done(&deltas.v[i]);
	ploop_delta_vec_done(&deltas);
	return r;
}

/* The delta that has what is at offset, and where; NULL: it is a hole. *ret_n: for how many bytes
 * that is so. */
static const struct ploop_delta *find(
	const struct ploop *p, uint64_t offset, uint64_t *ret_at, uint64_t *ret_n)
{
	uint64_t at = 0, rest = p->size - offset;

	if (p->cluster)
		rest = MIN(rest, p->cluster - offset % p->cluster);
	for (size_t i = 0; i < p->deltas.n; i++) {
		const struct ploop_delta *d = &p->deltas.v[i];

		*ret_n = rest;
		if (d->plain && offset < d->file) {
			*ret_at = offset;
			*ret_n = MIN(rest, d->file - offset);
			return d;
		}
		if (!d->plain && ploop_delta_find(d, offset / p->cluster, &at)) {
			*ret_at = at + offset % p->cluster;
			return d;
		}
	}
	return NULL;
}

bool ploop_has(const struct ploop *p, uint64_t offset, uint64_t *ret_n)
{
	uint64_t at;
	const struct ploop_delta *d = find(p, offset, &at, ret_n);
	off_t data, hole;

	if (!d || !d->plain)
		return d;
	data = lseek(d->fd, (off_t)at, SEEK_DATA);
	if (data < 0 && errno != ENXIO)
		return true;
	if (data != (off_t)at) {
		if (data > 0)
			*ret_n = MIN(*ret_n, (uint64_t)data - at);
		return false;
	}
	hole = lseek(d->fd, (off_t)at, SEEK_HOLE);
	if (hole > (off_t)at)
		*ret_n = MIN(*ret_n, (uint64_t)hole - at);
	return true;
}

static int read_piece(int fd, void *buf, size_t n, uint64_t at, struct err *err)
{
	for (size_t done = 0; done < n;) {
		ssize_t r = pread(fd, (char *)buf + done, n - done, (off_t)(at + done));

		if (r < 0)
			return err_errno(err, "read an image of the disk");
		if (r == 0)
			return err_set(err, ERR_STATE, "an image of the disk became shorter");
		done += (size_t)r;
	}
	return 0;
}

int ploop_read(const struct ploop *p, uint64_t offset, void *buf, size_t n, struct err *err)
{
	int r = 0;

	if (offset > p->size || n > p->size - offset)
		return err_set(err, ERR_INVALID, "there is nothing at byte %llu of the disk",
			(unsigned long long)offset);
	for (size_t done = 0, piece; r >= 0 && done < n; done += piece) {
		uint64_t at, run;
		const struct ploop_delta *d = find(p, offset + done, &at, &run);

		piece = (size_t)MIN(run, (uint64_t)(n - done));
		if (d)
			r = read_piece(d->fd, (char *)buf + done, piece, at, err);
		else
			memset((char *)buf + done, 0, piece);
	}
	return r;
}

static bool is_zero(const char *buf, size_t n)
{
	return n == 0 || (buf[0] == 0 && memcmp(buf, buf + 1, n - 1) == 0);
}

static int write_at(int fd, const char *buf, size_t n, uint64_t at, struct err *err)
{
	for (size_t done = 0; done < n;) {
		ssize_t r = pwrite(fd, buf + done, n - done, (off_t)(at + done));

		if (r < 0)
			return err_errno(err, "write the image");
		done += (size_t)r;
	}
	return 0;
}

/* A file is written where there is something, 4 KiB at a time so that zeros stay holes. */
static int put(int fd, bool sparse, const char *buf, size_t n, uint64_t at, struct err *err)
{
	int r = 0;

	if (!sparse)
		return fd_write_all(fd, buf, n, CLOCK_NEVER, err);
	for (size_t i = 0; r >= 0 && i < n; i += 4096) {
		size_t piece = MIN(n - i, (size_t)4096);

		if (!is_zero(buf + i, piece))
			r = write_at(fd, buf + i, piece, at + i, err);
	}
	return r;
}

int ploop_extract(const struct ploop *p, uint64_t offset, uint64_t size, int fd,
	struct progress *progress, struct err *err)
{
	_cleanup_free_ char *buf = xmalloc(CHUNK);
	struct stat st;
	bool sparse = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
	uint64_t run = 0;
	int r = 0;

	if (offset > p->size || size > p->size - offset)
		return err_set(err, ERR_INVALID, "the disk ends before that");
	if (sparse && ftruncate(fd, 0) < 0)
		return err_errno(err, "write the image");
	for (uint64_t at = 0; r >= 0 && at < size; at += run) {
		if (cancel_requested())
			return err_set(err, ERR_CANCELLED, "interrupted");
		if (!ploop_has(p, offset + at, &run) && sparse) {
			run = MIN(run, size - at);
			continue;
		}
		run = MIN(MIN(run, (uint64_t)CHUNK), size - at);
		r = ploop_read(p, offset + at, buf, (size_t)run, err);
		if (r >= 0)
			r = put(fd, sparse, buf, (size_t)run, at, err);
		progress_add(progress, run);
	}
	if (r >= 0 && sparse && (ftruncate(fd, (off_t)size) < 0 || fsync(fd) < 0))
		r = err_errno(err, "write the image");
	return r;
}
