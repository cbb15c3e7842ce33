/*
 * What the destination is told of a container: its model, what reaches out of it, its volumes. It
 * is told again when the configuration has changed since: hours may lie between two steps, and the
 * container is its user's until it is stopped.
 *
 * The record (fact "told") keeps what was told, under a revision that counts up before each time:
 * a message that is late has a lower one, and the destination prepares only the one it is asked
 * for.
 */
#pragma once

#include "move/sending.h"

/* s->c is what is told; takes the methods and the pool from the answer. */
int skel_tell(struct sending *s, struct err *err) _must_use_;
/* Reads the container anew, and tells it if that is not what was told last. -ERR_STATE when it
 * isn't the container any more whose data were sent; an error of the destination when it won't have
 * the change. */
int skel_refresh(struct sending *s, struct err *err) _must_use_;
/* Has the destination check all that it would check of skel_tell, and change nothing: *ret is its
 * answer, with the pool and the method of each volume. */
int skel_check(struct sending *s, json_t **ret, struct err *err) _must_use_;
uint64_t skel_revision(const struct sending *s); /* for the prepare message; 0: none told */
