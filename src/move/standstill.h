/*
 * The stop that a send makes on the source, and its end: the fact "was_running" says that the
 * container is to run here again, and who has started it takes the fact away. So whoever finds it
 * in a record knows what to do, after whatever crash.
 */
#pragma once

#include "move/sending.h"

/* Ran it when the send wanted to stop it? */
bool standstill_ran(const struct sending *s);
/* At the beginning of a one-shot send: how the container is now is how its operator wants it. The
 * fact "ran" is taken away by `ct stop`, which is his word. */
int standstill_note_first(struct sending *s, struct err *err) _must_use_;
/* Before the stop. One that ran when its one-shot send began and has died since (or was stopped by
 * lxc-stop or from within, which looks the same) is to run there. A second try does not take a
 * stopped container for one that never ran. */
int standstill_note(struct sending *s, struct err *err) _must_use_;
/* Stops it for certain; then its configuration is looked at for the last time. */
int standstill_begin(struct sending *s, struct err *err) _must_use_;
/* Starts it here if this send stopped it, and forgets the fact. Not cancelled: who cancels wants
 * it to run. */
int standstill_end(struct sending *s, struct err *err) _must_use_;
/* The same where the ownership says `releasing` and can't be written: the hook lets this send
 * through. The fact stays. */
int standstill_end_unrecorded(struct sending *s, struct err *err) _must_use_;
