/*
 * What the process that tracks changes and its clients say to each other, over a SOCK_SEQPACKET
 * socket; private to watch.c and watcher.c. Both are of this machine and of one installation.
 */
#pragma once

#include <stdint.h>

#include "tree/watch.h"

#define WATCH_MAGIC UINT32_C(0x57785731)

enum watch_kind {
	WATCH_TAKE = 1,
	WATCH_LOOK, /* does it still see that file system? No answer: no */
	WATCH_END
};

/* With TAKE and LOOK goes a descriptor of the tree's root. */
struct watch_request {
	uint32_t magic, kind;
	struct watch_stamp since;
};

/* With that of TAKE goes a memory file of n struct watch_item. */
struct watch_answer {
	uint32_t magic, known;
	struct watch_stamp now;
	uint64_t n;
};

/* The descriptors that the process is started with. */
#define WATCH_FD_LISTEN 0
#define WATCH_FD_GROUP	3
