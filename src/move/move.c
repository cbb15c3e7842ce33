#include "move/move.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/dirs.h"
#include "base/file.h"
#include "base/identity.h"
#include "base/log.h"
#include "base/str.h"
#include "model/container.h"
#include "node/job.h"
#include "node/ownership.h"
#include "node/transfer.h"
#include "runtime/runtime.h"

void move_say(const struct move_ctx *m, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	log_info("%s", text);
	if (m->say)
		m->say(m->say_ctx, text);
}

static char *lock_path(const char *ct)
{
	return xasprintf("%s/lock/%s", dirs_run(), ct);
}

/* The holder writes "CALL PID STARTTIME" into the file: true for as long as the lock is held. Who
 * has just taken it may not have written yet, so what is read may be the last one's. */
static bool read_holder(const char *ct, char call[64], char identity[64])
{
	_cleanup_free_ char *path = lock_path(ct), *text = NULL;
	struct err ignored = ERR_INIT;
	size_t n;

	return file_read(path, 256, &text, &n, &ignored) >= 0 &&
	       sscanf(text, "%63s %63[0-9 ]", call, identity) == 2;
}

static void write_holder(const struct move_ctx *m, int fd)
{
	_cleanup_free_ char *identity = identity_of(getpid());
	_cleanup_free_ char *text = xasprintf(
		"%s %s\n", m->call ? m->call : "-", identity ? identity : "0");

	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, strlen(text), 0) < 0)
		log_debug("the lock's holder could not be noted");
}

int move_lock(const struct move_ctx *m, const char *ct, bool wait, int *ret_fd, struct err *err)
{
	_cleanup_free_ char *dir = xasprintf("%s/lock", dirs_run()), *path = lock_path(ct);
	char call[64] = "another operation", identity[64] = "0";
	int r;

	r = file_mkdirs(dir, 0700, err);
	if (r >= 0)
		r = file_lock(path, wait, ret_fd, err);
	if (r >= 0)
		write_holder(m, *ret_fd);
	if (r != -ERR_BUSY)
		return r < 0 ? err_prefix(err, "lock container '%s'", ct) : 0;
	(void)read_holder(ct, call, identity);
	return err_set(err, ERR_BUSY,
		"container '%s' is in use by %s (pid %d): wait for it, or see `wherry job list`",
		ct, call, atoi(identity));
}

void move_lock_interrupt(const char *ct, const char *prefix)
{
	char call[64], identity[64];

	if (read_holder(ct, call, identity) && str_starts(call, prefix) &&
		atoi(identity) != getpid())
		identity_signal(identity, SIGTERM);
}

int move_close_arrived(const struct move_ctx *m, const char *ct, struct err *err)
{
	struct transfer_vec v = {0};
	int r = transfer_list(m->st, true, ct, &v, err);

	for (size_t i = 0; r >= 0 && i < v.n; i++)
		if (v.v[i]->role == TRANSFER_DESTINATION && v.v[i]->phase == TRANSFER_DONE)
			r = transfer_set_phase(m->st, v.v[i], TRANSFER_CLOSED, err);
	transfer_vec_free(&v);
	return r < 0 ? r : 0;
}

/* Another send of it may be open by now: the hook is that one's. */
int move_unguard(struct move_ctx *m, const char *ct, struct err *err)
{
	_cleanup_transfer_ struct transfer *open = NULL;
	struct own own;
	bool exists;
	int r = transfer_open_of(m->st, TRANSFER_SOURCE, ct, &open, err);

	if (r != -ERR_NOT_FOUND)
		return r < 0 ? r : 0;
	err_clear(err);
	r = own_get(m->st, ct, &own, err);
	if (r < 0 || own.kind != OWN_OWNER)
		return r;
	r = runtime_exists(ct, &exists, err);
	return r < 0 || !exists ? r : runtime_guard(ct, false, err);
}

void move_history(const struct move_ctx *m, const char *ct, const char *event, json_t *data)
{
	struct err e = ERR_INIT;

	if (history_add(m->st, ct, event, data, &e) < 0)
		log_warning("history of container '%s': %s", ct, e.text);
}

int move_check_exists(const char *ct, struct err *err)
{
	bool exists;
	int r;

	if (!container_name_ok(ct))
		return err_set(err, ERR_INVALID, "'%s' can't be a container's name", ct);
	r = runtime_exists(ct, &exists, err);
	if (r < 0 || exists)
		return r;
	return err_set(err, ERR_NOT_FOUND,
		"there is no container '%s' on this node: `wherry ct list` shows what there is",
		ct);
}
