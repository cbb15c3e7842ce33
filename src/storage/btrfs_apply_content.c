#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <unistd.h>

#include "storage/btrfs_applying.h"
#include "storage/btrfs_clone.h"

static int write_all(int fd, const uint8_t *p, size_t n, uint64_t offset)
{
	while (n) {
		ssize_t k = pwrite(fd, p, n, (off_t)offset);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return -1;
		p += k;
		offset += (uint64_t)k;
		n -= (size_t)k;
	}
	return 0;
}

/* Both fit into an off_t, and so does their sum. */
static int get_range(const struct btrfs_command *c, enum btrfs_attr offset, enum btrfs_attr len,
	uint64_t *ret_offset, uint64_t *ret_len, struct err *err)
{
	int r = btrfs_u64(c, offset, ret_offset, err);

	if (r >= 0)
		r = btrfs_u64(c, len, ret_len, err);
	if (r >= 0 && (*ret_offset > INT64_MAX || *ret_len > INT64_MAX - *ret_offset))
		r = err_set(err, ERR_PROTOCOL, "btrfs stream: %s beyond any file's end",
			btrfs_number_name(c->number));
	return r;
}

int apply_write(struct btrfs_apply *a, const struct btrfs_command *c, struct err *err)
{
	const struct btrfs_bytes *data = &c->attr[BTRFS_A_DATA];
	struct held *h;
	uint64_t offset;
	int r = apply_path(c, BTRFS_A_PATH, a->path, false, err);

	if (r >= 0)
		r = btrfs_u64(c, BTRFS_A_FILE_OFFSET, &offset, err);
	if (r < 0)
		return r;
	if (!data->p || offset > (uint64_t)INT64_MAX - data->n)
		return apply_refused("write", a->path, "no data, or beyond any file's end", err);
	if (held_file(&a->held, a->path, &h) < 0 || write_all(h->fd, data->p, data->n, offset) < 0)
		return apply_failed(a, "write", a->path, err);
	return 0;
}

int apply_truncate(struct btrfs_apply *a, const struct btrfs_command *c, struct err *err)
{
	struct held *h;
	uint64_t size;
	int r = apply_path(c, BTRFS_A_PATH, a->path, false, err);

	if (r >= 0)
		r = btrfs_u64(c, BTRFS_A_SIZE, &size, err);
	if (r < 0)
		return r;
	if (size > INT64_MAX)
		return apply_refused("truncate", a->path, "no file is that large", err);
	if (held_file(&a->held, a->path, &h) < 0 || ftruncate(h->fd, (off_t)size) < 0)
		return apply_failed(a, "truncate", a->path, err);
	return 0;
}

/* Holes only, which is all that the kernel sends: reserving space would cost a hostile peer
 * nothing. */
int apply_fallocate(struct btrfs_apply *a, const struct btrfs_command *c, struct err *err)
{
	struct held *h;
	uint64_t offset, len;
	uint32_t mode;
	int r = apply_path(c, BTRFS_A_PATH, a->path, false, err);

	if (r >= 0)
		r = btrfs_u32(c, BTRFS_A_FALLOCATE_MODE, &mode, err);
	if (r >= 0)
		r = get_range(c, BTRFS_A_FILE_OFFSET, BTRFS_A_SIZE, &offset, &len, err);
	if (r < 0)
		return r;
	if (mode != (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE))
		return err_set(err, ERR_UNSUPPORTED,
			"btrfs stream: fallocate with mode %u is not known here", mode);
	if (held_file(&a->held, a->path, &h) < 0 ||
		fallocate(h->fd, (int)mode, (off_t)offset, (off_t)len) < 0)
		return apply_failed(a, "fallocate", a->path, err);
	return 0;
}

/* Which subvolume a CLONE reads from: this one, or the one that this began as. */
static struct held_set *clone_source(
	struct btrfs_apply *a, const struct btrfs_command *c, struct err *err)
{
	uint8_t uuid[SUBVOL_UUID];
	uint64_t transid;

	if (btrfs_uuid(c, BTRFS_A_CLONE_UUID, uuid, err) < 0 ||
		btrfs_u64(c, BTRFS_A_CLONE_CTRANSID, &transid, err) < 0)
		return NULL;
	if (memcmp(uuid, a->self.uuid, sizeof(uuid)) == 0 && transid == a->self.transid)
		return &a->held;
	if (a->from.fd >= 0 && memcmp(uuid, a->from.uuid, sizeof(uuid)) == 0 &&
		transid == a->from.transid)
		return &a->from_held;
	apply_refused("clone", a->path, "from a subvolume that is not part of this", err);
	return NULL;
}

int apply_clone(struct btrfs_apply *a, const struct btrfs_command *c, struct err *err)
{
	struct held *src, *dst;
	struct held_set *from;
	uint64_t src_at, dst_at, len;
	int r = apply_path(c, BTRFS_A_PATH, a->path, false, err);

	if (r >= 0)
		r = apply_path(c, BTRFS_A_CLONE_PATH, a->other, false, err);
	if (r >= 0)
		r = get_range(c, BTRFS_A_CLONE_OFFSET, BTRFS_A_CLONE_LEN, &src_at, &len, err);
	if (r >= 0)
		r = get_range(c, BTRFS_A_FILE_OFFSET, BTRFS_A_CLONE_LEN, &dst_at, &len, err);
	if (r < 0)
		return r;
	from = clone_source(a, c, err);
	if (!from)
		return -(int)err->code;
	if (held_file(from, a->other, &src) < 0)
		return apply_failed(a, "clone from", a->other, err);
	if (held_file(&a->held, a->path, &dst) < 0 ||
		btrfs_clone(src->fd, src_at, dst->fd, dst_at, len) < 0)
		return apply_failed(a, "clone to", a->path, err);
	return 0;
}
