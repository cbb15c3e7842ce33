/*
 * Options of ssh as an operator writes them on a command line (vzmigrate --ssh), as a list for
 * ssh_target. Words are split at blanks, nothing else: no shell ever sees them.
 *
 * Only what changes how the other node is reached is taken. What makes ssh run a command
 * (ProxyCommand, LocalCommand, Match exec, a configuration of one's own by -F), forwards something,
 * or uses another key is refused by name: scripts and panels pass this text on, and what they may
 * pass must not be worth more than a host name. Who wants a ProxyCommand writes it where only root
 * writes: root's ssh_config, or ssh_option in wherry.conf. "no" to checking host keys means here
 * what it is used for: a key that is not known yet is taken, one that has changed never is.
 *
 *	_cleanup_(ssh_options_done) struct ssh_options o = {0};
 *	r = ssh_options_parse("-p 2222", &o, &err);	// o.port
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct ssh_options {
	char *user;	 /* -l; NULL: not said */
	uint16_t port;	 /* -p; 0: not said */
	bool accept_new; /* an unknown host key is taken and kept */
	char **options;	 /* "Name=value" as ssh_target has them; NULL: none */
};

int ssh_options_parse(const char *text, struct ssh_options *ret, struct err *err) _must_use_;
/* May such a list come from anybody but root? For lists that were kept or came from another
 * process. */
bool ssh_option_ok(const char *option);
void ssh_options_done(struct ssh_options *o);
