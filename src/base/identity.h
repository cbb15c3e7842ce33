/*
 * A process that is not our child, named so that its number can't fool us: once it has ended, the
 * number may be another's.
 *
 *	_cleanup_free_ char *who = identity_of(getpid());	// "4711 8345021", kept in a file
 *	...
 *	identity_signal(who, SIGTERM);				// that very process, or nobody
 */
#pragma once

#include <sys/types.h>

/* "PID STARTTIME" of a living process, the caller's; NULL if it is gone. */
char *identity_of(pid_t pid);
/* Nothing happens if it is gone, or if that is no identity. */
void identity_signal(const char *identity, int sig);
