/*
 * Inside zfs*.c only: our form of a volume's stream: one line of JSON that says which datasets
 * come, then the stream of `zfs send` of each that is not skipped, in chunks, because only a chunk
 * of length 0 says for certain that it has ended.
 *
 *	{"zfs":1,"parts":[{"name":"","from":"wherry-1","props":{...},"canmount":"on"},
 *			  {"name":"srv/data","skip":true,...}]}\n
 *	u32 length, bytes ... u32 0
 *
 * All of it is checked: a receiver believes nothing of it.
 */
#pragma once

#include "base/json.h"
#include "base/stream.h"
#include "base/vec.h"

#define ZFS_CHUNK_MAX (1u << 18)

struct zfs_part {
	char *name;	/* relative to the volume's dataset; "" for that one */
	char *from;	/* the snapshot that it is an increment to; NULL: whole */
	json_t *props;	/* NULL: none */
	bool automount; /* canmount=on there */
	bool skip;	/* nothing of it comes: it is there already, or has no such snapshot */
	bool resume;	/* goes on where the last try broke off */
};
VEC(zfs_part_vec, struct zfs_part);
void zfs_parts_free(struct zfs_part_vec *parts);
void zfs_parts_freep(struct zfs_part_vec *parts);
#define _cleanup_zfs_parts_ _cleanup_(zfs_parts_freep)

int zfs_header_write(
	struct stream *out, const struct zfs_part_vec *parts, struct err *err) _must_use_;
int zfs_header_read(struct stream *in, struct zfs_part_vec *ret, struct err *err) _must_use_;
/* n 0 ends a part. */
int zfs_chunk_write(struct stream *out, const void *p, size_t n, struct err *err) _must_use_;
/* Into a buffer of ZFS_CHUNK_MAX; 0: the part has ended. */
int zfs_chunk_read(struct stream *in, void *buf, size_t *ret_n, struct err *err) _must_use_;

/* The first record of a stream of zfs (dmu_replay_record), which begins each part. */
#define ZFS_BEGIN_SIZE 312
struct zfs_begin {
	uint64_t toguid, fromguid;
};
/* Refuses what can do more than fill one dataset: packages of streams, which carry properties,
 * renames and deletions; clones, which name a dataset of this host by its number; raw ones. */
int zfs_begin_check(const uint8_t *p, size_t n, struct zfs_begin *ret, struct err *err) _must_use_;
