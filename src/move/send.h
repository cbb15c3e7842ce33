/*
 * Sending a container to another node: the source's side. Each step is one call; send_now runs them
 * all and cancels by itself when it fails before the hand-over. The durable record is
 * node/transfer.h, so that steps may be hours and reboots apart.
 */
#pragma once

#include "move/move.h"

struct send_opts {
	/* config */
	const char *host;	/* needed by send_config and send_now */
	uint16_t port;		/* 0: ssh's own default */
	const char *user;	/* NULL: the config's receive user */
	const char *as_id;	/* name there; NULL: the same */
	const char *to_pool;	/* NULL: the peer's default */
	const char *to_device;	/* the root on this block device of the peer; NULL: in the pool */
	bool hand_over;		/* the container's own block device, which the peer sees, too */
	const char *passphrase; /* of the key on the peer; NULL: none */
	bool accept_new_host_key;
	/* "Name=value" for ssh, NULL-terminated (link/ssh_options.h); kept for later steps; NULL:
	 * none */
	char *const *ssh_options;
	bool network;		   /* take the network interfaces along (default true) */
	bool snapshots;		   /* take the user's snapshots along (default true) */
	const char *from_snapshot; /* only this one and, with snapshots, those after it; or NULL */
	/* state */
	bool clone;	 /* copy: the source stays the owner */
	bool consistent; /* clone: stop the source for the last pass (default true) */
	bool restart;	 /* clone: start the source again (default true) */
	bool start;	 /* start there if it ran here (default true) */
	/* any */
	uint64_t bwlimit;  /* bytes per second, 0: the config's */
	int compress;	   /* zstd level, -1 adaptive, 0 off */
	bool remove;	   /* send_now: the last step removes it here (default true) */
	bool keep_partial; /* send_now that fails: leave what has arrived, for another try */
	bool dry_run;	   /* run the checks, say the plan, change nothing */
	bool force, local; /* cancel */
	/* A source that is not LXC (src/vz6/) */
	const json_t *source; /* kept in the record as "source": how the container is loaded */
	bool keep;	      /* cleanup: it stays here, stopped, with all of its files */
	/* send_now: asked when the destination is prepared; an error cancels. NULL: go on */
	int (*proceed)(void *ctx, struct err *err);
	void *proceed_ctx;
};

void send_opts_init(struct send_opts *o); /* the defaults above */

int send_config(struct move_ctx *m, const char *ct, const struct send_opts *o, json_t **ret,
	struct err *err) _must_use_;
int send_rootfs(struct move_ctx *m, const char *ct, const struct send_opts *o, json_t **ret,
	struct err *err) _must_use_;
int send_sync(struct move_ctx *m, const char *ct, const struct send_opts *o, json_t **ret,
	struct err *err) _must_use_;
int send_state(struct move_ctx *m, const char *ct, const struct send_opts *o, json_t **ret,
	struct err *err) _must_use_;
int send_cleanup(struct move_ctx *m, const char *ct, const struct send_opts *o, json_t **ret,
	struct err *err) _must_use_;
int send_cancel(struct move_ctx *m, const char *ct, const struct send_opts *o, json_t **ret,
	struct err *err) _must_use_;
int send_now(struct move_ctx *m, const char *ct, const struct send_opts *o, json_t **ret,
	struct err *err) _must_use_;
/* What both sides know, and the next step: {phase, own, peer_state, next, advice}. Never changes
 * anything. */
int send_status(struct move_ctx *m, const char *ct, json_t **ret, struct err *err) _must_use_;
/* After an unknown outcome: asks the peer and goes on if the answer decides it; otherwise says what
 * is known on both sides and which commands are safe. */
int send_resolve(struct move_ctx *m, const char *ct, const struct send_opts *o, json_t **ret,
	struct err *err) _must_use_;
