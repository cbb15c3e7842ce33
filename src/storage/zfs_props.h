/*
 * Inside zfs*.c only: which properties of a dataset travel with it. A peer says what its datasets
 * have; only what is listed here is taken, and only with a value of the right form: nothing that
 * acts outside of the dataset (mountpoint, sharenfs, keylocation), lets more than the pool's owner
 * allows (exec, setuid, devices, zoned), takes room from others (reservation), or is a word to
 * other programs on the host (user properties).
 */
#pragma once

#include <stdbool.h>

#include "base/json.h"
#include "base/str.h"

bool zfs_prop_ok(const char *name, const char *value);
/* What the dataset has itself, as {name: value}. */
int zfs_props_read(const char *dataset, json_t **ret, struct err *err) _must_use_;
/* Of the lines "property<tab>value" of `zfs get`, those that travel. */
json_t *zfs_props_parse(const char *text);
/* Makes dataset's properties those of a peer, which are only looked at: not the late ones, which
 * are kept for zfs_props_settle. Properties that are not in there are inherited again. */
int zfs_props_apply(const char *dataset, const json_t *props, struct err *err) _must_use_;
/* "-o" and "property=value" for each early one, for `zfs receive` of a new dataset. */
void zfs_props_arguments(const json_t *props, char ***argv);
int zfs_props_settle(const char *dataset, struct err *err) _must_use_;
