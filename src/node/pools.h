/*
 * The pools of this node: those the operator added, and the default one, found from the containers' folder.
 */
#pragma once

#include "base/err.h"
#include "base/vec.h"
#include "node/state.h"

struct pool_record {
	char name[33];
	char *path, *driver; /* driver NULL: find out */
};
VEC(pool_record_vec, struct pool_record);

int pools_add(struct state *s, const struct pool_record *p, struct err *err) _must_use_; /* -ERR_EXISTS by name or path */
int pools_del(struct state *s, const char *name, struct err *err) _must_use_;
int pools_get(struct state *s, const char *name, struct pool_record *ret, struct err *err) _must_use_;
int pools_list(struct state *s, struct pool_record_vec *ret, struct err *err) _must_use_;
void pool_record_done(struct pool_record *p);
void pool_record_vec_free(struct pool_record_vec *v);
