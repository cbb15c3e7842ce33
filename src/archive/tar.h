/*
 * The tar file inside an osctl archive: the files of a root, with ids as the container sees them.
 * In the pax form, which GNU tar writes and reads too; ACLs, all extended attributes, holes, times
 * to the nanosecond. What tar has no form for (sockets, chattr flags that are the kernel's own) is
 * left out: sockets are counted.
 *
 * Reading is done by a process of its own that has the root as its root: whatever the names, links
 * and symlinks in a hostile file say, they lead nowhere else.
 */
#pragma once

#include "archive/archive.h"
#include "model/idmap.h"

struct tar_result {
	uint64_t entries, bytes, sockets;
};

/* At fd's place, compressed. still: what changes meanwhile is an error. */
int tar_write(int rootfd, const struct idmap *map, int fd, enum archive_compression compression,
	bool still, struct progress *p, struct tar_result *ret, struct err *err) _must_use_;

struct tar_reader;
struct tar_limits {
	uint64_t max_size;	/* bytes of content, 0: none */
	uint64_t bytes, inodes; /* that are to stay free */
};
/* rootfd: an empty directory of ours. gzip: what is fed is that; zstd is found out. */
int tar_reader_new(int rootfd, const struct idmap *map, bool gzip, const struct tar_limits *limits,
	struct tar_reader **ret, struct err *err) _must_use_;
int tar_reader_feed(struct tar_reader *t, const void *buf, size_t n, struct err *err) _must_use_;
/* All has been fed: 0 if it was complete and is unpacked. */
int tar_reader_end(struct tar_reader *t, struct err *err) _must_use_;
void tar_reader_free(struct tar_reader *t);
