/*
 * One pass over a container's volumes: what has changed since the last one goes to the destination.
 * The first pass is the base. Streams that break are resumed over a new connection for as long as
 * the patience lasts.
 */
#pragma once

#include "move/sending.h"

struct pass {
	bool final;	 /* the container is stopped: what is read is still */
	bool frozen;	 /* pass_freeze has taken the snapshots that are to be sent */
	usec_t patience; /* how long a lost link is tried again */
};

/* Before each: the destination is told its number, and takes nothing of an earlier one after that.
 * Durable, so not while the container is down. */
int pass_count(struct sending *s, struct err *err) _must_use_;
int pass_run(struct sending *s, const struct pass *p, struct err *err) _must_use_;
/* Sends what a broken pass has left behind. pass_run does it by itself, unless frozen. */
int pass_flush(struct sending *s, const struct pass *p, struct err *err) _must_use_;
/* Takes the snapshots of a pass that is to be sent later by pass_run: the container may run again
 * after it. No-op where snapshots aren't cheap; *ret_all says whether every volume has one. */
int pass_freeze(struct sending *s, bool *ret_all, struct err *err) _must_use_;
/* Removes every snapshot that this send made, from the record: also of volumes whose container is
 * gone. */
int pass_forget(struct sending *s, struct err *err) _must_use_;
/* What the index says of a volume has shown to be untrue: the next pass sends all of it anew. */
void pass_start_over(struct sending *s, const char *volume);
/* {NAME: {snapshot}}: what was sent last, for the prepare message. */
json_t *pass_snapshots(struct sending *s);
/* {NAME: digest} of every volume as it stands here now, by walks that share nothing with the
 * passes: for comparing with the destination's. */
int pass_digests(struct sending *s, json_t **ret, struct err *err) _must_use_;
