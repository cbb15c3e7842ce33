/*
 * What is inside a container's root, as far as it matters for where it runs: distribution, init,
 * the age of systemd, 32 or 64 bits. Looked at beneath the root without following its links;
 * nothing in it is run or believed beyond its words.
 *
 *	struct guest g;
 *	r = guest_look(rootfd, &g, &err);
 *	if (g.init == INIT_SYSTEMD && g.systemd && g.systemd < 232) ...
 *	guest_done(&g);
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

enum guest_family {
	FAMILY_OTHER = 0,
	FAMILY_DEBIAN = 1, /* and Ubuntu, Devuan */
	FAMILY_REDHAT = 2, /* and Fedora, CentOS, Alma, Rocky, Scientific */
	FAMILY_SUSE = 4,
	FAMILY_ALPINE = 8,
	FAMILY_ARCH = 16,
	FAMILY_GENTOO = 32,
	FAMILY_SLACKWARE = 64,
	FAMILY_VOID = 128,
	FAMILY_NIXOS = 256,
};

enum guest_init { INIT_OTHER, INIT_SYSTEMD, INIT_UPSTART, INIT_SYSV, INIT_OPENRC, INIT_RUNIT };

struct guest {
	int root; /* the caller's */
	enum guest_family family;
	char id[32], version[32]; /* "centos", "6.10"; "" where it does not say */
	unsigned major;		  /* of version, 0: not known */
	enum guest_init init;
	unsigned systemd; /* its version, 0: none or not known */
	bool is_32_bit;
};

/* -ERR_INVALID where there is nothing that could be a system: neither /etc nor /sbin. */
int guest_look(int root, struct guest *ret, struct err *err) _must_use_;
/* Did OpenVZ leave something in it that a fix-up is for, or fix-ups what they took? */
bool guest_has_traces(int root);
/* Is it the root that we run in ourselves, or that of process 1? */
bool guest_is_host(int root);
const char *guest_init_name(enum guest_init init);

/* A regular file beneath root of at most max bytes (0: there is none, or something else is there).
 */
int guest_read(int root, const char *path, size_t max, char **ret, struct err *err) _must_use_;
bool guest_has(int root, const char *path); /* whatever it is; no link on the way */
