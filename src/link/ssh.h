/*
 * One SSH connection to a peer, shared by all verbs of a send: a master in the foreground, our
 * child (it dies with us), with its control socket in RUN/ssh/. Commands run through it as clients
 * of ssh's own. The only file that knows ssh's options: those that make it safe come first and win,
 * then the node's (config: ssh_option), then ours that only make it fast; the system's and root's
 * ssh_config count where none of these speaks (jump hosts, addresses).
 *
 * Host keys are always checked: against Wherry's own known_hosts, root's and the system's. A key
 * that none of them knows is -ERR_AUTH with its fingerprint, unless accept_new; one that has
 * changed always is.
 *
 *	_cleanup_ssh_ struct ssh *s = NULL;
 *	_cleanup_ssh_run_ struct ssh_run *run = NULL;	// declared later: freed before s
 *	const char *words[] = {"receive", "hello", NULL};
 *	r = ssh_open(&target, &s, &err);
 *	if (r >= 0)
 *		r = ssh_start(s, words, &run, &err);
 *	... read ssh_run_out(run) to its end ...
 *	r = ssh_run_wait(run, CLOCK_NEVER, &err);
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/num.h"

#define SSH_TIMEOUT   (15 * USEC_PER_SEC)
#define SSH_WORDS_MAX 16

struct ssh_target {
	const char *host; /* a name or address, see ssh_host_ok */
	const char *user;
	uint16_t port;		 /* 0: 22, or what ssh_config says */
	const char *identity;	 /* path of the private key */
	const char *known_hosts; /* path of Wherry's own */
	bool accept_new;	 /* an unknown host key is taken and kept there */
	usec_t timeout;		 /* no answer for so long means the link is dead; 0: SSH_TIMEOUT */
	char *const *options;	 /* "Name=value", NULL-terminated; may be NULL */
};

struct ssh;
/* Connected and authenticated. Takes copies. */
int ssh_open(const struct ssh_target *t, struct ssh **ret, struct err *err) _must_use_;
const char *ssh_host(const struct ssh *s); /* as the operator named it */
void ssh_close(struct ssh *s);		   /* ends the connection; its runs are freed before */
void ssh_closep(struct ssh **s);
#define _cleanup_ssh_ _cleanup_(ssh_closep)

/* Runs words on the peer, whose forced command decides what they mean. */
struct ssh_run;
int ssh_start(
	struct ssh *s, const char *const *words, struct ssh_run **ret, struct err *err) _must_use_;
int ssh_run_in(const struct ssh_run *r);  /* its stdin, for us to write; -1 once closed */
int ssh_run_out(const struct ssh_run *r); /* its stdout, for us to read */
void ssh_run_close_in(struct ssh_run *r);
/* Waits for the end, once. 0: exit status 0. A lost connection is -ERR_UNREACHABLE and says why; a
 * command that failed there is -ERR_PROTOCOL with the last line it said on stderr. */
int ssh_run_wait(struct ssh_run *r, usec_t deadline, struct err *err) _must_use_;
void ssh_run_free(struct ssh_run *r); /* kills what still runs */
void ssh_run_freep(struct ssh_run **r);
#define _cleanup_ssh_run_ _cleanup_(ssh_run_freep)

/* A host name, an IPv4 address, or an IPv6 address with or without brackets; never begins with "-".
 */
bool ssh_host_ok(const char *host);
/* 1 to 255 of [A-Za-z0-9_.:/@=+,-]: means the same to every shell, and to none. */
bool ssh_word_ok(const char *word);
