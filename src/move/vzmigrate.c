#include "move/vzmigrate.h"

#include <string.h>
#include <sys/stat.h>

#include "base/str.h"
#include "link/ssh_options.h"
#include "move/handed.h"
#include "runtime/runtime.h"

static bool is_called_inside(const char *ct, const char *word)
{
	_cleanup_container_ struct container *c = NULL;
	struct err ignored = ERR_INIT;

	return runtime_load(ct, &c, &ignored) >= 0 && c->hostname && str_eq(c->hostname, word);
}

/* By its name; if there is none of that name, by the host name it has inside, as long as that is
 * one's alone. */
static int find_container(const char *word, char ret[65], struct err *err)
{
	_cleanup_strv_ char **names = NULL;
	bool exists = false;
	int r = container_name_ok(word) ? runtime_exists(word, &exists, err) : 0;

	if (r >= 0 && !exists)
		r = runtime_list(&names, err);
	if (r < 0)
		return r;
	ret[0] = '\0';
	if (exists)
		snprintf(ret, 65, "%s", word);
	for (size_t i = 0; names && names[i]; i++) {
		if (!is_called_inside(names[i], word))
			continue;
		if (ret[0])
			return err_set(err, ERR_INVALID,
				"containers '%s' and '%s' are both called '%s' inside: name the "
				"one "
				"you mean",
				ret, names[i], word);
		snprintf(ret, 65, "%s", names[i]);
	}
	return ret[0] ? 0
		      : err_set(err, ERR_NOT_FOUND,
				"there is no container '%s' on this node: `wherry ct list` shows "
				"what there is",
				word);
}

static int check_block_device(const char *path, const char *option, struct err *err)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return err_errno(err, "%s %s", option, path);
	if (!S_ISBLK(st.st_mode))
		return err_set(err, ERR_INVALID, "%s %s is not a block device", option, path);
	return 0;
}

static int is_on_device(const char *ct, bool *ret, struct err *err)
{
	_cleanup_container_ struct container *c = NULL;
	_cleanup_volume_ struct volume *v = NULL;
	int r = runtime_load(ct, &c, err);

	if (r >= 0 && c->volumes.n && c->volumes.v[0].path)
		r = volume_open(c->volumes.v[0].path, ct, c->volumes.v[0].name, &v, err);
	*ret = v && handed_can_be(v);
	return r;
}

static int choose_place(
	const struct vzmigrate_opts *o, const char *ct, struct send_opts *send, struct err *err)
{
	if (o->dst_device && o->dst_pooled)
		return err_set(err, ERR_INVALID,
			"container '%s' goes onto a device or into the pool, not both: "
			"--dst-device or --dst-pooled",
			ct);
	send->to_device = o->dst_device;
	return o->dst_device || o->dst_pooled ? 0 : is_on_device(ct, &send->hand_over, err);
}

/* Everything that would have to hold for a live move, then that there is none. */
static int check_online(const char *ct, const struct vzmigrate_opts *o, struct err *err)
{
	enum ct_state state;
	int r = 0;

	if (!o->online)
		return o->dump_device
			       ? err_set(err, ERR_INVALID,
					 "--dump-device is where --online would leave what the "
					 "container has in memory: it goes with --online only")
			       : 0;
	r = runtime_state(ct, &state, NULL, err);
	if (r >= 0 && state != CT_RUNNING)
		r = err_set(err, ERR_STATE,
			"container '%s' is %s: --online is for running ones, leave it out", ct,
			ct_state_name(state));
	if (r >= 0 && o->dump_device)
		r = check_block_device(o->dump_device, "--dump-device", err);
	if (r < 0)
		return r;
	return err_set(err, ERR_UNSUPPORTED,
		"containers can't be moved live yet: without --online '%s' is moved with a short "
		"stop",
		ct);
}

int vzmigrate_run(struct move_ctx *m, const struct vzmigrate_opts *o, json_t **ret, struct err *err)
{
	_cleanup_(ssh_options_done) struct ssh_options ssh = {0};
	struct send_opts send;
	char ct[65];
	int r = o->ssh ? ssh_options_parse(o->ssh, &ssh, err) : 0;

	if (r >= 0)
		r = find_container(o->ct, ct, err);
	if (r >= 0)
		r = check_online(ct, o, err);
	if (r < 0)
		return r;
	send_opts_init(&send);
	r = choose_place(o, ct, &send, err);
	if (r < 0)
		return r;
	send.host = o->host;
	send.user = ssh.user;
	send.port = ssh.port;
	send.accept_new_host_key = ssh.accept_new;
	send.ssh_options = ssh.options;
	send.remove = o->remove;
	send.keep_partial = o->keep_dst;
	send.dry_run = o->dry_run;
	return send_now(m, ct, &send, ret, err);
}
