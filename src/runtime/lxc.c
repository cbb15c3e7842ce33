#include "runtime/lxc.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/proc.h"
#include "base/str.h"
#include "runtime/cgroup.h"
#include "runtime/host.h"
#include "runtime/lxc_folder.h"
#include "runtime/lxc_handle.h"
#include "runtime/lxc_mount.h"
#include "runtime/lxc_net.h"
#include "runtime/lxc_option.h"

static int driver_state(const char *name, enum ct_state *ret, pid_t *ret_init, struct err *err)
{
	_cleanup_lxc_ struct lxc_container *c = NULL;
	int r = lxc_handle_open(name, &c, err);

	if (r == -ERR_INVALID && lxc_handle_has_monitor(name)) {
		/* What cannot be read cannot be asked; that it runs is certain all the same. */
		err_clear(err);
		*ret = CT_RUNNING;
		if (ret_init)
			*ret_init = 0;
		return 0;
	}
	if (r < 0)
		return r;
	*ret = lxc_handle_state(c);
	if (ret_init)
		*ret_init = *ret == CT_STOPPED ? 0 : lxc_handle_init(c);
	return 0;
}

/* Start: by lxc-start itself, so that what stays behind is plain LXC: a monitor of that program and
 * under its name, under its own AppArmor profile, with nothing of ours in it. */

/* What moves our folders and who may start are for the pre-start hook, which inherits them. */
static char **start_environment(void)
{
	char **v = NULL;

	for (char **e = environ; e && *e; e++)
		if (strncmp(*e, "WHERRY_", strlen("WHERRY_")) == 0)
			strv_push(&v, *e);
	return v;
}

/* 0 when it has come up, 1 when lxc-start says that it has not. */
static int run_lxc_start(const char *name, const char *log, usec_t timeout, struct err *err)
{
	_cleanup_strv_ char **env = start_environment();
	const char *argv[] = {
		"lxc-start", "-n", name, "-P", lxc_handle_path(), "-o", log, "-d", "-C", NULL};
	struct proc p = PROC_INIT;
	int status = 0, r;

	p.argv = argv;
	p.env = (const char *const *)env;
	r = proc_spawn(&p, err);
	if (r >= 0)
		r = proc_wait(&p, clock_deadline(timeout), &status, err);
	proc_done(&p);
	return r == -ERR_IO && status != 0 ? 1 : r;
}

static char *config_item(struct lxc_container *c, const char *key)
{
	int n = c->get_config_item(c, key, NULL, 0);
	char *value;

	if (n <= 0 || n > 4096)
		return xstrdup("");
	value = xcalloc(1, (size_t)n + 1);
	if (c->get_config_item(c, key, value, n + 1) != n)
		value[0] = '\0';
	return value;
}

static int start_failed(
	const char *name, const char *log, const struct lxc_log_mark *mark, struct err *err)
{
	_cleanup_free_ char *why = lxc_log_file_since(log, mark);

	if (strstr(why, "lxc.hook.pre-start") && lxc_folder_guarded(lxc_handle_path(), name))
		return err_set(err, ERR_DENIED,
			"this node does not own it, or cannot tell: \"wherry ct send resolve %s\" "
			"shows what is known",
			name);
	return err_set(err, ERR_HEALTH, "%s (see %s)", why, log);
}

/* 0 when it is to be started, 1 when it runs already. */
static int ready_to_start(
	struct lxc_container *c, const char *name, usec_t timeout, struct err *err)
{
	enum ct_state state;
	int r;

	if (lxc_handle_state(c) == CT_STOPPING && (r = lxc_handle_settle(c, 0, err)) < 0)
		return r;
	state = lxc_handle_state(c);
	if (state == CT_RUNNING || state == CT_FROZEN) {
		if (!lxc_handle_is_asked(c))
			return 1;
		/* Whoever asked it to stop has died over it: it will be gone in a moment. */
		r = lxc_handle_stop(name, timeout, true, err);
		if (r < 0)
			return r;
	}
	if (!c->is_defined(c))
		return err_set(err, ERR_STATE, "it is still arriving");
	lxc_handle_forget_asked(name);
	return 0;
}

