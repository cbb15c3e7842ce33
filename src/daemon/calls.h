/*
 * The calls of the local protocol, once: the daemon needs their names and flags, the worker also
 * their functions (serve_NAME in serve_*.c). A new call is a line here, its function there, and a
 * command in src/cli/.
 */
#pragma once

#include "base/err.h"

/* Without any: a query. Its worker is ended when nobody waits for it any more. */
#define CALL_JOB     1u /* recorded; goes on without the one who asked; can be attached to */
#define CALL_RECEIVE 2u /* from the receive user only, and nothing else is for that user */
#define CALL_DAEMON  4u /* the daemon's own: nobody else can ask for it */

/* clang-format off */
#define CALL_LIST(X)                                                    \
	X("status",		status,			0)		\
	X("recover",		recover,		CALL_DAEMON)	\
	X("recover.takeover",	recover_takeover,	CALL_DAEMON)	\
	X("recover.peer",	recover_peer,		CALL_DAEMON)	\
	X("recover.sweep",	recover_sweep,		CALL_DAEMON)	\
	X("receive",		receive,		CALL_RECEIVE)	\
	X("send.key.gen",	send_key_gen,		0)		\
	X("receive.key.add",	receive_key_add,	0)		\
	X("receive.key.list",	receive_key_list,	0)		\
	X("receive.key.del",	receive_key_del,	0)		\
	X("receive.list",	receive_list,		0)		\
	X("receive.cancel",	receive_cancel,		CALL_JOB)	\
	X("pool.list",		pool_list,		0)		\
	X("pool.show",		pool_show,		0)		\
	X("pool.add",		pool_add,		0)		\
	X("pool.del",		pool_del,		0)		\
	X("job.list",		job_list,		0)		\
	X("job.show",		job_show,		0)		\
	X("job.attach",		job_attach,		0)		\
	X("job.cancel",		job_cancel,		0)		\
	X("job.history",	job_history,		0)		\
	X("ct.list",		ct_list,		0)		\
	X("ct.show",		ct_show,		0)		\
	X("ct.create",		ct_create,		CALL_JOB)	\
	X("ct.start",		ct_start,		CALL_JOB)	\
	X("ct.stop",		ct_stop,		CALL_JOB)	\
	X("ct.restart",		ct_restart,		CALL_JOB)	\
	X("ct.delete",		ct_delete,		CALL_JOB)	\
	X("ct.exec",		ct_exec,		0)		\
	X("ct.snapshot",	ct_snapshot,		CALL_JOB)	\
	X("ct.export",		ct_export,		CALL_JOB)	\
	X("ct.import",		ct_import,		CALL_JOB)	\
	X("ct.history",		ct_history,		0)		\
	X("ct.own",		ct_own,			0)		\
	X("ct.send",		ct_send,		CALL_JOB)	\
	X("ct.send.config",	ct_send_config,		CALL_JOB)	\
	X("ct.send.rootfs",	ct_send_rootfs,		CALL_JOB)	\
	X("ct.send.sync",	ct_send_sync,		CALL_JOB)	\
	X("ct.send.state",	ct_send_state,		CALL_JOB)	\
	X("ct.send.cleanup",	ct_send_cleanup,	CALL_JOB)	\
	X("ct.send.cancel",	ct_send_cancel,		CALL_JOB)	\
	X("ct.send.resolve",	ct_send_resolve,	CALL_JOB)	\
	X("ct.send.status",	ct_send_status,		0)		\
	X("ct.send.resume",	ct_send_resume,	CALL_JOB | CALL_DAEMON)	\
	X("ct.migrate.sync",	ct_migrate_sync,	CALL_JOB)	\
	X("ct.migrate.vz",	ct_migrate_vz,		CALL_JOB)
/* clang-format on */

struct call {
	const char *name;
	unsigned flags;
};

const struct call *call_find(const char *name); /* NULL if unknown */
