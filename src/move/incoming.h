/*
 * What is arriving on this node, as its operator sees it: which containers, from whom, how much of
 * each; what ends one whose source has vanished, by hand or after a time; and what of the space is
 * promised to them. Only before the hand-over: what belongs to this node is no longer "arriving".
 *
 *	r = incoming_cancel(m, "web", false, &result, &err);
 */
#pragma once

#include "base/num.h"
#include "move/move.h"
#include "node/transfer.h"
#include "storage/pool.h"

/* [{ct, token, key, peer, pool, phase, bytes, total_bytes, opened, changed, idle_ms, expires,
 * job}]: oldest first. */
int incoming_list(struct move_ctx *m, json_t **ret_array, struct err *err) _must_use_;
/* id: a token, or the name of a container that is arriving. Ends the transfer with the promise
 * never to run it, and removes what has come; a worker that is receiving it is stopped. One that is
 * prepared may be handed over already for all we know, and its source be gone: that needs force.
 * After the hand-over -ERR_STATE, with the command that decides. */
int incoming_cancel(
	struct move_ctx *m, const char *id, bool force, json_t **ret, struct err *err) _must_use_;
/* Ends it if nothing has come for longer than [receive] expire allows, by idle.h's clock; never a
 * prepared one.
 * Returns 1 when it was ended. *ret_left: how long it has otherwise; CLOCK_NEVER: for ever. */
int incoming_expire(
	struct move_ctx *m, struct transfer *t, usec_t *ret_left, struct err *err) _must_use_;

/* One at a time decides what is free and promises it: held from the look at the space to the
 * record.
 */
int incoming_reserve_lock(int *ret_fd, struct err *err) _must_use_;
/* How many are open of that key. */
int incoming_of_key(struct move_ctx *m, const char *key, uint64_t *ret, struct err *err) _must_use_;
/* What is promised in the filesystem of that pool, and has not come yet. */
int incoming_promised(struct move_ctx *m, const struct pool *pool, uint64_t *ret_bytes,
	uint64_t *ret_inodes, struct err *err) _must_use_;
