/*
 * When to run recovery (move/recover.h): when the daemon starts, when a worker died, after an
 * unknown outcome, and again with backoff while it says that something is pending. One at a time.
 */
#pragma once

#include "daemon/server.h"

void recovery_run(struct server *s); /* now, or after the one that is running */
void recovery_done(struct server *s);
