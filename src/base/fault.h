/*
 * Named fault points, in test builds only (meson -Dfaults=true): the environment, or the file
 * <state dir>/faults, says which point does what, and at which of its passes:
 *
 *	WHERRY_FAULT="handoff.released.after:kill"      kill -9 of this process there
 *	WHERRY_FAULT="stream.write:eio@3,state.commit.before:stall"
 *
 * Actions: kill, exit, eio, enospc, stall (sleep for ever), cut (fail as a lost connection). The release build
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
