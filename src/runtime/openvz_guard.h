/*
 * OpenVZ's own means against a start: the action script CTID.mount beside the configuration. vzctl
 * runs it whenever it mounts the container, so for each start, by whomever, at boot too, and gives
 * up when it fails. Ours asks this program whether this node owns the container, and fails when it
 * is not told so: then it runs the script that was there before.
 *
 *	r = openvz_guard("101", true, &err);	// 101.mount is ours, what was there is kept
 *	r = openvz_guard("101", false, &err);	// it is there again
 *
 * DISABLED=yes (runtime_disable) would do the same without a program, but holds from the moment it
 * is written: a node that reboots between two steps of a send would not start the container again.
 * So it comes after the hand-over, as the second lock on the door, and stays.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

#define OPENVZ_CONF "/etc/vz/conf" /* or WHERRY_VZ_CONF, for tests */

int openvz_guard(const char *ctid, bool on, struct err *err) _must_use_; /* idempotent, durable */
/* The same where Virtuozzo 7 and later look for it, in the private area: scripts/mount. Only of a
 * container on a disk: what else is in that folder then is the node's, not the container's. */
int openvz_guard_disk(const char *ctid, const char *private, bool on, struct err *err) _must_use_;
/* Where a start that the ownership cannot allow is allowed to one send (node/ownership.h,
 * OWN_START_TOKEN): vzctl hands no environment on to its scripts. The caller's. */
char *openvz_start_token_path(const char *ctid);
