/*
 * Volumes that are handed over as they are: each is a filesystem on a block device that both nodes
 * see, and nothing of it is copied. What must hold, whatever crashes: at most one node has it
 * mounted. So it is mounted by who owns the container, and by nobody else:
 *
 *	source			destination
 *	offer: mark 1 -------->	judge: is the very device here? (in use there: that is fine)
 *	stop
 *	let go: mark 2, unmount, proven, and the record says released
 *	prepare: mark 2 ----->	check: the device, read raw, shows mark 2, and nobody uses it
 *	released (the commit)
 *	commit -------------->	owner; take: mount, the filesystem shows mark 2
 *				or it fails: leave: unmounted, proven; only then the promise
 *	take back: only before the commit, or with that promise
 *
 * Nothing here deletes a file but the mark. The facts of such a volume: method "handover", device
 * handed (sameness_json), and on the source path as always. It stands where the root's device of a
 * copy does not: in "handed", not in "device".
 */
#pragma once

#include "move/receiving.h"
#include "move/sending.h"

#define HANDED_METHOD "handover"

bool handed_is(const json_t *facts); /* of one volume */

/* --- source */

/* Is it on a device that another node may see? An image is a file of this node. */
bool handed_can_be(const struct volume *v);

/* Those of its volumes that have a filesystem of their own which is not mounted now: [[path,
 * name]...]. To be asked before anything looks into them, which mounts them. */
json_t *handed_unmounted(const struct container *c);
/* Unmounts them again, as far as nobody uses them. */
void handed_unmount_again(const char *ct, const json_t *unmounted);
/* Every volume that can be is to be handed over: describes them in their facts. marked: and marks
 * them. -ERR_UNSUPPORTED if its root can't be. */
int handed_offer(struct sending *s, bool marked, struct err *err) _must_use_;
/* After the stop. */
int handed_let_go(struct sending *s, struct err *err) _must_use_;
/* The node owns it (again): it may be mounted here. Idempotent. */
int handed_take_back(const struct transfer *t, struct err *err) _must_use_;
/* After it: removes the mark. */
int handed_unmark(const struct transfer *t, struct err *err) _must_use_;
/* The last step: it is forgotten here, the device stays as it is. */
int handed_forget(struct volume *v, struct err *err) _must_use_;
/* Of one volume, for the prepare message: what it is like here. */
void handed_tell(struct sending *s, const char *name, json_t *into);

/* --- destination */

/* What a skel line says of one volume: may the key, and is the device here? *ret_device: what to
 * keep. sure: the mark must be there; else there is none yet. */
int handed_judge(struct receiving *r, const json_t *device, const char *token, bool sure,
	json_t **ret_device, struct err *err) _must_use_;
/* Is every volume of it handed over, so that no data come? */
bool handed_all(struct receiving *r);
/* Of every such volume: the device shows what the prepare message says, and is free. Keeps it in
 * the facts; the caller saves. */
int handed_check(struct receiving *r, const json_t *theirs, struct err *err) _must_use_;
/* The container is ours: the volume's device is mounted at its place, and proven. Idempotent. */
int handed_take(struct receiving *r, const char *name, struct err *err) _must_use_;
/* Off again, proven, before it is given back. Idempotent. */
int handed_leave(struct receiving *r, struct err *err) _must_use_;
/* It is not started: filesystems of their own are as they were on the source, mounted or not. */
int handed_rest(struct receiving *r, struct err *err) _must_use_;
