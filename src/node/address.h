/*
 * Lists of client addresses as sshd's from= has them, without host names: comma-separated
 * "192.0.2.7", "2001:db8::/32", "10.1.*", each with an optional "!" in front that excludes. What is
 * in no entry is not allowed. The same text goes to sshd, so it must mean the same there.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

int address_list_check(const char *list, struct err *err) _must_use_; /* -ERR_INVALID */
/* address: as text, no name. An IPv4 address in IPv6 clothes (::ffff:192.0.2.7) is the IPv4 one.
 * False also for a bad list or address. */
bool address_list_has(const char *list, const char *address);
