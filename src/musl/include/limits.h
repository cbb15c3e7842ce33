/* glibc's has the kernel's, too. */
#pragma once

#include_next <limits.h>

#define XATTR_NAME_MAX 255
#define XATTR_SIZE_MAX 65536
#define XATTR_LIST_MAX 65536
