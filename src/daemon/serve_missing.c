/*
 * Stands in for what other folders do not have yet. Goes as they come.
 */
#include "move/containers.h"
#include "move/receive.h"
#include "move/recover.h"
#include "move/send.h"
#include "runtime/runtime.h"

#define MISSING(proto)                                                                             \
	__attribute__((weak)) proto                                                                \
	{                                                                                          \
		return err_set(err, ERR_UNSUPPORTED, "this build cannot do that yet");             \
	}

MISSING(int containers_list(struct move_ctx *m, json_t **ret, struct err *err))
MISSING(int containers_show(struct move_ctx *m, const char *ct, json_t **ret, struct err *err))
MISSING(int containers_create(struct move_ctx *m, const char *ct, const struct create_opts *o,
	json_t **ret, struct err *err))
MISSING(int containers_start(struct move_ctx *m, const char *ct, json_t **ret, struct err *err))
MISSING(int containers_stop(struct move_ctx *m, const char *ct, bool kill, usec_t timeout,
	json_t **ret, struct err *err))
MISSING(int containers_restart(struct move_ctx *m, const char *ct, json_t **ret, struct err *err))
MISSING(int containers_delete(
	struct move_ctx *m, const char *ct, bool force, json_t **ret, struct err *err))
MISSING(int containers_exec(struct move_ctx *m, const char *ct, char *const *argv, const int fds[3],
	json_t **ret, struct err *err))
MISSING(int containers_snapshot(
	struct move_ctx *m, const char *ct, const char *name, json_t **ret, struct err *err))
MISSING(int containers_snapshot_delete(
	struct move_ctx *m, const char *ct, const char *name, json_t **ret, struct err *err))
MISSING(int containers_own(
	struct move_ctx *m, const char *ct, bool force, json_t **ret, struct err *err))
#define SEND(fn)                                                                                   \
	MISSING(int fn(struct move_ctx *m, const char *ct, const struct send_opts *o,              \
		json_t **ret, struct err *err))
SEND(send_config)
SEND(send_rootfs)
SEND(send_sync)
SEND(send_state)
SEND(send_cleanup)
SEND(send_cancel)
SEND(send_now)
SEND(send_resolve)
MISSING(int send_status(struct move_ctx *m, const char *ct, json_t **ret, struct err *err))
MISSING(int receive_serve(
	struct move_ctx *m, const struct receive_request *q, json_t **ret, struct err *err))
__attribute__((weak)) int recover_all(struct move_ctx *m, json_t **ret, struct err *err)
{
	*ret = json_object();
	return 0;
}
__attribute__((weak)) void send_opts_init(struct send_opts *o)
{
	*o = (struct send_opts){.network = true,
		.snapshots = true,
		.consistent = true,
		.restart = true,
		.start = true,
		.compress = -1};
}
__attribute__((weak)) void move_say(const struct move_ctx *m, const char *fmt, ...)
{
}
__attribute__((weak)) const char *runtime_path(void)
{
	return "/var/lib/lxc";
}
