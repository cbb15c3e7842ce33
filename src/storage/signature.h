/*
 * Inside storage/ only: what lies on a block device or in an image: the signature that says which
 * filesystem it is, or that somebody else keeps something there (a partition table, a part of an
 * array). Read by libblkid from the bytes themselves, never from a cache.
 *
 *	r = signature_read(fd, &sig, &err);
 *	if (r == 0)	// blank: nothing anybody could know
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

#define FS_UUID_MAX 37 /* with the NUL */

struct signature {
	char type[32];		/* "ext4", "xfs", "LVM2_member", "dos partition table" */
	char uuid[FS_UUID_MAX]; /* of a filesystem; "" otherwise */
};

/* fd: a block device or a regular file, open for reading. 1: there is something, 0: it is blank. */
int signature_read(int fd, struct signature *ret, struct err *err) _must_use_;
/* Takes away whatever there is; fd is open for writing. */
int signature_wipe(int fd, struct err *err) _must_use_;
/* "1b4e28ba-2fa1-11d2-883f-0016d3cca427": nothing else is taken for a UUID. */
bool signature_uuid_ok(const char *uuid);
/* A new one. */
int signature_uuid_make(char ret[FS_UUID_MAX], struct err *err) _must_use_;
