/*
 * Why liblxc failed: it says so in its log only. Quiet otherwise.
 *
 *	struct lxc_log_mark mark = lxc_log_mark();
 *	if (!c->freeze(c)) {
 *		_cleanup_free_ char *why = lxc_log_since(&mark);
 *		return err_set(err, ERR_IO, "%s", why);
 *	}
 *
 * A process has one log, in memory. A container that is started writes to a file for as long as it
 * runs: the one lxc-start would choose, so that administrators find it where they look.
 */
#pragma once

#include <sys/types.h>

struct lxc_log_mark {
	off_t offset;
};

struct lxc_log_mark lxc_log_mark(void);		      /* opens the log when first called */
char *lxc_log_since(const struct lxc_log_mark *mark); /* never NULL; the caller's */

/* The log file of a container: lxc.log.file if it says so (may be NULL), else LXC's usual one. The
 * caller's. */
char *lxc_log_path(const char *lxcpath, const char *name, const char *configured);
char *lxc_log_file_since(const char *path, const struct lxc_log_mark *mark);
struct lxc_log_mark lxc_log_file_mark(const char *path);

/* The reason in what LXC logged: its first error that is not known to be harmless, or NULL. The
 * first names the cause, those after it who gave up because of it. The caller's. */
char *lxc_log_reason(const char *text);
