/*
 * lxc.mount.entry, a line of fstab(5): "SOURCE TARGET TYPE OPTIONS [0 0]", blanks in a field as
 * \040. An entry is one of three: a volume of the container (a bind mount of a folder beside its
 * root), a file system that reaches nothing outside (proc, tmpfs, ..., /dev/null), or a way out.
 *
 *	_cleanup_(lxc_mount_done) struct mount_entry m = {0};
 *	if (lxc_mount_parse(value, root, &m) && !lxc_mount_reason(&m)) ... carry it
 */
#pragma once

#include <stdbool.h>

struct mount_entry {
	char *source, *target; /* decoded; the target relative to the root, "srv/data" */
	char *type;
	char **options;
};

/* False for what LXC would not take or would ignore. root (may be NULL) is the path of the root
 * file system, which absolute targets must begin with. */
bool lxc_mount_parse(const char *value, const char *root, struct mount_entry *ret);
char *lxc_mount_text(const struct mount_entry *m); /* the value, in one form only; the caller's */
bool lxc_mount_is_bind(const struct mount_entry *m);
/* NULL: it reaches nothing outside the container. Else the clause. */
const char *lxc_mount_reason(const struct mount_entry *m);
void lxc_mount_done(struct mount_entry *m);

/* Options that a volume may have: those that change nothing but how its files are seen inside. */
bool lxc_mount_option_ok(const char *option);
