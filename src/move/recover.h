/*
 * After a crash, a lost link or a reboot: what is half done is brought to an end, forward when it
 * was handed over, back otherwise. Run by the daemon when it starts, when a worker dies, and again
 * with backoff as long as something is pending.
 */
#pragma once

#include "move/move.h"

/* result: {"pending": n, "recovered": [...], "resume": [CT...]}: what to ask again about later,
 * what came to an end now, and whose one-shot send is to go on, by recover_send in a job of its
 * own. Containers whose lock is held (a worker lives) are left alone. */
int recover_all(struct move_ctx *m, json_t **ret, struct err *err) _must_use_;
/* Goes on with a one-shot send where it stopped; not for ever: it is cancelled in the end. */
int recover_send(struct move_ctx *m, const char *ct, json_t **ret, struct err *err) _must_use_;
