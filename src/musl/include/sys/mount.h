/* glibc's has the newer interface, too. */
#pragma once

#include_next <sys/mount.h>

#include <linux/mount.h>
