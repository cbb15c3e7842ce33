/*
 * Named fault points, in test builds only (meson -Dfaults=true): the environment, or the file that
 * WHERRY_FAULT_FILE names (read anew at each point, so that it reaches running daemons), says which
 * point does what, and at which of its passes in this process (without "@": at each):
 *
 *	WHERRY_FAULT="handoff.released.after:kill"      kill -9 of this process there
 *	WHERRY_FAULT="stream.write:eio@3,state.commit.before:stall"
 *
 * Actions: kill, exit, eio, enospc, stall (sleep for ever), cut (fail as a lost connection), hold
 * (until WHERRY_FAULT_FILE exists again, which it removes). With "!" behind it, in the file, an
 * entry acts once in all processes together: who acts removes the file. An unknown action aborts.
 * "#3" in place of "@3" counts the passes of all processes, as WHERRY_FAULT_TRACE has them.
 * WHERRY_FAULT_TRACE names a file that collects the points passed, one a line. The release build
 * compiles each point to nothing.
 */
#pragma once

#include "base/err.h"

#ifdef WHERRY_FAULTS
int fault_point(const char *name, struct err *err) _must_use_;
#else
static inline int fault_point(const char *name, struct err *err)
{
	(void)name;
	(void)err;
	return 0;
}
#endif
