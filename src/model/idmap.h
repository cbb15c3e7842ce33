/*
 * Id maps: which ids of the host a container's ids are. A privileged container has no ranges, and
 * every id is itself. Wherry sends ids as the container sees them; each side maps them by its own
 * map.
 *
 *	struct idmap m = {0};
 *	r = idmap_add(&m, "b 0 100000 65536", &err);
 *	idmap_to_disk(&m, false, 1000, &id);		// 101000
 *	idmap_done(&m);
 *
 * Wire form: {"ranges": ["u 0 100000 65536", "g 0 100000 65536"], "unshifted": true}.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/vec.h"

struct idrange {
	bool is_gid;
	uint32_t ct, host, count; /* count >= 1, neither end passes 2^32 - 2 */
};
VEC(idrange_vec, struct idrange);

struct idmap {
	struct idrange_vec ranges; /* none: the identity. Those of one kind overlap on no side. */
	/* The ids on disk are the container's own (lxc.rootfs.options = idmap=container): the map
	 * is for running only. It holds for all volumes of the container. */
	bool unshifted;
};

#define IDMAP_RANGES_MAX 340 /* the kernel's own limit */

/* "u 0 100000 65536", "g ...", or "b ..." for both, as lxc.idmap has it. */
int idmap_add(struct idmap *m, const char *text, struct err *err) _must_use_;
/* The id on disk of a container's id and back. -1 when the map has no place for it (caller reports
 * the file by name). */
int idmap_to_disk(const struct idmap *m, bool gid, uint32_t ct, uint32_t *ret);
int idmap_from_disk(const struct idmap *m, bool gid, uint32_t disk, uint32_t *ret);
/* The host's id of a container's id while it runs, whatever the ids on disk are. */
int idmap_to_host(const struct idmap *m, bool gid, uint32_t ct, uint32_t *ret);
bool idmap_identity_on_disk(const struct idmap *m); /* no shifting needed */
bool idmap_same_on_disk(const struct idmap *a, const struct idmap *b);
/* Can a container that runs under m use every id that from maps? A destination's map may be longer,
 * not shorter. */
bool idmap_covers(const struct idmap *m, const struct idmap *from);
char *idrange_text(const struct idrange *r); /* "u 0 100000 65536", the caller's */
json_t *idmap_json(const struct idmap *m);
int idmap_from_json(const json_t *v, struct idmap *ret, struct err *err) _must_use_;
void idmap_copy(struct idmap *dst, const struct idmap *src); /* dst holds nothing before */
void idmap_done(struct idmap *m);
