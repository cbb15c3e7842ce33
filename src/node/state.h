/*
 * What this node durably knows: one SQLite database (WAL, synchronous=FULL) in the state directory.
 * Every process of Wherry opens it for itself; SQLite's locks order the writers. Each call that
 * writes is one transaction and is on disk when it returns, unless it stands between state_begin
 * and state_commit. Tables by file: ownership.c, transfer.c, journal.c, job.c, keys.c, pools.c.
 *
 *	_cleanup_state_ struct state *s = NULL;
 *	r = state_open(&s, &err);
 *
 * A database that can't be opened, or is of a newer version, is an error: nobody guesses without
 * it. A write that fails with -ERR_IO or -ERR_NO_SPACE at its commit may or may not be found on
 * disk after a crash: whoever goes on reads the record again first.
 *
 * A handle belongs to one thread of one process: never use it across a fork.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

struct state;

/* As dirs_state. */
const char *state_dir(void);
/* Made when missing. The directory may be passed through but not listed (0711: sshd, as the receive
 * user, reads the authorised keys below it); the database is root's alone (0600). */
int state_open(struct state **ret, struct err *err) _must_use_;
/* For the pre-start hook: makes nothing, waits 3 s at most. -ERR_NOT_FOUND if there is none. */
int state_open_readonly(struct state **ret, struct err *err) _must_use_;
void state_close(struct state *s);
void state_closep(struct state **s);
#define _cleanup_state_ _cleanup_(state_closep)

/* BEGIN IMMEDIATE; waits up to 30 s for other writers. They do not nest. After a call that failed
 * in between, roll back. */
int state_begin(struct state *s, struct err *err) _must_use_;
int state_commit(struct state *s, struct err *err) _must_use_; /* rolls back when it fails */
void state_rollback(struct state *s);
/* What is written from here on (or no longer) decides who may run a container that is down: on a
 * full disk it may use the room that is kept for it (room.h). */
void state_vital(struct state *s, bool vital);
/* This node's own id, 40 hex digits, random, made once with the database. The handle's. */
const char *state_node_id(struct state *s);
/* 40 hex digits from the kernel's random source. */
void state_token(char ret[41]);
