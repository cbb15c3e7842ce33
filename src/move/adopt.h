/*
 * A container that comes from elsewhere, from a peer or an archive, is fitted to this node: its
 * bridges by the configuration, its ids to a range that this node's root may use.
 */
#pragma once

#include "model/container.h"
#include "move/move.h"

void adopt_bridges(const struct move_ctx *m, struct container *c);
int adopt_ids(const struct move_ctx *m, struct container *c, struct err *err) _must_use_;
/* Its files come as they are on disk: it keeps its ids, or can't be here. */
int adopt_same_ids(struct container *c, struct err *err) _must_use_;
/* Interfaces whose hardware address is one of another container here, or all with all, get a new
 * one. Returns how many. */
size_t adopt_hwaddrs(struct container *c, bool all);
/* "00:16:3e:..", random; the caller's. */
char *adopt_new_hwaddr(void);
