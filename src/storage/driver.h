/*
 * Inside storage/ only: the registry of drivers. A driver is named here and in storage.c, nowhere
 * else.
 */
#pragma once

#include "storage/storage.h"

extern const struct storage_driver dir_driver;
extern const struct storage_driver btrfs_driver;
extern const struct storage_driver zfs_driver;
extern const struct storage_driver image_driver;
extern const struct storage_driver device_driver;
extern const struct storage_driver lvm_driver;

const struct storage_driver *driver_find(const char *name); /* NULL: none of that name */
/* The best match for new volumes in the folder path. */
int driver_for(const char *path, const struct storage_driver **ret, struct err *err) _must_use_;
