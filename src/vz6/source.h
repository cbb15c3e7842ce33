/*
 * A container of this OpenVZ node as the model: its configuration converted (convert/convert.h),
 * its files where vzlist says, what it needs changed inside found out (convert/fixup.h, without
 * changing it here). What configuration and vzlist say must agree: nothing is read on a guess.
 *
 * How the operator wants it converted is an object that stays in the record of a migration, so that
 * each step loads the same container:
 *
 *	{"netif_type", "netif_name", "netif_hwaddr", "bridge_link", "source_cpus", "unprivileged",
 *	 "leave_out", "without": [NAME], "zfs", "zfs_dataset", "zfs_subdir"}
 */
#pragma once

#include "model/container.h"
#include "vz6/vz6.h"

/* From a command's arguments; checked. A hardware address is drawn here, once. */
int source_from_args(const json_t *args, json_t **ret, struct err *err) _must_use_;
/* For openvz_load_by; ctx is the struct vz6. */
int source_load(void *ctx, const char *name, struct container **ret, struct err *err) _must_use_;
