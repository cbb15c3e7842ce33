#include "runtime/openvz.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/dirs.h"
#include "base/file.h"
#include "base/str.h"
#include "runtime/lxc_option.h"
#include "runtime/openvz_guard.h"
#include "runtime/openvz_tool.h"

#define FAST_TIMEOUT (60 * USEC_PER_SEC)
/* A mount may check the disk, or count a quota anew, and is not to be killed at that. */
#define SLOW_TIMEOUT (30 * 60 * USEC_PER_SEC)
#define SETTLE	     (10 * USEC_PER_SEC)
#define LOOK_EVERY   (50 * USEC_PER_MSEC)
#define VEINFO	     "/proc/vz/veinfo"
#define TOKEN	     "WHERRY_START_TOKEN" /* node/ownership.h */

static openvz_load_fn *loader;
static void *loader_ctx;

void openvz_load_by(openvz_load_fn *load, void *ctx)
{
	loader = load;
	loader_ctx = ctx;
}

static int unsupported(const char *what, struct err *err)
{
	return err_set(err, ERR_UNSUPPORTED,
		"containers only leave OpenVZ: %s is for a node with LXC", what);
}

static int check_ctid(const char *name, struct err *err)
{
	if (vz_ctid_ok(name))
		return 0;
	return err_set(
		err, ERR_INVALID, "\"%.64s\" is not the number of a container of OpenVZ", name);
}

static const char *driver_path(void)
{
	return OPENVZ_CONF;
}

static int driver_list(char ***ret, struct err *err)
{
	return vz_list(ret, err);
}

/* Where that can't be told, it may: who loads it then says why. */
static bool driver_exists(const char *name)
{
	struct vz_status s = {0};
	struct err ignored = ERR_INIT;

	return vz_ctid_ok(name) && (vz_status(name, &s, &ignored) < 0 || s.exists);
}

static int status_of(const char *name, struct vz_status *ret, struct err *err)
{
	int r = check_ctid(name, err);

	if (r >= 0)
		r = vz_status(name, ret, err);
	if (r >= 0 && !ret->exists)
		r = err_set(err, ERR_NOT_FOUND,
			"there is no container %s of OpenVZ on this node: `vzlist -a` shows what "
			"there is",
			name);
	return r;
}

static int driver_load(const char *name, struct container **ret, struct err *err)
{
	struct vz_status s;
	int r = status_of(name, &s, err);

	return r < 0 ? r : loader(loader_ctx, name, ret, err);
}

/* One that is suspended is not stopped: its processes lie in a file, and would be lost. */
static int driver_state(const char *name, enum ct_state *ret, pid_t *ret_init, struct err *err)
{
	struct vz_status s;
	int r = status_of(name, &s, err);

	if (r < 0)
		return r;
	*ret = s.running ? CT_RUNNING : s.suspended ? CT_FROZEN : CT_STOPPED;
	if (ret_init)
		*ret_init = 0;
	return 0;
}

/* A note that a disk is mounted for us only. */

static char *held_path(const char *ctid)
{
	return xasprintf("%s/held.%s", dirs_run(), ctid);
}

static int note_held(const char *ctid, struct err *err)
{
	_cleanup_free_ char *path = held_path(ctid);
	int r = file_mkdirs(dirs_run(), 0700, err);

	return r < 0 ? r : file_replace(path, "", 0, 0600, err);
}

static void forget_held(const char *ctid)
{
	_cleanup_free_ char *path = held_path(ctid);

	(void)unlink(path);
}

/* Does the kernel still know of it? vzctl asks it, too; this is without vzctl. */
static bool kernel_has(const char *ctid)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_strv_ char **lines = NULL;
	struct err ignored = ERR_INIT;

	if (file_read(VEINFO, 1u << 20, &text, NULL, &ignored) < 0)
		return false;
	lines = str_split(text, "\n", false);
	for (size_t i = 0; lines[i]; i++) {
		_cleanup_strv_ char **w = str_words(lines[i]);

		if (w[0] && str_eq(w[0], ctid))
			return true;
	}
	return false;
}

static int allow_start(const char *name, const char *token, struct err *err)
{
	_cleanup_free_ char *path = openvz_start_token_path(name);

	return token ? file_replace(path, token, strlen(token), 0600, err) : file_remove(path, err);
}

static int start_failed(int r, int code, const char *name, struct err *err)
{
	struct err why = *err;

	/* What a mount script's failure is: of ours, as a rule. */
	if (code == 79)
		return err_set(err, ERR_DENIED,
			"%.400s: this node does not own it, or cannot tell (see `vzctl start %s`)",
			why.text, name);
	return code > 0 ? err_set(err, ERR_HEALTH, "%.600s", why.text) : r;
}

