/* glibc's, which musl has not: see glibc.c. */
#pragma once

#include_next <stdio.h>

#define RENAME_NOREPLACE (1 << 0)
#define RENAME_EXCHANGE	 (1 << 1)

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags);
