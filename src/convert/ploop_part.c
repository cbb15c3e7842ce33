/*
 * The partition table of a ploop disk: GPT with one partition. Both of its copies are tried.
 */
#include <endian.h>
#include <string.h>

#include "base/alloc.h"
#include "convert/ploop.h"

#define ENTRIES_MAX 1024
#define EXT_MAGIC   0xEF53
#define EXT_AT	    (1024 + 56)
#define XFS_MAGIC   "XFSB"

struct gpt {
	char signature[8];
	uint32_t revision, size, crc, reserved;
	uint64_t my_lba, other_lba, first_usable, last_usable;
	uint8_t guid[16];
	uint64_t entries_lba;
	uint32_t entries, entry_size, entries_crc;
} __attribute__((packed));

struct gpt_entry {
	uint8_t type[16], guid[16];
	uint64_t first, last, attributes;
} __attribute__((packed));

/* CRC-32 of IEEE 802.3, as UEFI has it. */
static uint32_t crc32_of(const void *data, size_t n)
{
	const uint8_t *p = data;
	uint32_t crc = ~0u;

	for (size_t i = 0; i < n; i++) {
		crc ^= p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
	}
	return ~crc;
}

static bool check_crc(struct gpt *h, const char *sector)
{
	_cleanup_free_ char *copy = xmemdup(sector, PLOOP_SECTOR);
	uint32_t size = le32toh(h->size);

	if (size < sizeof(*h) || size > PLOOP_SECTOR)
		return false;
	memset(copy + offsetof(struct gpt, crc), 0, sizeof(h->crc));
	return crc32_of(copy, size) == le32toh(h->crc);
}

/* The first entry that is used. */
static bool first_entry(const struct ploop *p, const struct gpt *h, struct ploop_part *ret)
{
	uint32_t n = le32toh(h->entries), size = le32toh(h->entry_size);
	uint64_t at = le64toh(h->entries_lba);
	_cleanup_free_ char *table = NULL;
	struct err ignored = ERR_INIT;
	static const uint8_t none[16];

	if (n == 0 || n > ENTRIES_MAX || size < sizeof(struct gpt_entry) || size > 4096 ||
		at > p->size / PLOOP_SECTOR)
		return false;
	table = xreallocarray(NULL, n, size);
	if (ploop_read(p, at * PLOOP_SECTOR, table, (size_t)n * size, &ignored) < 0 ||
		crc32_of(table, (size_t)n * size) != le32toh(h->entries_crc))
		return false;
	for (uint32_t i = 0; i < n; i++) {
		struct gpt_entry e;
		uint64_t first, last;

		memcpy(&e, table + (size_t)i * size, sizeof(e));
		first = le64toh(e.first);
		last = le64toh(e.last);
		if (memcmp(e.type, none, sizeof(none)) == 0)
			continue;
		if (first == 0 || last < first || last >= p->size / PLOOP_SECTOR)
			return false;
		*ret = (struct ploop_part){first * PLOOP_SECTOR, (last - first + 1) * PLOOP_SECTOR};
		return true;
	}
	return false;
}

static bool read_gpt(const struct ploop *p, uint64_t lba, struct ploop_part *ret)
{
	char sector[PLOOP_SECTOR];
	struct err ignored = ERR_INIT;
	struct gpt h;

	if (ploop_read(p, lba * PLOOP_SECTOR, sector, sizeof(sector), &ignored) < 0)
		return false;
	memcpy(&h, sector, sizeof(h));
	return memcmp(h.signature, "EFI PART", 8) == 0 && le64toh(h.my_lba) == lba &&
	       check_crc(&h, sector) && first_entry(p, &h, ret);
}

static bool is_filesystem(const struct ploop *p, uint64_t offset)
{
	struct err ignored = ERR_INIT;
	uint16_t magic = 0;
	char xfs[4] = "";

	if (ploop_read(p, offset + EXT_AT, &magic, sizeof(magic), &ignored) >= 0 &&
		le16toh(magic) == EXT_MAGIC)
		return true;
	return ploop_read(p, offset, xfs, sizeof(xfs), &ignored) >= 0 &&
	       memcmp(xfs, XFS_MAGIC, sizeof(xfs)) == 0;
}

int ploop_partition(const struct ploop *p, struct ploop_part *ret, struct err *err)
{
	static const uint64_t places[] = {0, 1u << 20}; /* no table; one that is damaged */

	if (p->size >= 3 * PLOOP_SECTOR &&
		(read_gpt(p, 1, ret) || read_gpt(p, p->size / PLOOP_SECTOR - 1, ret)))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (places[i] < p->size && is_filesystem(p, places[i])) {
			*ret = (struct ploop_part){places[i], p->size - places[i]};
			return 0;
		}
	return err_set(
		err, ERR_UNSUPPORTED, "there is neither a partition nor a file system on the disk");
}
