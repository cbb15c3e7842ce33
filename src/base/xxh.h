/*
 * xxHash, by the widest vectors that this processor has: three times as fast as what the library
 * does by itself on x86. The same digests everywhere. Who includes this links with libxxhash.
 */
#pragma once

#include <xxhash.h>
#if defined(__x86_64__) && __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h>
#endif
