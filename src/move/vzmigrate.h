/*
 * `vzmigrate` as OpenVZ's administrators know it, by the send engine: which container is meant,
 * what its options mean for a send, and what can't be done (yet). Where its files go:
 *
 *	from a pool			copied into the pool there
 *	from a pool, dst_device		copied onto that device
 *	on a device of its own		the device itself is handed over: both hosts must see it
 *	on one, dst_device		copied onto that one
 *	on one, dst_pooled		copied into the pool there
 */
#pragma once

#include "move/send.h"

struct vzmigrate_opts {
	const char *host, *ct;	/* ct: its name, or the host name it has inside */
	const char *dst_device; /* copy the root onto this one there; NULL: not so */
	const char *dump_device;
	bool dst_pooled; /* copy it into the pool there, whatever it is on here */
	bool online, keep_dst, dry_run;
	bool remove;	 /* the source's files, in the end (default true) */
	const char *ssh; /* options of ssh, as link/ssh_options.h reads them; NULL: none */
};

/* The result is send_now's. What `--online` asks for is -ERR_STATE if the container does not run,
 * and -ERR_UNSUPPORTED if it does. */
int vzmigrate_run(struct move_ctx *m, const struct vzmigrate_opts *o, json_t **ret,
	struct err *err) _must_use_;