static int driver_start(const char *name, usec_t timeout, struct err *err)
{
	_cleanup_lxc_ struct lxc_container *c = NULL;
	_cleanup_free_ char *configured = NULL, *log = NULL;
	struct lxc_log_mark mark;
	int r = lxc_handle_open(name, &c, err);

	if (r >= 0)
		r = ready_to_start(c, name, timeout, err);
	if (r != 0)
		return MIN(r, 0);
	configured = config_item(c, "lxc.log.file");
	log = lxc_log_path(lxc_handle_path(), name, configured);
	mark = lxc_log_file_mark(log);
	r = run_lxc_start(name, log, timeout, err);
	if (r == -ERR_TIMEOUT)
		return err_set(err, ERR_TIMEOUT, "it has not come up within %llu s (see %s)",
			(unsigned long long)(timeout / USEC_PER_SEC), log);
	return r > 0 ? start_failed(name, log, &mark, err) : r;
}

static int driver_freeze(const char *name, bool on, struct err *err)
{
	_cleanup_lxc_ struct lxc_container *c = NULL;
	struct lxc_log_mark mark = lxc_log_mark();
	enum ct_state state;
	int r = lxc_handle_open(name, &c, err);

	if (r < 0)
		return r;
	state = lxc_handle_state(c);
	if (state == (on ? CT_FROZEN : CT_RUNNING))
		return 0;
	if (state != (on ? CT_RUNNING : CT_FROZEN))
		return err_set(err, ERR_STATE, "it is %s", ct_state_name(state));
	if (on ? !c->freeze(c) : !c->unfreeze(c))
		return lxc_handle_failed(
			err, &mark, ERR_IO, on ? "cannot freeze it" : "cannot thaw it");
	return 0;
}

/* Runs in the container: what the worker has changed about signals is undone. */
static int exec_inside(void *payload)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	(void)signal(SIGPIPE, SIG_DFL);
	return lxc_attach_run_command(payload);
}

static int driver_exec(const char *name, char *const *argv, const int fds[3], usec_t deadline,
	int *ret_status, struct err *err)
{
	static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	static char cwd[] = "/", home[] = "HOME=/root";
	_cleanup_free_ char *term = getenv("TERM") ? xasprintf("TERM=%s", getenv("TERM")) : NULL;
	char *env[] = {path, home, term, NULL};
	_cleanup_lxc_ struct lxc_container *c = NULL;
	_cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct lxc_log_mark mark = lxc_log_mark();
	lxc_attach_options_t options = LXC_ATTACH_OPTIONS_DEFAULT;
	lxc_attach_command_t command = {(char *)argv[0], (char **)argv};
	pid_t pid;
	int r = lxc_handle_open(name, &c, err);

	if (r < 0)
		return r;
	if (lxc_handle_state(c) != CT_RUNNING)
		return err_set(err, ERR_STATE, "it is %s", ct_state_name(lxc_handle_state(c)));
	options.initial_cwd = cwd;
	options.env_policy = LXC_ATTACH_CLEAR_ENV;
	options.extra_env_vars = env;
	options.stdin_fd = fds[0] >= 0 ? fds[0] : null;
	options.stdout_fd = fds[1] >= 0 ? fds[1] : null;
	options.stderr_fd = fds[2] >= 0 ? fds[2] : null;
	if (c->attach(c, exec_inside, &command, &options, &pid) < 0)
		return lxc_handle_failed(err, &mark, ERR_IO, "cannot run a program in it");
	r = lxc_handle_wait_child(pid, deadline, ret_status, err);
	if (r == -ERR_TIMEOUT)
		return err_set(err, ERR_TIMEOUT, "\"%.64s\" has not ended in time", argv[0]);
	return r;
}

/* The configuration */

static int driver_list(char ***ret, struct err *err)
{
	return lxc_folder_list(lxc_handle_path(), ret, err);
}

static bool driver_exists(const char *name)
{
	return lxc_folder_exists(lxc_handle_path(), name);
}

