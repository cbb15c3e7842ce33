/*
 * What this node durably knows: one SQLite database (WAL, synchronous=FULL) in the state directory. Every process of Wherry opens it
 * for itself; SQLite's locks order the writers. Each call that writes is one transaction and is on disk when it returns, unless it
 * stands between state_begin and state_commit. Tables by file: ownership.c, transfer.c, journal.c, job.c, keys.c, pools.c.
 *
 * A database that can't be opened, or is of a newer version, is an error: nobody guesses without it.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

struct state;

/* /var/lib/wherry, or WHERRY_STATE_DIR (tests). Static storage. */
const char *state_dir(void);
int state_open(struct state **ret, struct err *err) _must_use_;		/* made when missing, mode 0700 */
int state_open_readonly(struct state **ret, struct err *err) _must_use_; /* for the pre-start hook; -ERR_NOT_FOUND if there is none */
void state_close(struct state *s);
void state_closep(struct state **s);
#define _cleanup_state_ _cleanup_(state_closep)

int state_begin(struct state *s, struct err *err) _must_use_; /* BEGIN IMMEDIATE; waits up to 30 s for other writers */
int state_commit(struct state *s, struct err *err) _must_use_;
void state_rollback(struct state *s);
/* This node's own id (random, made once) and a settings table for small things. */
const char *state_node_id(struct state *s);
/* 40 hex digits from the kernel's random source. */
void state_token(char ret[41]);
