/*
 * Lines of JSON from another process, one object a line: what goes over an ssh session besides
 * data. Bounded: a line that is not whole within LINES_MAX bytes, or is not an object, is
 * -ERR_PROTOCOL. A line without its newline was cut off and is never used. What was read too far
 * stays here, so a descriptor is read through one struct lines only.
 *
 *	_cleanup_(lines_done) struct lines l = LINES_INIT(fd);		// fd stays the caller's
 *	_cleanup_json_ json_t *msg = NULL;
 *	r = lines_next(&l, clock_deadline(timeout), &msg, &err);	// 1, 0 at the end
 */
#pragma once

#include <stddef.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"

#define LINES_MAX 131072 /* bytes, with the newline */

struct lines {
	int fd;
	bool ended; /* nothing more will come than what the buffer holds */
	/* private */
	char *buf;
	size_t from, seen, to, cap; /* unread is from..to; up to seen there is no newline */
};
#define LINES_INIT(descriptor)                                                                     \
	{                                                                                          \
		.fd = (descriptor)                                                                 \
	}

/* Waits: 1 with a line, 0 at the end, -ERR_TIMEOUT. */
int lines_next(struct lines *l, usec_t deadline, json_t **ret, struct err *err) _must_use_;
/* Does not wait and reads at most once: 1 with a line, 0 without (l->ended: there will be none). */
int lines_try(struct lines *l, json_t **ret, struct err *err) _must_use_;
void lines_done(struct lines *l);

/* line is stolen. */
int lines_write(int fd, json_t *line, usec_t idle, struct err *err) _must_use_;
