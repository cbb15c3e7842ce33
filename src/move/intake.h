/*
 * `receive base` and `receive incremental`: one volume's data comes in. What is applied is durable
 * before it is acknowledged as synced, and the record says where a broken stream goes on.
 */
#pragma once

#include "move/receiving.h"

struct intake {
	bool base, final;
	const char *volume, *snap, *from; /* snap and from: NULL where there are none */
	uint64_t pass;			  /* the source's count; 0: said by hand */
	const char *origin;		  /* of a native first copy that comes as a tree, or NULL */
};

/* VOLUME [SNAPSHOT] [from=SNAP] [origin=ORIGIN] [pass=N] [final] after the ID. */
int intake_parse(char *const *words, bool base, struct intake *ret, struct err *err) _must_use_;
/* May they come? Also asked before the lock is taken: a late message interrupts nobody. */
int intake_check(struct receiving *r, const struct intake *in, struct err *err) _must_use_;
/* Answers {"ready"}, takes the stream, *ret is the last answer. */
int intake_run(
	struct receiving *r, const struct intake *in, json_t **ret, struct err *err) _must_use_;
