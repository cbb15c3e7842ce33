/*
 * What this node owes a container whatever becomes of the process that works on it: to start one
 * again that an export has stopped, to remove what an import had made of one. Made before the first
 * effect, with the names of what is to be made in its facts, and dropped when nothing is owed any
 * more. move/promise.c settles: the process itself when it fails, recovery when it is gone.
 *
 *	struct pledge p = {.kind = PLEDGE_EXPORT, .facts = json_object()};
 *	r = pledge_make(s, &p, "web", &err);		// draws its token
 *	json_put_bool(p.facts, "start", true);
 *	r = pledge_save(s, &p, &err);			// before the container is stopped
 *	...
 *	r = pledge_drop(s, &p, &err);
 *	pledge_done(&p);
 */
#pragma once

#include <jansson.h>

#include "base/err.h"
#include "base/vec.h"
#include "node/state.h"

enum pledge_kind { PLEDGE_EXPORT, PLEDGE_IMPORT };

struct pledge {
	char token[41]; /* "" : not made */
	char ct[65];
	enum pledge_kind kind;
	json_t *facts; /* object, see move/promise.h */
};
VEC(pledge_vec, struct pledge);

int pledge_make(struct state *s, struct pledge *p, const char *ct, struct err *err) _must_use_;
int pledge_save(struct state *s, const struct pledge *p, struct err *err) _must_use_;
int pledge_drop(struct state *s, const struct pledge *p, struct err *err) _must_use_;
int pledge_get(struct state *s, const char *token, struct pledge *ret, struct err *err) _must_use_;
int pledge_list(struct state *s, struct pledge_vec *ret, struct err *err) _must_use_;
void pledge_done(struct pledge *p);
void pledge_vec_free(struct pledge_vec *v); /* with what they own */