/* An address that LXC made up at the start is the container's as long as it runs: its neighbours
 * have it in their tables, so it goes along on a move. */
static void adopt_hwaddrs(struct container *ct)
{
	_cleanup_lxc_ struct lxc_container *c = NULL;
	struct err ignored = ERR_INIT;
	enum ct_state state;

	if (lxc_handle_open(ct->name, &c, &ignored) < 0)
		return;
	state = lxc_handle_state(c);
	for (size_t i = 0; i < ct->netifs.n && (state == CT_RUNNING || state == CT_FROZEN); i++) {
		struct netif *n = &ct->netifs.v[i];
		char key[64];

		if (n->type != NETIF_VETH || n->hwaddr)
			continue;
		snprintf(key, sizeof(key), "lxc.net.%u.hwaddr", n->index);
		n->hwaddr = c->get_running_config_item(c, key);
	}
}

static int driver_load(const char *name, struct container **ret, struct err *err)
{
	int r = lxc_folder_load(lxc_handle_path(), name, cgroup_unified(), ret, err);

	if (r >= 0)
		adopt_hwaddrs(*ret);
	return r;
}

static int driver_define(const struct container *c, bool staged, struct err *err)
{
	return lxc_folder_define(lxc_handle_path(), c, staged, err);
}

static int driver_publish(const char *name, struct err *err)
{
	return lxc_folder_publish(lxc_handle_path(), name, err);
}

/* 0 for one that is not there at all. */
static int must_be_stopped(const char *name, struct err *err)
{
	enum ct_state state = CT_STOPPED;
	int r = lxc_folder_exists(lxc_handle_path(), name) ? driver_state(name, &state, NULL, err)
							   : 0;

	if (r >= 0 && state != CT_STOPPED)
		r = err_set(err, ERR_STATE, "it is %s", ct_state_name(state));
	return r;
}

static int driver_withdraw(const char *name, struct err *err)
{
	int r = must_be_stopped(name, err);

	return r < 0 ? r : lxc_folder_withdraw(lxc_handle_path(), name, err);
}

static int driver_undefine(const char *name, struct err *err)
{
	int r = must_be_stopped(name, err);

	if (r < 0)
		return r;
	lxc_handle_forget_asked(name);
	return lxc_folder_undefine(lxc_handle_path(), name, err);
}

static int driver_mounter(const char *name, struct err *err)
{
	return lxc_folder_mounter(lxc_handle_path(), name, err);
}

static int driver_guard(const char *name, bool on, struct err *err)
{
	return lxc_folder_guard(lxc_handle_path(), name, on, err);
}

static const char *driver_reaches_out(const struct container *c)
{
	for (size_t i = 0; i < c->netifs.n; i++) {
		const char *reason = lxc_net_type_reason(c->netifs.v[i].type);

		if (reason)
			return reason;
	}
	for (size_t i = 0; i < c->volumes.n; i++) {
		_cleanup_strv_ char **options = str_split(
			c->volumes.v[i].options ? c->volumes.v[i].options : "", ",", false);

		for (size_t j = 0; options[j]; j++)
			if (!lxc_mount_option_ok(options[j]))
				return "has a mount option that may reach outside";
	}
	return NULL;
}

const struct runtime_driver lxc_driver = {
	.name = "lxc",
	.path = lxc_handle_path,
	.list = driver_list,
	.exists = driver_exists,
	.load = driver_load,
	.define = driver_define,
	.publish = driver_publish,
	.withdraw = driver_withdraw,
	.undefine = driver_undefine,
	.guard = driver_guard,
	.mounter = driver_mounter,
	.state = driver_state,
	.start = driver_start,
	.stop = lxc_handle_stop,
	.freeze = driver_freeze,
	.exec = driver_exec,
	.harmless = lxc_option_harmless,
	.reaches_out = driver_reaches_out,
	.owned = lxc_option_owned,
	.preflight = host_preflight,
	.idmap = host_idmap,
};

const struct runtime_driver *const runtime_here = &lxc_driver;
