/*
 * Is the block device that one node knows the very one that another node knows? Two names prove
 * nothing, a UUID little: a copy of a disk has the same. What is compared, from weak to strong:
 *
 *	must agree		the filesystem's type and UUID, the size of the device
 *	must not disagree	who made the device and which it is: WWN, serial, LVM's UUIDs
 *	must be there		a mark: a block that the source writes into a file of the filesystem
 *				and names by its place on the device, and that the destination
 *				reads there past all caches
 *
 * The mark is new for each hand-over, and only who can write to that filesystem can have put it
 * there, so it also proves that the peer may speak of the device at all. It is written twice: while
 * the filesystem is in use, so that what is wrong shows before anything is stopped, and as the last
 * thing before it is unmounted. Who reads the second one, raw and then through the mounted
 * filesystem, sees everything that was written before it.
 *
 *	source:		sameness_describe(v, &s), sameness_mark(v, token, &s)
 *	destination:	sameness_find(&s, token, &device)
 *			... once it is mounted: sameness_seen(rootfd, token, &s)
 *
 * Nothing here mounts or changes a device; the file is ".wherry-TOKEN" in the filesystem's root.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "storage/blockfs.h"

#define SAMENESS_IDENTITY_MAX 256
#define SAMENESS_NONCE_MAX    65 /* hex, with the NUL */

struct sameness {
	char fs[BLOCKFS_TYPE_MAX];
	char uuid[FS_UUID_MAX];
	uint64_t size;
	char identity[SAMENESS_IDENTITY_MAX]; /* "wwid:naa.6001405...", "lvm:..."; "": none */
	char nonce[SAMENESS_NONCE_MAX];	      /* "": not marked yet */
	uint64_t offset;		      /* of the mark on the device, bytes */
};

/* Of a volume with a filesystem of its own; mounted or not. */
int sameness_describe(const struct volume *v, struct sameness *ret, struct err *err) _must_use_;
/* A new mark: the file is on disk when it returns, at s->offset. rootfd: of the mounted
 * filesystem. */
int sameness_mark(int rootfd, const char *token, struct sameness *s, struct err *err) _must_use_;
/* Takes the file away; none is fine. */
int sameness_unmark(int rootfd, const char *token, struct err *err) _must_use_;
/* The one device of this node that it is, as far as s says; without a mark it is only likely.
 * -ERR_NOT_FOUND: none is visible here; -ERR_CORRUPT: one looks like it and is another; -ERR_BUSY:
 * it is, but somebody here uses it; -ERR_STATE: more than one. free: it must be free, as it is
 * after the source has let go; otherwise who has it open does not matter. */
int sameness_find(const struct sameness *s, const char *token, bool free, char **ret_device,
	struct err *err) _must_use_;
/* Does a volume of that pool have it already? */
int sameness_claimed(const char *pool_path, const struct sameness *s, const char *device, bool *ret,
	struct err *err) _must_use_;
/* The mounted filesystem shows the mark, too: what it shows is what the source wrote last. */
int sameness_seen(
	int rootfd, const char *token, const struct sameness *s, struct err *err) _must_use_;

json_t *sameness_json(const struct sameness *s);
/* Of a peer: every field bounded and of the right form. */
int sameness_from_json(const json_t *v, struct sameness *ret, struct err *err) _must_use_;

/* For tests: what a device is known as, "" for none. */
void sameness_identity(dev_t dev, char ret[SAMENESS_IDENTITY_MAX]);
