/*
 * How long nothing has come for a transfer that is arriving, by a clock that cannot be set: this
 * host's running time, counted at each look and kept in a file of the transfer's. A wall clock that
 * jumps means nothing to it, nor does the time that this host was down, when nobody could have sent
 * anything; and after a boot the sources get an hour to come back, whatever was counted before.
 *
 *	r = idle_look(t, m->cfg->receive_expire, &idle, &err);
 */
#pragma once

#include "base/boot.h"
#include "base/clock.h"
#include "node/transfer.h"

#define IDLE_AFTER_BOOT (3600 * USEC_PER_SEC)

struct idle {
	char boot[BOOT_ID_MAX];
	usec_t at;	  /* of that boot's clock: the last look */
	usec_t sum;	  /* of idle running time until then */
	uint64_t changed; /* the record's: another means that something has come */
};

/* The next look, at now of that boot. expire: what it must not come near to soon after a boot. */
void idle_advance(struct idle *i, const char *boot, usec_t now, uint64_t changed, usec_t expire);
/* Looks, and notes that durably. */
int idle_look(const struct transfer *t, usec_t expire, usec_t *ret, struct err *err) _must_use_;
/* Without noting anything: at least so long. */
usec_t idle_read(const struct transfer *t, usec_t expire);
