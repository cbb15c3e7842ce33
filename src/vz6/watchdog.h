/*
 * Who does what wherryd does elsewhere: brings what broke off to its end. Each command that changes
 * something starts a process which waits for its end, however it ends, and then recovers
 * (vz6_recover) until nothing is pending; after a reboot, cron does: while anything is open, there
 * is a line in /etc/cron.d.
 */
#pragma once

#include "node/state.h"

/* Called once, before anything is changed: from then on there is a line for cron, too, as the node
 * may go down before this command comes to its end. */
int watchdog_start(struct err *err) _must_use_;
/* In the watchdog: waits for the end of who started it. */
void watchdog_wait(void);
/* There is, or is not, a line for cron: not needed is said at the end of a command, and heeded when
 * no other runs. Best effort: many a node has no cron. */
void watchdog_at_boot(bool needed);
