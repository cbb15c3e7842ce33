/*
 * The parameters of an OpenVZ container: which there are, of what kind their values are, which line
 * counts where several say something, and what became of each. The container's own file is read
 * first, then the node's vz.conf, whose values hold where the container's file has none.
 *
 *	struct ve ve = {0};
 *	r = ve_read(&ve, conf, n, VE_OWN, &err);
 *	r = ve_read(&ve, global, m, VE_GLOBAL, &err);	// or not
 *	ve_settle(&ve);
 *	struct ve_param *p = ve_get(&ve, "PHYSPAGES");
 *	if (p)
 *		ve_say(p, VE_EXACT, "the limit of memory");
 *	ve_done(&ve);
 */
#pragma once

#include "base/attr.h"
#include "base/err.h"
#include "base/vec.h"
#include "convert/ve_value.h"

enum ve_origin { VE_OWN, VE_GLOBAL };

/* How well a parameter is expressed. */
enum ve_class {
	VE_EXACT,
	VE_APPROXIMATE, /* not quite the same limit, or by other means */
	VE_PARTIAL,	/* a part of what it says, or with something left for the operator to do */
	VE_NONE,
	VE_INVALID,
	VE_DUPLICATE,
};

enum ve_kind {
	VE_TEXT,
	VE_YES,	   /* yes or no */
	VE_NUMBER, /* no suffix */
	VE_AMOUNT, /* a pair, in its unit */
};

/* Which of several lines of one parameter counts: vzctl has all three ways. */
enum ve_repeat { VE_FIRST, VE_LAST, VE_ALL };

struct ve_rule {
	const char *name;
	enum ve_kind kind;
	enum ve_repeat repeat;
	enum ve_unit unit;		/* of an amount */
	bool global;			/* a value in vz.conf holds for containers that have none */
	bool (*text_ok)(const char *s); /* of a text; NULL: anything goes */
};

struct ve_param {
	enum ve_origin origin;
	unsigned line;
	char *name, *value;
	const struct ve_rule *rule; /* NULL: not a parameter that we know */
	bool newer;		    /* only the newer vzctl reads the value so */
	/* By the kind; valid if the class is not VE_INVALID. */
	bool yes;
	uint64_t number;
	struct ve_pair pair;
	/* What became of it. */
	bool in_force; /* it is the line that counts */
	bool said;     /* class is the mapping's word */
	enum ve_class class;
	bool lost; /* a finite limit that is not kept */
	char *reason;
	char **results; /* what it is now, "lxc.cgroup2.pids.max = 240"; may be NULL */
};
VEC(ve_param_vec, struct ve_param);

struct ve {
	struct ve_param_vec params; /* in the order of the files */
};

int ve_read(struct ve *ve, const char *text, size_t n, enum ve_origin origin,
	struct err *err) _must_use_;
void ve_settle(struct ve *ve); /* decides which lines count */
void ve_done(struct ve *ve);

/* The one in force, NULL if there is none; ve_next for those of which all lines count. */
struct ve_param *ve_get(struct ve *ve, const char *name);
struct ve_param *ve_next(struct ve *ve, const char *name, struct ve_param *after);

/* The mapping's word about a parameter, once; NULL instead of a parameter is fine. */
void ve_say(struct ve_param *p, enum ve_class class, const char *reason, ...) _printf_(3, 4);
/* The same as VE_NONE, of a finite limit: --strict fails because of it. */
void ve_lose(struct ve_param *p, const char *reason, ...) _printf_(2, 3);
void ve_result(struct ve_param *p, const char *text, ...) _printf_(2, 3);

const char *ve_class_name(enum ve_class class);
const struct ve_rule *ve_rule_next(const struct ve_rule *after); /* NULL: the first; walks all */
