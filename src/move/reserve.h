/*
 * The first step of a send: everything that can be checked is checked, then the destination
 * reserves name and place.
 */
#pragma once

#include "move/sending.h"

/* The container exists, is ours, isn't being sent, and its host answers in our protocol; its
 * volumes are there and measured. Nothing is changed here or there. The lock is held from here on;
 * *ret has a transfer that isn't recorded yet. */
int reserve_check(struct move_ctx *m, const char *ct, const struct send_opts *o,
	struct sending **ret, struct err *err) _must_use_;
int reserve_record(
	struct sending *s, struct err *err) _must_use_; /* the transfer becomes durable */
int reserve_run(struct sending *s, struct err *err) _must_use_;
/* Cancels on the peer, takes the guard off, ends the token. With --local or --force the peer is not
 * needed. */
int reserve_undo(struct sending *s, struct err *err) _must_use_;
/* The same of a first step that broke off, without asking the peer: the record says that it is to
 * be told. */
int reserve_undo_here(struct sending *s, struct err *err) _must_use_;
/* A cleanup that it hasn't heard of, likewise. */
int reserve_tell_cleanup(struct move_ctx *m, const struct transfer *t, struct err *err) _must_use_;
/* A cancel that the peer hasn't heard of yet; 0: it has now, and the caller drops the fact
 * "tell_cancel". Used by recovery. */
int reserve_tell_cancel(struct move_ctx *m, const struct transfer *t, struct err *err) _must_use_;
/* Removes what a send that has ended (its record says "unswept") left on the source: snapshots,
 * indexes, the pre-start hook. Idempotent. */
int reserve_sweep(struct sending *s, struct err *err) _must_use_;
