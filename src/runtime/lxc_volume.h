/*
 * Which folders of this node are the container's volumes: its root, and what is bound into it from
 * beside the root. Anything else that is mounted is an option or is refused (lxc_mount.h).
 */
#pragma once

#include "model/container.h"
#include "runtime/lxc_config.h"

/* What the lines said; looked at when all have been read. */
struct lxc_root {
	char *type, *path, *options; /* lxc.rootfs.path = TYPE:PATH, lxc.rootfs.options */
	char **mounts;		     /* values of lxc.mount.entry */
	char **mounters;	     /* of lxc.hook.pre-start, that may be lxc_volume_mounter's */
};

void lxc_volume_finish(
	const struct lxc_root *root, const struct lxc_place *place, struct container *c);
void lxc_root_done(struct lxc_root *root);
/* "PATH MOUNTPOINT none bind,create=dir,OPTIONS 0 0" for lxc.mount.entry; the caller's. */
char *lxc_volume_entry(const struct container *c, const struct ct_volume *v);
/* "/bin/sh PATH.mount", what mounts a volume with a filesystem of its own; the caller's. */
char *lxc_volume_mounter(const struct ct_volume *v);
bool lxc_volume_mounter_like(const char *hook); /* could it be one? */
/* "idmap=container,OPTIONS" for lxc.rootfs.options, NULL for none; the caller's. */
char *lxc_root_options(const struct container *c);
