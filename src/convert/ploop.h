/*
 * A ploop disk, read without the kernel module that only OpenVZ has: images of versions 1 and 2, a
 * plain base, chains of snapshots. Read only; nothing here writes to the disk's folder.
 *
 *	_cleanup_ploop_ struct ploop *p = NULL;
 *	r = ploop_open(dirfd, NULL, 0, &p, &err);	// the folder with DiskDescriptor.xml
 *	r = ploop_partition(p, &part, &err);		// where its file system is
 *	r = ploop_extract(p, part.offset, part.size, fd, progress, &err);
 *
 * The image that is written is sparse: what no delta has stays a hole.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/progress.h"
#include "base/vec.h"
#include "convert/ploop_delta.h"

#define PLOOP_IN_USE 1u /* also one that is, or was, open for writing: what is read may be torn */

VEC(ploop_delta_vec, struct ploop_delta);

struct ploop {
	struct ploop_delta_vec deltas; /* the top first */
	uint64_t size;		       /* bytes of the disk */
	uint32_t cluster;	       /* bytes, of those that have clusters */
};

/* guid: of a snapshot, NULL for what the disk is now. */
int ploop_open(int dirfd, const char *guid, unsigned flags, struct ploop **ret,
	struct err *err) _must_use_;
/* Of deltas that are open, the top first; they are taken over in any case. */
int ploop_assemble(struct ploop_delta_vec *deltas, uint64_t size, unsigned flags,
	struct ploop **ret, struct err *err) _must_use_;
void ploop_free(struct ploop *p);
void ploop_freep(struct ploop **p);
#define _cleanup_ploop_ _cleanup_(ploop_freep)

/* n bytes at offset, all of which must lie on the disk. */
int ploop_read(
	const struct ploop *p, uint64_t offset, void *buf, size_t n, struct err *err) _must_use_;
/* Does some delta have bytes there? *ret_n is for how many bytes from offset that holds, at least
 * 1. */
bool ploop_has(const struct ploop *p, uint64_t offset, uint64_t *ret_n);

struct ploop_part {
	uint64_t offset, size;
};
/* The first partition, or the whole disk if it has no table and a file system. */
int ploop_partition(const struct ploop *p, struct ploop_part *ret, struct err *err) _must_use_;
/* Writes size bytes at offset into fd: a file, from its start and sparse, or a pipe. */
int ploop_extract(const struct ploop *p, uint64_t offset, uint64_t size, int fd,
	struct progress *progress, struct err *err) _must_use_;
