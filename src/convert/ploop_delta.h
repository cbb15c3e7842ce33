/*
 * One image file of a ploop disk: header, table of where each cluster lies, clusters in any order;
 * or, without both, the disk itself. Read only. Hostile input: everything in the header and the
 * table is checked against the size of the file before it is used.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define PLOOP_SECTOR	  512u
#define PLOOP_CLUSTER_MIN (64u * PLOOP_SECTOR)
#define PLOOP_CLUSTER_MAX (131072u * PLOOP_SECTOR)
#define PLOOP_ENTRIES_MAX (1u << 24) /* 16 TiB at the usual 1 MiB */

struct ploop_delta {
	int fd;
	bool plain;
	bool in_use;	  /* it was open for writing when it was last written, or is */
	unsigned version; /* 1 or 2 */
	uint32_t cluster; /* bytes; 0 for a plain one */
	uint64_t disk;	  /* bytes of the disk */
	uint64_t file;	  /* bytes of the file */
	uint32_t n;	  /* entries of the table */
	uint32_t *table;
};

/* Takes fd over when it succeeds. */
int ploop_delta_open(int fd, bool plain, struct ploop_delta *ret, struct err *err) _must_use_;
/* Where in the file a cluster lies; false: it is not in this delta. */
bool ploop_delta_find(const struct ploop_delta *d, uint64_t cluster, uint64_t *ret_offset);
void ploop_delta_done(struct ploop_delta *d);
