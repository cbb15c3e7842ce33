/*
 * The LXC driver: lxc.c over liblxc, lxc_folder.h for the configuration, host.h for the node.
 */
#pragma once

#include "runtime/runtime.h"

extern const struct runtime_driver lxc_driver;
