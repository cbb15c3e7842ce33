/*
 * The pools that the operator added. The default one, found from the containers' folder, is not
 * recorded: move/ finds it, a record named "default" goes before it.
 *
 *	struct pool_record p = {.name = "fast", .path = (char *)"/srv/containers"};
 *	r = pools_add(s, &p, &err);
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

int pools_check_name(const char *name, struct err *err) _must_use_;
/* Name and form of the path are checked here, whether the folder is there by storage/pool.
 * -ERR_EXISTS by name or path. */
int pools_add(struct state *s, const struct pool_record *p, struct err *err) _must_use_;
int pools_del(struct state *s, const char *name, struct err *err) _must_use_;
int pools_get(
	struct state *s, const char *name, struct pool_record *ret, struct err *err) _must_use_;
/* By name. */
int pools_list(struct state *s, struct pool_record_vec *ret, struct err *err) _must_use_;
void pool_record_done(struct pool_record *p);
void pool_record_vec_free(struct pool_record_vec *v);
