/*
 * What the destination makes of a container's model: judged, mapped to this node, written as the
 * configuration that waits for the hand-over. When the source tells it anew, with a higher
 * revision, it is judged and written anew; a lower one is a message that was late.
 */
#pragma once

#include "move/receiving.h"

/* As it came in a skel line; all borrowed. */
struct definition {
	uint64_t revision;
	bool clone;
	const json_t *ct, *refused;
};

/* Takes what reaches out of the container into its options if the key may bring that
 * (-ERR_UNSUPPORTED by name if not), and names this node's bridges. */
int definition_judge(const struct receiving *r, const json_t *refused, struct container *c,
	struct err *err) _must_use_;
/* This node's own ids for it. */
int definition_map_ids(const struct receiving *r, struct container *c, struct err *err) _must_use_;
/* Writes the configuration of the record's model; the record is of phase CONFIG at least then. */
int definition_write(struct receiving *r, struct err *err) _must_use_;
uint64_t definition_revision(const struct receiving *r); /* of the record */
bool definition_stands(const struct receiving *r);	 /* and it is written */
/* What that revision is to the record, by handoff_define. */
enum handoff_answer definition_answer(const struct receiving *r, uint64_t revision);
/* Under the container's lock. Nothing is changed by an error, nor by a revision that is known. */
int definition_renew(struct receiving *r, const struct definition *d, struct err *err) _must_use_;
