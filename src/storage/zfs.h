/*
 * Inside zfs*.c only: the halves of the driver that move streams.
 */
#pragma once

#include "storage/storage.h"

int zfs_send(struct volume *v, const char *snap, const char *from,
	const struct storage_resume *resume, struct stream *out, struct progress *p,
	struct err *err) _must_use_;
/* What the receiving side tells the sending one before a stream, see storage.h. */
int zfs_offer(struct volume *v, const char *snap, const char *from, char **ret,
	struct err *err) _must_use_;
int zfs_receive(struct volume *v, const char *snap, const char *from, struct storage_resume *resume,
	int (*checkpoint)(void *ctx, const struct storage_resume *r, struct err *err), void *ctx,
	struct stream *in, struct progress *p, struct err *err) _must_use_;
