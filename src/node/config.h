/*
 * /etc/wherry/wherry.conf: "key = value" lines under [sections], # comments. Unknown keys are
 * errors with their line, a missing file is all defaults. wherry.conf(5) describes each key.
 *
 *	[node]
 *	receive_user = wherry-receive	# documents: osctl-ct-receive, migration
 *	[receive]
 *	idmap = b 0 200000 65536		# unprivileged containers that arrive get this map
 *	expire = 7d			# what nobody goes on sending is removed after that
 *	open_per_key = 100
 *	[bridges]
 *	br0 = lxcbr0			# what arrives on br0 is plugged into lxcbr0 here
 *	[send]
 *	sync_rounds = 3
 *	[stop]
 *	timeout = 60s
 *	[health]
 *	timeout = 30s
 *	tcp = 80			# or command = /usr/bin/systemctl is-system-running --wait
 *	[link]
 *	timeout = 15s
 *	bwlimit = 0
 *	ssh_option = ProxyJump=gate	# may stand several times
 *
 * A "#" at the beginning of a line or after a blank begins a comment. There is no quoting.
 */
#pragma once

#include "base/err.h"
#include "base/num.h"

struct config {
	char *receive_user;
	char *idmap;	/* of unprivileged containers that arrive, as lxc.idmap; NULL: theirs */
	char **bridges; /* pairs: from, to, ..., NULL; NULL: none */
	usec_t stop_timeout, health_timeout, link_timeout;
	usec_t receive_expire; /* without activity, of what is arriving; 0: never */
	uint32_t open_per_key; /* containers that are arriving with one key; 0: no limit */
	uint64_t bwlimit;      /* bytes per second over all jobs, 0: none */
	char *health_tcp, *health_command; /* NULL: only that the init is alive */
	char **ssh_options;		   /* "Name=value", each for one -o of ssh's; NULL: none */
	uint32_t sync_rounds; /* most sync passes of a one-shot send before the stop; default 3 */
};

/* WHERRY_CONFIG or /etc/wherry/wherry.conf. */
int config_load(struct config **ret, struct err *err) _must_use_;
/* name stands in errors: "NAME:LINE: ...". */
int config_parse(const char *text, size_t n, const char *name, struct config **ret,
	struct err *err) _must_use_;
const char *config_bridge(const struct config *c, const char *arriving); /* mapped, or itself */
void config_free(struct config *c);
void config_freep(struct config **c);
#define _cleanup_config_ _cleanup_(config_freep)
