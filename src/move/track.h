/*
 * Change tracking of a send's volumes (tree/watch.h): one process a volume, found by its socket in
 * the transfer's folder, so that it lives over the steps of a send and ends with its folder.
 */
#pragma once

#include "move/sending.h"
#include "tree/watch.h"

/* Armed when it returns; NULL where changes cannot be tracked: then each pass walks. */
struct watch *track_volume(struct sending *s, const struct volume *v, int rootfd);
void track_end(const char *token, const char *volume);
