/*
 * The lines of LXC's configuration that have no field in the model: which of them are harmless to
 * carry to another node, and why the others are not. The same table judges what a container of this
 * node has (so that the sender is told early) and what a peer sends (which may lie).
 *
 * "Harmless" means: whatever the value, the container reaches nothing of the host that it could not
 * reach without the line. The measure is a container whose root is not the host's; a privileged
 * one is held by little more than its capabilities, so lines that give those back are refused too.
 */
#pragma once

#include <stdbool.h>

/* False sets *ret_reason: a clause that follows the key, in static storage. */
bool lxc_option_harmless(const char *key, const char *value, const char **ret_reason);
/* Keys that the model speaks for: as an option they are refused whatever the peer may do. */
bool lxc_option_owned(const char *key);
/* The present name of a key of LXC 2 ("lxc.utsname"), or NULL; "lxc.network.*" is the reader's. */
char *lxc_option_rename(const char *key);
