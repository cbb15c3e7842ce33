/*
 * Inside storage/ only: what a pool says about the filesystems that are made in it. They stand in
 * the pool itself, POOL/.wherry/pool.conf, so that a volume's path is enough to know them; yours
 * to edit:
 *
 *	fs = xfs			what new filesystems are; ext4 unless said
 *	size = 20G			and their size, where nothing else says one
 *	vg = vg0/thin			lvm: the volume group, with a thin pool or without
 *	device = /dev/disk/by-id/...	device: one that containers may have; may stand often
 *	mmp = yes			ext4: protection against mounting on two nodes
 */
#pragma once

#include "storage/pool.h"

void pool_settings_done(struct pool_settings *s);
#define _cleanup_settings_ _cleanup_(pool_settings_done)

/* All defaults where there is no such file. */
int pool_settings_read(
	const char *pool_path, struct pool_settings *ret, struct err *err) _must_use_;
