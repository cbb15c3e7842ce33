/*
 * The two sockets of the daemon, made here or handed over by systemd (FileDescriptorName= control
 * and receive). /run/wherry is 0755, because the receive user must pass; control.sock is root's,
 * 0600; receive.sock belongs to the receive user's group, 0660. Who connects is asked of the kernel
 * again for each connection.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

struct listen_fds {
	int control, receive; /* -1: none */
};

/* The primary group of the user; -ERR_NOT_FOUND if there is none of that name. */
int listen_user(const char *name, uid_t *ret_uid, gid_t *ret_gid, struct err *err) _must_use_;
/* receive_gid is used only with receive. A socket that a dead daemon left is replaced, one that
 * somebody answers on is -ERR_BUSY. */
int listen_open(
	bool receive, gid_t receive_gid, struct listen_fds *ret, struct err *err) _must_use_;
