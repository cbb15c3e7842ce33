#include "storage/btrfs_origin.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/beneath.h"
#include "base/cancel.h"
#include "base/fault.h"
#include "base/str.h"
#include "storage/btrfs.h"
#include "storage/btrfs_inodes.h"
#include "storage/btrfs_subvol.h"
#include "storage/files.h"
#include "storage/place.h"

/* Files that share so much keep it: only a stream can say what is shared. */
#define SHARED_MOST ((uint64_t)16 << 20)

struct origin {
	uint8_t uuid[SUBVOL_UUID];
	uint64_t transid;
};

static bool is_set(const uint8_t uuid[SUBVOL_UUID])
{
	static const uint8_t nothing[SUBVOL_UUID];

	return memcmp(uuid, nothing, SUBVOL_UUID) != 0;
}

static int parse(const char *text, struct origin *ret, struct err *err)
{
	size_t n = 0;

	for (; n < 2 * SUBVOL_UUID && isxdigit((unsigned char)text[n]) &&
		isxdigit((unsigned char)text[n + 1]);
		n += 2) {
		unsigned byte;

		if (sscanf(text + n, "%2x", &byte) != 1)
			break;
		ret->uuid[n / 2] = (uint8_t)byte;
	}
	if (n == 2 * SUBVOL_UUID && text[n] == ':' && isdigit((unsigned char)text[n + 1]) &&
		is_set(ret->uuid) && num_u64(text + n + 1, UINT64_MAX, &ret->transid, err) >= 0)
		return 0;
	return err_set(err, ERR_PROTOCOL, "that is no origin of a btrfs snapshot");
}

/* Do files of it share more than a little? */
static int shares(int snap, bool *ret, struct err *err)
{
	struct btrfs_inodes *it = xnew(struct btrfs_inodes);
	struct btrfs_inode inode;
	int r;

	btrfs_inodes_init(it, snap, 0);
	it->extents = btrfs_extents_new();
	while ((r = btrfs_inodes_next(it, &inode, err)) > 0 &&
		btrfs_extents_shared(it->extents) <= SHARED_MOST && (r = cancel_check(err)) >= 0)
		;
	*ret = btrfs_extents_shared(it->extents) > SHARED_MOST;
	btrfs_extents_free(it->extents);
	free(it);
	return r < 0 ? r : 0;
}

/* As the kernel names it in its streams. */
int btrfs_origin(struct volume *v, const char *snap, char ret[STORAGE_ORIGIN_MAX], struct err *err)
{
	_cleanup_close_ int fd = -1;
	struct subvol_info info;
	const uint8_t *uuid;
	bool shared;
	int r = files_snapshot_root(v, snap, &fd, err);

	if (r >= 0)
		r = subvol_info(fd, &info, err);
	if (r >= 0)
		r = shares(fd, &shared, err);
	if (r < 0 || shared)
		return r < 0 ? r : 0;
	uuid = is_set(info.received) ? info.received : info.uuid;
	for (size_t i = 0; i < SUBVOL_UUID; i++)
		snprintf(ret + 2 * i, 3, "%02x", uuid[i]);
	snprintf(ret + 2 * (size_t)SUBVOL_UUID, STORAGE_ORIGIN_MAX - 2 * SUBVOL_UUID, ":%" PRIu64,
		info.changed_transid);
	return 1;
}

/* Is the snapshot there already? */
static int is_done(int snaps, const char *snap, const struct origin *o, struct err *err)
{
	_cleanup_close_ int fd = beneath_open_raw(snaps, snap, O_RDONLY | O_DIRECTORY, 0, 0);
	struct subvol_info info;
	int r;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || !subvol_is(fd))
		return err_set(err, ERR_EXISTS, "there is another snapshot %s here", snap);
	r = subvol_info(fd, &info, err);
	if (r < 0)
		return r;
	return memcmp(info.received, o->uuid, SUBVOL_UUID) == 0
		       ? 1
		       : err_set(err, ERR_EXISTS, "there is another snapshot %s here", snap);
}

int btrfs_fill(struct volume *v, const char *snap, const char *origin, bool make, int *ret_fd,
	struct err *err)
{
	_cleanup_close_ int snaps = place_open_snaps(v, true, err);
	struct origin o;
	int r = snaps < 0 ? snaps : parse(origin, &o, err);

	if (r >= 0)
		r = is_done(snaps, snap, &o, err);
	if (r != 0)
		return r;
	if (make) {
		r = btrfs_receive_clean(snaps, NULL, err);
		if (r >= 0)
			r = subvol_create(snaps, BTRFS_FILLED, err);
		if (r < 0)
			return r;
	}
	r = beneath_open(snaps, BTRFS_FILLED, O_RDONLY | O_DIRECTORY, 0, err);
	if (r < 0)
		return r;
	*ret_fd = r;
	return 0;
}

int btrfs_filled(struct volume *v, const char *snap, const char *origin, struct err *err)
{
	_cleanup_close_ int snaps = place_open_snaps(v, false, err);
	_cleanup_close_ int fd = -1;
	struct origin o;
	int r = snaps < 0 ? snaps : parse(origin, &o, err);

	if (r < 0)
		return r;
	fd = beneath_open(snaps, BTRFS_FILLED, O_RDONLY | O_DIRECTORY, 0, err);
	if (fd < 0)
		return fd;
	r = fault_point("storage.receive.seal", err);
	if (r >= 0)
		r = subvol_set_received(fd, o.uuid, o.transid, err);
	if (r >= 0)
		r = subvol_snapshot(fd, snaps, snap, true, err);
	if (r >= 0)
		r = fault_point("storage.receive.sealed", err);
	return r < 0 ? r : btrfs_receive_clean(snaps, NULL, err);
}
