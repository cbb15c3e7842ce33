/*
 * After a crash, a lost link or a reboot: what is half done is brought to an end, forward when it
 * was handed over, back otherwise. Run by the daemon when it starts, when a worker dies, and again
 * with backoff as long as something is pending.
 */
#pragma once

#include "move/move.h"

/* result: {"pending": n, "recovered": [...]}. Containers whose lock is held (a worker lives) are
 * left alone. */
int recover_all(struct move_ctx *m, json_t **ret, struct err *err) _must_use_;