static int driver_start(const char *name, usec_t timeout, struct err *err)
{
	const char *token = getenv(TOKEN);
	struct err ignored = ERR_INIT;
	struct vz_status s;
	int code = -1, r = status_of(name, &s, err);

	if (r >= 0 && s.suspended)
		return err_set(err, ERR_STATE,
			"it is suspended: `vzctl resume %s` or `vzctl restore %s` first", name,
			name);
	if (r >= 0 && token)
		r = allow_start(name, token, err);
	if (r < 0)
		return r;
	r = vz_do((const char *[]){"start", NULL}, name, clock_deadline(MAX(timeout, SLOW_TIMEOUT)),
		&code, err);
	if (token && allow_start(name, NULL, &ignored) < 0)
		return err_copy(err, &ignored);
	if (r < 0 && code != VZ_RUNNING)
		return start_failed(r, code, name, err);
	err_clear(err);
	r = vz_status(name, &s, err);
	if (r >= 0 && !s.running)
		r = err_set(err, ERR_HEALTH, "vzctl has started it, and it does not run");
	if (r >= 0)
		forget_held(name);
	return r;
}

/* vzctl says that it is down; so must the kernel. */
static int wait_down(const char *name, struct err *err)
{
	usec_t deadline = clock_deadline(SETTLE);
	struct vz_status s;
	int r;

	for (;;) {
		r = status_of(name, &s, err);
		if (r < 0 || (!s.running && !kernel_has(name)))
			return r;
		if (clock_now() >= deadline)
			return err_set(err, ERR_TIMEOUT,
				"vzctl has stopped it, and there are still processes in it");
		clock_sleep(LOOK_EVERY);
	}
}

static int stop_running(const char *name, bool ploop, usec_t timeout, bool kill, struct err *err)
{
	const char *umount = ploop ? "--skip-umount" : NULL;
	int code = -1, r = -ERR_TIMEOUT;

	if (timeout > 0)
		r = vz_do((const char *[]){"stop", umount, NULL}, name, clock_deadline(timeout),
			&code, err);
	if (r >= 0 || code == VZ_NOT_RUNNING || (!kill && timeout > 0))
		return code == VZ_NOT_RUNNING ? 0 : r;
	err_clear(err);
	r = vz_do((const char *[]){"stop", "--fast", umount, NULL}, name,
		clock_deadline(FAST_TIMEOUT), &code, err);
	return code == VZ_NOT_RUNNING ? 0 : r;
}

static int driver_stop(const char *name, usec_t timeout, bool kill, struct err *err)
{
	_cleanup_(openvz_place_done) struct openvz_place p = {0};
	struct vz_status s;
	int r = cancel_check(err);

	if (r >= 0)
		r = status_of(name, &s, err);
	if (r >= 0 && s.suspended)
		return err_set(err, ERR_STATE,
			"it is suspended: `vzctl resume %s`, or `vzctl restore %s`, and try again",
			name, name);
	if (r >= 0 && s.running)
		r = openvz_place(name, &p, err);
	if (r < 0)
		return r;
	cancel_shield();
	if (s.running && p.ploop)
		r = note_held(name, err);
	if (r >= 0 && s.running)
		r = stop_running(name, p.ploop, timeout, kill, err);
	cancel_unshield();
	if (r >= 0)
		err_clear(err);
	return r < 0 ? r : wait_down(name, err);
}

/* Both places: which one is looked at is vzctl's affair, by its version and the layout. */
static int driver_guard(const char *name, bool on, struct err *err)
{
	_cleanup_(openvz_place_done) struct openvz_place p = {0};
	int r = check_ctid(name, err);

	if (r >= 0)
		r = openvz_guard(name, on, err);
	if (r >= 0)
		r = openvz_place(name, &p, err);
	if (r == -ERR_NOT_FOUND && !on) {
		err_clear(err);
		return 0;
	}
	return r < 0 || !p.ploop ? r : openvz_guard_disk(name, p.private, on, err);
}

static int driver_disable(const char *name, struct err *err)
{
	int r = check_ctid(name, err);

	return r < 0 ? r
		     : vz_do((const char *[]){"set", "--disabled", "yes", "--save", NULL}, name,
			       clock_deadline(FAST_TIMEOUT), NULL, err);
}

/* It runs elsewhere by now: until nothing is left of it, it must not start here, whatever fails and
 * whenever the node goes down. vzctl may take its scripts away before its configuration. */
static int driver_undefine(const char *name, struct err *err)
{
	struct vz_status s;
	int r = check_ctid(name, err);

	if (r >= 0)
		r = vz_status(name, &s, err);
	if (r < 0)
		return r;
	if (!s.exists)
		return openvz_guard(name, false, err);
	if (s.running || s.suspended)
		return err_set(err, ERR_STATE, "it is %s", s.running ? "running" : "suspended");
	r = driver_disable(name, err);
	if (r >= 0)
		r = openvz_release(name, err);
	if (r >= 0)
		r = vz_do((const char *[]){"destroy", NULL}, name, CLOCK_NEVER, NULL, err);
	return r < 0 ? r : openvz_guard(name, false, err);
}

static int driver_define(const struct container *c, bool staged, struct err *err)
{
	(void)c;
	(void)staged;
	return unsupported("a container that arrives", err);
}

static int driver_publish(const char *name, struct err *err)
{
	(void)name;
	return unsupported("a container that arrives", err);
}

