/* What crypt.h of libxcrypt takes from glibc's. */
#pragma once

#define __BEGIN_DECLS
#define __END_DECLS
#define __THROW
#define __nonnull(args)
#define __attribute_deprecated__
#define __attribute_malloc__
#define __restrict restrict
