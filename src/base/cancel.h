/*
 * Cancelling: one per process (a worker runs one job). cancel_install makes SIGTERM and SIGINT
 * cancel; anything that waits also polls cancel_fd, anything that loops asks cancel_check. During
 * undo and after the hand-over, work is shielded: cancel_check is silent then.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

void cancel_install(void);   /* once per process; safe to leave out, then nothing cancels */
bool cancel_requested(void); /* false while shielded */
int cancel_check(struct err *err) _must_use_; /* 0, or -ERR_CANCELLED with err set */
int cancel_fd(void);	   /* readable once cancelled and not shielded; -1 if not installed */
void cancel_request(void); /* what the signal does */
void cancel_reset(void);   /* forget a request that has been obeyed */
void cancel_shield(void);  /* nests */
void cancel_unshield(void);
void cancel_forget(void); /* in a forked child: nothing installed, nothing shared with the parent */
