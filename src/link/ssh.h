/*
 * One SSH connection to a peer, shared by all verbs of a send (ControlMaster of our own, socket in the run directory). Host keys are always checked:
 * against Wherry's own known_hosts (STATE/send-receive/known_hosts) and the system's; an unknown one is -ERR_AUTH with its fingerprint unless accept_new. The only file
 * that knows ssh's options. Ciphers: AES-GCM first where the CPU has it. ServerAlive finds a dead link within the timeout.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/num.h"
#include "base/stream.h"

struct ssh_target {
	const char *host; /* a name or address: checked, never begins with "-" */
	const char *user;
	uint16_t port; /* 0: 22, or what ssh_config says */
	const char *identity; /* path of the private key */
	const char *known_hosts; /* path */
	bool accept_new;
	usec_t timeout; /* no answer for so long means the link is dead; default 15 s */
	char *const *options; /* more -o values of the node's configuration, may be NULL */
};

struct ssh;
int ssh_open(const struct ssh_target *t, struct ssh **ret, struct err *err) _must_use_; /* connected and authenticated */
void ssh_close(struct ssh *s); /* ends the shared connection */
void ssh_closep(struct ssh **s);

/* Runs words on the peer (its forced command decides what they mean). Each word must be free of blanks, quotes and control characters: checked. */
struct ssh_run;
int ssh_start(struct ssh *s, const char *const *words, struct ssh_run **ret, struct err *err) _must_use_;
int ssh_run_in(struct ssh_run *r);  /* its stdin: we write; -1 once taken or closed */
int ssh_run_out(struct ssh_run *r); /* its stdout: we read */
void ssh_run_close_in(struct ssh_run *r);
/* Waits for the end. 0: exit status 0. A lost connection is -ERR_UNREACHABLE, a refusal of the other side keeps the last line it said on stderr. */
int ssh_run_wait(struct ssh_run *r, usec_t deadline, struct err *err) _must_use_;
void ssh_run_free(struct ssh_run *r); /* kills what still runs */
void ssh_run_freep(struct ssh_run **r);
bool ssh_host_ok(const char *host);