static int driver_freeze(const char *name, bool on, struct err *err)
{
	(void)name;
	(void)on;
	return unsupported("freezing", err);
}

static int driver_exec(const char *name, char *const *argv, const int fds[3], usec_t deadline,
	int *ret_status, struct err *err)
{
	(void)name;
	(void)argv;
	(void)fds;
	(void)deadline;
	(void)ret_status;
	return unsupported("running a program in it", err);
}

static const char *driver_reaches_out(const struct container *c)
{
	(void)c;
	return NULL;
}

static int driver_preflight(const struct container *c, struct err *err)
{
	(void)c;
	return unsupported("a container that arrives", err);
}

static int driver_idmap(const struct idmap *arriving, struct idmap *ret, struct err *err)
{
	(void)arriving;
	(void)ret;
	return unsupported("a container that arrives", err);
}

/* Its files */

void openvz_place_done(struct openvz_place *p)
{
	free(p->private);
	free(p->root);
	*p = (struct openvz_place){0};
}

static int check_folder(const char *ctid, const char *field, const char *path, struct err *err)
{
	if (path[0] == '/' && path[1] && !str_eq(path, "/vz") && !strstr(path, "/../"))
		return 0;
	return err_set(err, ERR_PROTOCOL,
		"vzlist says that the %s of container %s is \"%.200s\", which is no folder of its "
		"own",
		field, ctid, path);
}

static int read_folder(const char *ctid, const char *field, char **ret, struct err *err)
{
	_cleanup_free_ char *path = NULL;
	int r = vz_field(ctid, field, &path, err);

	if (r >= 0)
		r = check_folder(ctid, field, path, err);
	if (r < 0)
		return r;
	while (str_ends(path, "/"))
		path[strlen(path) - 1] = '\0';
	*ret = TAKE_PTR(path);
	return 0;
}

/* The disk says it, as vzmigrate has it: the word in the configuration may be missing or old. */
static bool has_disk(const char *private)
{
	_cleanup_free_ char *path = xasprintf("%s/root.hdd/DiskDescriptor.xml", private);

	return file_exists(path);
}

/* Of these folders another one holds the files, and another one the scripts. */
static int check_layout(const char *ctid, const char *private, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/.ve.layout", private);
	char layout[16];
	ssize_t n = readlink(path, layout, sizeof(layout));

	if (n <= 0 || layout[0] < '4')
		return 0;
	return err_set(err, ERR_UNSUPPORTED,
		"container %s is of Virtuozzo's layout %.1s without a ploop disk: its files are "
		"not "
		"where they can be read from here",
		ctid, layout);
}

int openvz_place(const char *ctid, struct openvz_place *ret, struct err *err)
{
	_cleanup_(openvz_place_done) struct openvz_place p = {0};
	struct vz_status s;
	int r = status_of(ctid, &s, err);

	if (r >= 0)
		r = read_folder(ctid, "private", &p.private, err);
	if (r >= 0)
		r = read_folder(ctid, "root", &p.root, err);
	if (r < 0)
		return r;
	p.ploop = has_disk(p.private);
	r = p.ploop ? 0 : check_layout(ctid, p.private, err);
	if (r < 0)
		return r;
	p.mounted = s.mounted;
	p.running = s.running;
	*ret = p;
	p = (struct openvz_place){0};
	return 0;
}

int openvz_hold(const char *ctid, struct err *err)
{
	_cleanup_(openvz_place_done) struct openvz_place p = {0};
	int r = openvz_place(ctid, &p, err);

	if (r < 0 || !p.ploop || p.mounted)
		return r;
	r = note_held(ctid, err);
	return r < 0 ? r
		     : vz_do((const char *[]){"mount", NULL}, ctid, clock_deadline(SLOW_TIMEOUT),
			       NULL, err);
}

int openvz_release(const char *ctid, struct err *err)
{
	_cleanup_(openvz_place_done) struct openvz_place p = {0};
	_cleanup_free_ char *path = held_path(ctid);
	int r;

	if (!file_exists(path))
		return 0;
	r = openvz_place(ctid, &p, err);
	if (r >= 0 && p.mounted && !p.running)
		r = vz_do((const char *[]){"umount", NULL}, ctid, clock_deadline(FAST_TIMEOUT),
			NULL, err);
	if (r >= 0)
		forget_held(ctid);
	return r;
}

const struct runtime_driver openvz_driver = {
	.name = "openvz",
	.path = driver_path,
	.list = driver_list,
	.exists = driver_exists,
	.load = driver_load,
	.define = driver_define,
	.publish = driver_publish,
	.withdraw = driver_publish,
	.mounter = driver_publish,
	.undefine = driver_undefine,
	.guard = driver_guard,
	.state = driver_state,
	.start = driver_start,
	.stop = driver_stop,
	.freeze = driver_freeze,
	.exec = driver_exec,
	.harmless = lxc_option_harmless,
	.reaches_out = driver_reaches_out,
	.owned = lxc_option_owned,
	.preflight = driver_preflight,
	.idmap = driver_idmap,
	.disable = driver_disable,
	.destroys = true,
};

const struct runtime_driver *const runtime_here = &openvz_driver;
