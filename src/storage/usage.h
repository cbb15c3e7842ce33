/*
 * Inside storage/ only: what a folder's files take, by a walk that stays on its filesystem and
 * follows nothing. A file with several names counts once, if all of them are inside.
 */
#pragma once

#include "storage/storage.h"

int usage_size(struct volume *v, struct volume_size *ret, struct err *err) _must_use_;
