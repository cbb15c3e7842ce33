/*
 * When to run recovery (move/recover.h): when the daemon starts, when a worker died, after an
 * unknown outcome, again with backoff while it says that something is pending, and every hour. The
 * first part of a round decides what can be decided here and says what else there is; those parts
 * run side by side, and none of them keeps the next round from beginning. What is local never waits
 * for a peer, and peers that may be alive do not wait for those that did not answer last time.
 */
#pragma once

#include "daemon/server.h"

void recovery_run(struct server *s); /* now, or after the one that is running */
void recovery_done(struct server *s);
