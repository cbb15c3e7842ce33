#include "runtime/runtime.h"

#include "base/alloc.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/str.h"

const char *ct_state_name(enum ct_state s)
{
	static const char *const names[] = {
		[CT_STOPPED] = "stopped",
		[CT_STARTING] = "starting",
		[CT_RUNNING] = "running",
		[CT_STOPPING] = "stopping",
		[CT_FROZEN] = "frozen",
		[CT_OTHER] = "unknown",
	};

	return (size_t)s < ARRAY_SIZE(names) ? names[s] : names[CT_OTHER];
}

const char *runtime_path(void)
{
	return runtime_here->path();
}

static int check_name(const char *name, struct err *err)
{
	if (container_name_ok(name))
		return 0;
	return err_set(err, ERR_INVALID, "\"%.64s\" is not a name of a container", name);
}

/* Around everything that changes something: "runtime.start.before", "runtime.start.after". */
static int enter(const char *what, const char *name, struct err *err)
{
	_cleanup_free_ char *point = xasprintf("runtime.%s.before", what);
	int r = check_name(name, err);

	if (r < 0)
		return r;
	log_debug("%s: %s %s", runtime_here->name, what, name);
	return fault_point(point, err);
}

static int leave(const char *what, const char *name, int r, struct err *err)
{
	_cleanup_free_ char *point = xasprintf("runtime.%s.after", what);

	if (r >= 0)
		r = fault_point(point, err);
	if (r < 0)
		return err_prefix(err, "%s container %s (%s)", what, name, runtime_here->name);
	return 0;
}

int runtime_list(char ***ret, struct err *err)
{
	return runtime_here->list(ret, err);
}

int runtime_exists(const char *name, bool *ret, struct err *err)
{
	int r = check_name(name, err);

	if (r < 0)
		return r;
	*ret = runtime_here->exists(name);
	return 0;
}

int runtime_load(const char *name, struct container **ret, struct err *err)
{
	int r = check_name(name, err);

	return r < 0 ? r : runtime_here->load(name, ret, err);
}

bool runtime_option_harmless(const char *key, const char *value, const char **ret_reason)
{
	return runtime_here->harmless(key, value, ret_reason);
}

static int denied(const struct container *c, const char *what, const char *why, struct err *err)
{
	return err_set(err, ERR_DENIED,
		"container %s would reach out of itself: %.200s %.200s; nobody has allowed that",
		c->name, what, why);
}

static int check_option(
	const struct container *c, const struct option *o, bool allow_refused, struct err *err)
{
	const char *reason;

	if (!option_key_ok(o->key) || !option_value_ok(o->value))
		return err_set(err, ERR_INVALID,
			"container %s: \"%.64s\" is not a line of "
			"configuration",
			c->name, o->key);
	if (runtime_here->owned(o->key))
		return err_set(err, ERR_INVALID,
			"container %s: %s is said by the container itself and cannot be an option",
			c->name, o->key);
	if (!allow_refused && !runtime_here->harmless(o->key, o->value, &reason))
		return denied(c, o->key, reason, err);
	return 0;
}

static int check_volumes(const struct container *c, struct err *err)
{
	for (size_t i = 0; i < c->volumes.n; i++)
		if (!c->volumes.v[i].path || c->volumes.v[i].path[0] != '/')
			return err_set(err, ERR_INVALID,
				"container %s: its volume %s has no place on this node", c->name,
				c->volumes.v[i].name);
	if (c->volumes.n == 0)
		return err_set(err, ERR_INVALID, "container %s has no root", c->name);
	return 0;
}

int runtime_define(const struct container *c, bool staged, bool allow_refused, struct err *err)
{
	const char *why = runtime_here->reaches_out(c);
	int r = enter("define", c->name, err);

	if (r < 0 || (r = check_volumes(c, err)) < 0)
		return r;
	if (why && !allow_refused)
		return denied(c, "it", why, err);
	for (size_t i = 0; i < c->options.n; i++) {
		r = check_option(c, &c->options.v[i], allow_refused, err);
		if (r < 0)
			return r;
	}
	return leave("define", c->name, runtime_here->define(c, staged, err), err);
}

int runtime_publish(const char *name, struct err *err)
{
	int r = enter("publish", name, err);

	return r < 0 ? r : leave("publish", name, runtime_here->publish(name, err), err);
}

int runtime_withdraw(const char *name, struct err *err)
{
	int r = enter("withdraw", name, err);

	return r < 0 ? r : leave("withdraw", name, runtime_here->withdraw(name, err), err);
}

int runtime_undefine(const char *name, struct err *err)
{
	int r = enter("undefine", name, err);

	return r < 0 ? r : leave("undefine", name, runtime_here->undefine(name, err), err);
}

int runtime_disable(const char *name, struct err *err)
{
	int r = enter("disable", name, err);

	if (r < 0 || !runtime_here->disable)
		return r;
	return leave("disable", name, runtime_here->disable(name, err), err);
}

bool runtime_destroys(void)
{
	return runtime_here->destroys;
}

int runtime_mounter(const char *name, struct err *err)
{
	int r = enter("mount", name, err);

	return r < 0 ? r : leave("mount", name, runtime_here->mounter(name, err), err);
}

int runtime_guard(const char *name, bool on, struct err *err)
{
	const char *what = on ? "guard" : "unguard";
	int r = enter(what, name, err);

	return r < 0 ? r : leave(what, name, runtime_here->guard(name, on, err), err);
}

int runtime_state(const char *name, enum ct_state *ret, pid_t *ret_init, struct err *err)
{
	int r = check_name(name, err);

	return r < 0 ? r : runtime_here->state(name, ret, ret_init, err);
}

int runtime_start(const char *name, usec_t timeout, struct err *err)
{
	int r = enter("start", name, err);

	return r < 0 ? r : leave("start", name, runtime_here->start(name, timeout, err), err);
}

int runtime_stop(const char *name, usec_t timeout, bool kill, struct err *err)
{
	int r = enter("stop", name, err);

	return r < 0 ? r : leave("stop", name, runtime_here->stop(name, timeout, kill, err), err);
}

int runtime_freeze(const char *name, bool on, struct err *err)
{
	const char *what = on ? "freeze" : "thaw";
	int r = enter(what, name, err);

	return r < 0 ? r : leave(what, name, runtime_here->freeze(name, on, err), err);
}

int runtime_exec_until(const char *name, char *const *argv, const int fds[3], usec_t deadline,
	int *ret_status, struct err *err)
{
	int r = check_name(name, err);

	if (r < 0)
		return r;
	if (!argv || !argv[0])
		return err_set(err, ERR_INVALID, "no program to run in container %s", name);
	r = runtime_here->exec(name, argv, fds, deadline, ret_status, err);
	return leave("enter", name, r, err);
}

int runtime_exec(
	const char *name, char *const *argv, const int fds[3], int *ret_status, struct err *err)
{
	return runtime_exec_until(name, argv, fds, CLOCK_NEVER, ret_status, err);
}

int runtime_preflight(const struct container *c, struct err *err)
{
	int r = runtime_here->preflight(c, err);

	return r < 0 ? err_prefix(err, "container %s", c->name) : r;
}

int runtime_idmap(const struct idmap *arriving, struct idmap *ret, struct err *err)
{
	return runtime_here->idmap(arriving, ret, err);
}
