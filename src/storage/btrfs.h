/*
 * Inside btrfs*.c only: the halves of the driver that move streams.
 */
#pragma once

#include "storage/storage.h"

#define BTRFS_BEGINNING ".stream" /* see btrfs_receive.c */

int btrfs_send(struct volume *v, const char *snap, const char *from,
	const struct storage_resume *resume, struct stream *out, struct progress *p,
	struct err *err) _must_use_;
int btrfs_receive(struct volume *v, const char *snap, const char *from,
	struct storage_resume *resume,
	int (*checkpoint)(void *ctx, const struct storage_resume *r, struct err *err), void *ctx,
	struct stream *in, struct progress *p, struct err *err) _must_use_;
/* Removes what unfinished receives have left in a folder of snapshots, but one name (or NULL). */
int btrfs_receive_clean(int snaps, const char *but, struct err *err) _must_use_;
