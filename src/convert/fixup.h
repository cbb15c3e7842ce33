/*
 * What a container of OpenVZ needs changed inside before it boots elsewhere, and what a tool can
 * only tell of. A fix-up has a name, can be left out by it, does nothing the second time, and is
 * taken back by fix_revert (fix_edit.h).
 *
 *	struct fixup_options o = {.nameservers = c->nameservers};
 *	_cleanup_(fixup_result_done) struct fixup_result res = {0};
 *	r = fixup_apply(rootfd, &o, &res, &err);
 *
 * The rows are in fixup_table.c; what needs code is in fix_NOUN.c.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/str.h"
#include "convert/fix_edit.h"
#include "convert/guest.h"

struct fixup_options {
	char *const *without;	  /* names that are left out; NULL: none */
	char *const *nameservers; /* for resolv.conf; NULL: leave it */
	char *const *domains;
	bool dry_run; /* say what would be done */
	bool unified; /* the host has version 2 of control groups only */
	bool unprivileged;
};

struct fixup_finding {
	const char *name; /* "venet0", "quota", "systemd", ... */
	char *text;	  /* one sentence: what it is and what to do */
	bool fatal;	  /* it will not run there */
};
VEC(fixup_finding_vec, struct fixup_finding);

struct fixup_result {
	struct guest guest;
	struct fix_change_vec changes;
	struct fix_change_vec failed; /* what says why; the rest goes on */
	struct fixup_finding_vec findings;
	const char *halt_signal; /* for lxc.signal.halt, NULL: LXC's own choice is right */
};

int fixup_apply(int root, const struct fixup_options *o, struct fixup_result *ret,
	struct err *err) _must_use_;
void fixup_result_done(struct fixup_result *res);
json_t *fixup_json(const struct fixup_result *res);
char *fixup_text(const struct fixup_result *res, bool dry_run);

/* Walks the names with what each does; NULL at the end. */
const char *fixup_next(const char *name, const char **ret_summary);
