/* glibc's, which musl has not: see glibc.c. */
#pragma once

#include_next <sys/uio.h>

#include <sys/types.h>

#define RWF_NOWAIT 0x00000008

ssize_t preadv2(int fd, const struct iovec *v, int n, off_t at, int flags);
