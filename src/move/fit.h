/*
 * A container that comes from another kind of runtime (model/origin.h) is changed inside until it
 * boots here. The destination does it, with the files that it alone has and before the first start:
 * the source's files, and an archive's, stay what they were, and what must be changed depends on
 * this node. Beneath the container's root, following none of its links (convert/fixup.h).
 */
#pragma once

#include "model/container.h"
#include "move/move.h"
#include "storage/storage.h"

/* Can it ever boot on this node? Early, before anything is made. No origin is fine. */
int fit_check(const struct container *c, struct err *err) _must_use_;
/* Idempotent. *ret is what was done (fixup_json), NULL where there is nothing to do. What a tool
 * cannot change is said, too. */
int fit_guest(struct move_ctx *m, const struct container *c, struct volume *root, json_t **ret,
	struct err *err) _must_use_;
