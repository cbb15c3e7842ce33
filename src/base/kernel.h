/*
 * System calls that a kernel may lack, each with what is done where it does. The nodes that
 * `wherry` is made for have all of them; those that the static binary for OpenVZ runs on
 * (Linux 2.6.32) have none. libc has no wrappers for some, and musl for fewer: so they are here,
 * and nowhere else.
 *
 * Each is as the call of that name: -1 with errno.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

/* Can files be held without being opened (O_PATH, Linux 2.6.39)? Before, that flag is silently an
 * ordinary open, which waits at a pipe and starts devices: -ERR_UNSUPPORTED. */
int kernel_check(struct err *err) _must_use_;
/* Unpredictable bytes. 0, or -1. */
int kernel_random(void *buf, size_t n);
/* Renames, and never replaces: EEXIST. Without renameat2 a folder is looked for, then renamed. */
int kernel_rename_new(int from_dir, const char *from, int to_dir, const char *to);
/* -1 with ENOSYS where there are none: proc.c then asks in turns. */
int kernel_pidfd(pid_t pid);
int kernel_pidfd_signal(int pidfd, int sig);
/* In a child before exec: only async-signal-safe calls. */
int kernel_close_from(unsigned first);
/* A file of that size without a name; it never grows, except where the kernel has no seals. */
int kernel_scratch(const char *name, size_t size);
/* A descriptor of the folder fd as a mount of its own: nothing can be written there, no device
 * opened, no access time changed. */
int kernel_private_mount(int fd);
