/*
 * After a crash, a lost link or a reboot: what is half done is brought to an end, forward when it
 * was handed over, back otherwise. Run by the daemon when it starts, when a worker dies, and again
 * with backoff as long as something is pending. In parts, each in a worker of its own, so that
 * nothing which is slow or dead holds up what is not:
 *
 *	recover_all	   what can be decided here and now; says which of the others are needed
 *	recover_takeover   a container that belongs here since the commit: publish, start, check
 *	recover_peer	   everything that one peer must be asked or told, in one go
 *	recover_sweep	   what is left over: trash, staged data that nobody goes on sending
 *	recover_send	   a one-shot send goes on; may take hours, so it is a job
 *
 * Containers whose lock is held (a worker lives) are left alone. The result of each but the last is
 * {"pending": n, "recovered": [{ct, peer, what}]} and what is named below; pending is to be asked
 * again about later.
 */
#pragma once

#include "move/move.h"

/* "resume": [CT...], "takeover": [TOKEN...], "peers": [{peer, user, port}...]: what is to follow.
 */
int recover_all(struct move_ctx *m, json_t **ret, struct err *err) _must_use_;
int recover_takeover(
	struct move_ctx *m, const char *token, json_t **ret, struct err *err) _must_use_;
/* One that does not answer is tried once, however much waits for it: "dead". "resume" as above. */
int recover_peer(struct move_ctx *m, const char *peer, const char *user, uint16_t port,
	const json_t *ssh, json_t **ret, struct err *err) _must_use_;
/* "wake_ms": when the next transfer expires, if one does. */
int recover_sweep(struct move_ctx *m, json_t **ret, struct err *err) _must_use_;
/* Goes on with a one-shot send where it stopped; not for ever: it is cancelled in the end. */
int recover_send(struct move_ctx *m, const char *ct, json_t **ret, struct err *err) _must_use_;
