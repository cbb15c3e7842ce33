/*
 * Inside storage/ only: what CLONE does to a file. Extents are shared where they can be; where they
 * cannot, as with blocks of another size or on a filesystem without, the data are copied and the
 * holes are made again, so that no more is written than the source really has.
 */
#pragma once

#include <stdint.h>

/* -1 with errno; EINVAL when the source ends before, or the two overlap. All sums must fit into an
 * off_t. */
int btrfs_clone(int src, uint64_t src_at, int dst, uint64_t dst_at, uint64_t len);
