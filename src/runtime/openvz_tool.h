/*
 * vzctl and vzlist as programs: what is asked of them, and what they may answer. An answer that is
 * not one of the known forms is an error, never a guess. No shell is involved.
 *
 *	struct vz_status s;
 *	r = vz_status("101", &s, &err);
 *	r = vz_do((const char *[]){"start", NULL}, "101", deadline, NULL, &err);
 */
#pragma once

#include <stdbool.h>

#include "base/clock.h"
#include "base/err.h"

struct vz_status {
	bool exists, mounted, running, suspended;
};

/* A number as OpenVZ takes it: 1 to 2^31 - 1 without zeros in front; not 0, which is the node. */
bool vz_ctid_ok(const char *name);

/* `vzctl status`: "CTID 101 exist mounted running". */
int vz_status(const char *ctid, struct vz_status *ret, struct err *err) _must_use_;
/* The same from its answer, for tests. */
int vz_status_parse(
	const char *text, const char *ctid, struct vz_status *ret, struct err *err) _must_use_;
/* One field of one container, as `vzlist -a -H -o FIELD CTID` prints it; "-" is "". */
int vz_field(const char *ctid, const char *field, char **ret, struct err *err) _must_use_;
/* The numbers of all containers that have one; those with a UUID are passed over. */
int vz_list(char ***ret, struct err *err) _must_use_;

/* The codes of vzctl that mean something here. */
enum { VZ_LOCKED = 9, VZ_NOT_RUNNING = 31, VZ_RUNNING = 32, VZ_NOT_MOUNTED = 40 };

/* `vzctl WORDS[0] CTID WORDS[1]...`. It outlives us: killed half way, it would leave worse than
 * nothing. A container that is locked is waited for until the deadline. *ret_code (may be NULL) is
 * its exit status. */
int vz_do(const char *const *words, const char *ctid, usec_t deadline, int *ret_code,
	struct err *err) _must_use_;
