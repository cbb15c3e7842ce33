/*
 * Settling what this node owes a container (node/pledge.h), by the process that owed it when it
 * fails, or by recovery when that has died. Idempotent; accepts that any of it never came to be.
 * The caller holds the container's lock. Facts:
 *
 *	export	start		it ran: it is to run again
 *		partial		a file that is not finished
 *	import	pool		where its volumes are being made, beneath the pledge's token
 *		volumes		their names
 *		published	their final places are ours too
 *
 * An import whose configuration stands is done: then nothing but what lay about is removed. Of an
 * export, the snapshots that go by its token are removed.
 */
#pragma once

#include "move/move.h"
#include "node/pledge.h"
#include "storage/storage.h"

/* Shielded from cancelling. When all is well, the pledge is dropped. */
int promise_settle(struct move_ctx *m, struct pledge *p, struct err *err) _must_use_;
/* Recovery: all pledges whose container nobody has locked; *ret_pending of them are still owed. */
int promise_settle_all(struct move_ctx *m,
	void (*note)(void *ctx, const char *ct, const char *what), void *ctx, uint64_t *ret_pending,
	struct err *err) _must_use_;
/* "wherry-1f3a9b2c": of the snapshots of an export. */
char *promise_snapshot(const struct pledge *p);
/* The container is started again, if it ran; from then on nobody owes that. */
int promise_start_again(struct move_ctx *m, struct pledge *p, struct err *err) _must_use_;
