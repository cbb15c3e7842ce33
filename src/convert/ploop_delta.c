#include "convert/ploop_delta.h"

#include <endian.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"

#define SIGNATURE_1 "WithoutFreeSpace"
#define SIGNATURE_2 "WithouFreSpacExt"
#define TYPE	    2
#define IN_USE	    0x746F6E59
#define CONVERTING  2u /* flag: its format was being changed */

struct header {
	char signature[16];
	uint32_t type, heads, cylinders, cluster, n, sectors_low, sectors_high, in_use, first,
		flags;
	uint64_t extension;
} __attribute__((packed));

_Static_assert(sizeof(struct header) == 64, "as it is on disk");

void ploop_delta_done(struct ploop_delta *d)
{
	if (d->fd >= 0)
		close(d->fd);
	free(d->table);
	*d = (struct ploop_delta){.fd = -1};
}

static int read_at(int fd, void *buf, size_t n, uint64_t at, struct err *err)
{
	for (size_t done = 0; done < n;) {
		ssize_t r = pread(fd, (char *)buf + done, n - done, (off_t)(at + done));

		if (r < 0)
			return err_errno(err, "read");
		if (r == 0)
			return err_set(err, ERR_INVALID, "it ends within its table");
		done += (size_t)r;
	}
	return 0;
}

static int check_header(const struct header *h, struct ploop_delta *d, struct err *err)
{
	uint32_t sectors = le32toh(h->cluster);

	if (memcmp(h->signature, SIGNATURE_1, 16) == 0)
		d->version = 1;
	else if (memcmp(h->signature, SIGNATURE_2, 16) == 0)
		d->version = 2;
	else
		return err_set(err, ERR_INVALID, "it does not begin as a ploop image does");
	if (le32toh(h->type) != TYPE)
		return err_set(
			err, ERR_UNSUPPORTED, "it is of type %u, not %d", le32toh(h->type), TYPE);
	if (le32toh(h->flags) & CONVERTING)
		return err_set(err, ERR_UNSUPPORTED,
			"a change of its format was not finished: finish it on its node");
	if (sectors < PLOOP_CLUSTER_MIN / PLOOP_SECTOR ||
		sectors > PLOOP_CLUSTER_MAX / PLOOP_SECTOR || sectors & (sectors - 1))
		return err_set(err, ERR_INVALID, "a cluster of %u sectors cannot be", sectors);
	d->cluster = sectors * PLOOP_SECTOR;
	d->n = le32toh(h->n);
	if (d->n > PLOOP_ENTRIES_MAX || sizeof(*h) + 4 * (uint64_t)d->n > d->file)
		return err_set(
			err, ERR_INVALID, "a table of %u clusters does not fit into it", d->n);
	d->disk = le32toh(h->sectors_low);
	if (d->version == 2)
		d->disk |= (uint64_t)le32toh(h->sectors_high) << 32;
	if (d->disk > UINT64_MAX / PLOOP_SECTOR / 2)
		return err_set(err, ERR_INVALID, "no disk is as large as it says");
	d->disk *= PLOOP_SECTOR;
	d->in_use = le32toh(h->in_use) == IN_USE;
	return 0;
}

/* Entries become numbers of clusters of the file; version 1 has sectors there. */
static int check_entry(
	const struct ploop_delta *d, uint32_t i, uint64_t first, uint8_t *seen, struct err *err)
{
	uint32_t e = d->table[i], sectors = d->cluster / PLOOP_SECTOR;
	uint64_t at;

	if (e == 0)
		return 0;
	if (d->version == 1 && e % sectors)
		return err_set(err, ERR_INVALID, "cluster %u lies across others", i);
	if (d->version == 1)
		d->table[i] = e = e / sectors;
	at = (uint64_t)e * d->cluster;
	if (at < first || at + d->cluster > d->file)
		return err_set(err, ERR_INVALID, "cluster %u lies outside of its data", i);
	if (seen[e / 8] & 1 << e % 8)
		return err_set(err, ERR_INVALID, "cluster %u lies where another one does", i);
	seen[e / 8] |= (uint8_t)(1 << e % 8);
	return 0;
}

/* More clusters than a table can name are not looked at. */
static int check_table(struct ploop_delta *d, uint64_t first, struct err *err)
{
	uint64_t clusters = d->file / d->cluster + 1;
	_cleanup_free_ uint8_t *seen = NULL;
	int r = 0;

	if (clusters > (uint64_t)PLOOP_ENTRIES_MAX * 16)
		return err_set(err, ERR_INVALID, "the file is too large for its clusters");
	seen = xcalloc(clusters / 8 + 1, 1);
	for (uint32_t i = 0; r >= 0 && i < d->n; i++)
		r = check_entry(d, i, first, seen, err);
	return r;
}

static int read_table(struct ploop_delta *d, const struct header *h, struct err *err)
{
	uint64_t end = sizeof(*h) + 4 * (uint64_t)d->n,
		 first = (uint64_t)le32toh(h->first) * PLOOP_SECTOR;
	int r;

	if (first == 0) /* old ones do not say it */
		first = end;
	if (first < end)
		return err_set(err, ERR_INVALID, "its data begins within its table");
	d->table = xreallocarray(NULL, MAX(d->n, 1u), sizeof(uint32_t));
	r = read_at(d->fd, d->table, 4 * (size_t)d->n, sizeof(*h), err);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < d->n; i++)
		d->table[i] = le32toh(d->table[i]);
	return check_table(d, first, err);
}

int ploop_delta_open(int fd, bool plain, struct ploop_delta *ret, struct err *err)
{
	struct ploop_delta d = {.fd = fd, .plain = plain};
	struct header h;
	struct stat st;
	int r = 0;

	if (fstat(fd, &st) < 0)
		return err_errno(err, "look at it");
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_INVALID, "it is not a file");
	d.file = (uint64_t)st.st_size;
	d.disk = d.file;
	if (!plain) {
		if (d.file < sizeof(h))
			return err_set(err, ERR_INVALID, "it does not begin as a ploop image does");
		r = read_at(fd, &h, sizeof(h), 0, err);
		if (r >= 0)
			r = check_header(&h, &d, err);
		if (r >= 0)
			r = read_table(&d, &h, err);
	}
	if (r < 0) {
		free(d.table);
		return r;
	}
	*ret = d;
	return 0;
}

bool ploop_delta_find(const struct ploop_delta *d, uint64_t cluster, uint64_t *ret_offset)
{
	if (cluster >= d->n || !d->table[cluster])
		return false;
	*ret_offset = (uint64_t)d->table[cluster] * d->cluster;
	return true;
}
