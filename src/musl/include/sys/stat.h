/* glibc's, which musl has not: see glibc.c. */
#pragma once

#include_next <sys/stat.h>

#include <linux/stat.h>

int statx(int dirfd, const char *path, int flags, unsigned mask, struct statx *ret);
