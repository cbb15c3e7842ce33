/*
 * From the configuration of an OpenVZ container to the model, with an account of every line.
 *
 *	struct convert_options o = {.name = "101"};
 *	_cleanup_conversion_ struct conversion *c = NULL;
 *	r = convert_config(&(struct convert_source){conf, n, global, m}, &o, &c, &err);
 *	char *text = report_text(c);		// convert/report.h
 *
 * Nothing is read but what is given, nothing is run and nothing on the host is looked at: the same
 * files give the same container anywhere. Where the files lie, what their guest needs and where
 * they go is others' part: what the configuration says of it is in the conversion.
 *
 * Each map_NOUN.c decides about the parameters of one noun (map.h).
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "convert/ve_param.h"
#include "model/container.h"

struct convert_source {
	const char *conf; /* of the container */
	size_t conf_n;
	const char *global; /* the node's vz.conf, NULL: there is none */
	size_t global_n;
};

struct convert_options {
	const char *name;	  /* of the container, as a rule its number: container_name_ok */
	bool routed;		  /* venet becomes a routed interface, not one on a bridge */
	const char *netif_name;	  /* of that interface, NULL: eth0 */
	const char *netif_hwaddr; /* NULL: drawn */
	const char *bridge;	  /* for interfaces that name none, NULL: lxcbr0 */
	uint32_t cpus;		  /* of the source's node, for "50%"; 0: not known */
	bool unprivileged;	  /* with a range of ids of its own; OpenVZ has none */
};

/* Limits of disk space; VE_UNLIMITED where there is none. */
struct ve_quota {
	uint64_t soft_bytes, hard_bytes;
	uint64_t soft_inodes, hard_inodes;
	bool set; /* there is a limit */
};

enum ve_layout { VE_LAYOUT_UNSAID, VE_LAYOUT_SIMFS, VE_LAYOUT_PLOOP };

struct conversion {
	struct ve ve;
	struct container *ct; /* its root volume has no path */
	/* What the model has no place for. */
	struct ve_quota quota;
	char *root, *private; /* the source's folders, $VEID replaced */
	enum ve_layout layout;
	char *distribution, *version;  /* what the template's name says, may be NULL */
	char **nameservers, **domains; /* for its resolv.conf; NULL: leave it */
	bool inherit_dns;	       /* the destination's own name servers */
	char **modules;		       /* of the kernel, that the destination should have */
	uint64_t stop_timeout;	       /* seconds, 0: not said */
};

int convert_config(const struct convert_source *src, const struct convert_options *o,
	struct conversion **ret, struct err *err) _must_use_;
void conversion_free(struct conversion *c);
void conversion_freep(struct conversion **c);
#define _cleanup_conversion_ _cleanup_(conversion_freep)

/* A finite limit that is not kept, or a line that could not be read: --strict fails. Counts them.
 */
size_t conversion_lost(const struct conversion *c);
