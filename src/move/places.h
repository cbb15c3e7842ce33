/*
 * Where things are on this node: pools by name, the volumes of a container, and the names and
 * folders that a transfer uses. Joins node/pools, storage and runtime, which do not know each
 * other.
 */
#pragma once

#include "base/digest.h"
#include "base/vec.h"
#include "model/container.h"
#include "move/move.h"
#include "storage/storage.h"

/* NULL, "" and "-" mean the default pool: the containers' folder, unless one called "default" was
 * added. */
int places_pool(
	struct move_ctx *m, const char *name, struct pool **ret, struct err *err) _must_use_;
VEC(pool_vec, struct pool *);
int places_pools(struct move_ctx *m, struct pool_vec *ret,
	struct err *err) _must_use_; /* the default one first */
void pool_vec_free(struct pool_vec *v);
/* The name of the pool that a path lies in, or NULL. */
char *places_pool_of(struct move_ctx *m, const char *path);

VEC(volume_vec, struct volume *);
/* One volume for each of the container's, in its order. Refuses a root that is empty or lies where
 * nothing is mounted though it should be. */
int places_volumes(const struct container *c, struct volume_vec *ret, struct err *err) _must_use_;
void volume_vec_free(struct volume_vec *v);

/* Adds a digest, in hex, under the volume's name; places_digest that of its live tree, by a walk.
 */
void places_put_digest(json_t *into, const char *volume, const struct digest128 *d);
int places_digest(
	struct volume *v, const struct idmap *idmap, json_t *into, struct err *err) _must_use_;

/* STATE/transfer/TOKEN, made on demand; removed whole when the transfer ends. */
char *places_transfer_dir(const char *token);
int places_transfer_dir_make(const char *token, struct err *err) _must_use_;
int places_transfer_dir_remove(const char *token, struct err *err) _must_use_;
char *places_index(const char *token, const char *volume); /* of the tree engine */
