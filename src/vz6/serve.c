/*
 * The commands of flag COMMAND_VZ6, done here.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/dirs.h"
#include "base/file.h"
#include "base/json.h"
#include "base/kernel.h"
#include "base/log.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "node/keys.h"
#include "node/ownership.h"
#include "node/transfer.h"
#include "runtime/openvz.h"
#include "runtime/openvz_guard.h"
#include "runtime/runtime.h"
#include "vz6/source.h"
#include "vz6/words.h"

static void on_line(void *ctx, const char *text)
{
	struct vz6 *v = ctx;
	_cleanup_free_ char *said = words_text(text);

	bar_line(&v->bar, said);
}

static void on_progress(void *ctx, const struct progress_event *ev)
{
	struct vz6 *v = ctx;

	bar_progress(&v->bar, ev);
}

/* Document 3's way: the key that root has. One of Wherry's own, put there, goes before it. */
static int find_key(struct err *err)
{
	static const char *const names[] = {"id_ed25519", "id_ecdsa", "id_rsa"};
	const char *home = getenv("HOME"), *key = send_key_path(false);
	_cleanup_free_ char *dir = xasprintf("%s/send-receive", dirs_state());
	int r;

	if (file_exists(key))
		return 0;
	r = file_mkdirs(dir, 0700, err);
	(void)unlink(key); /* a link to one that is gone */
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *path = xasprintf(
			"%s/.ssh/%s", home ? home : "/root", names[i]);

		if (!file_exists(path))
			continue;
		if (symlink(path, key) < 0)
			return err_errno(err, "link %s to %s", key, path);
		break;
	}
	return r;
}

int vz6_open(struct vz6 *v, struct cli *cli, struct err *err)
{
	int r;

	*v = (struct vz6){.cli = cli, .bar = {.cli = cli}};
	v->progress = (struct progress){.sink = on_progress, .ctx = v};
	r = state_open(&v->st, err);
	if (r >= 0)
		r = config_load(&v->cfg, err);
	if (r >= 0)
		r = find_key(err);
	if (r < 0)
		return r;
	v->move = (struct move_ctx){.st = v->st,
		.cfg = v->cfg,
		.progress = &v->progress,
		.say = on_line,
		.say_ctx = v,
		.who = "uid 0",
		.call = "ct.send"};
	openvz_load_by(source_load, v);
	return 0;
}

void vz6_close(struct vz6 *v)
{
	bar_end(&v->bar);
	state_close(v->st);
	config_free(v->cfg);
	json_decref(v->source);
	json_decref(v->report_v);
	json_decref(v->guest);
	free(v->report);
}

static void show_guest(const json_t *guest)
{
	const json_t *o;
	size_t i;

	json_array_foreach(json_object_get(guest, "changes"), i, o)
	{
		const char *path = json_get_str(o, "path");
		_cleanup_free_ char *shown = str_escape(path, strlen(path));

		printf("%s  %-10s /%s: %s\n",
			i ? "" : "\nTo be changed inside, where it arrives:\n",
			json_get_str(o, "fixup"), shown, json_get_str(o, "what"));
	}
	json_array_foreach(json_object_get(guest, "findings"), i, o)
		printf("%s  %s\n", i ? "" : "\nFor you to look after:\n", json_get_str(o, "text"));
}

void vz6_show_report(struct vz6 *v)
{
	if (!v->report)
		return;
	if (v->cli->json) {
		output_json_line(v->cli, "config", json_incref(v->report_v));
		output_json_line(v->cli, "inside", json_incref(v->guest));
	} else if (!v->cli->quiet) {
		bar_end(&v->bar);
		printf("Parsing config\n%s", v->report);
		show_guest(v->guest);
		fflush(stdout);
	}
}

void vz6_say_unused(struct vz6 *v, const json_t *args)
{
	if (json_get_str(args, "route_via"))
		move_say(&v->move, "--route-via is not needed: a routed interface has a gateway "
				   "that is on its link only");
	if (json_get_bool(args, "zfs_compressed_send", false))
		move_say(&v->move, "--zfs-compressed-send does nothing: files are sent, not "
				   "streams of ZFS");
}

/* It cannot be stopped, and could not be started again. What else is wrong the steps say. */
int vz6_check_awake(const char *ct, struct err *err)
{
	struct err ignored = ERR_INIT;
	enum ct_state state;

	if (runtime_state(ct, &state, NULL, &ignored) < 0 || state != CT_FROZEN)
		return 0;
	return err_set(err, ERR_STATE,
		"container %s is suspended: `vzctl resume %s`, or `vzctl restore %s`, and try "
		"again",
		ct, ct, ct);
}

void vz6_release(struct vz6 *v, const char *ct)
{
	_cleanup_transfer_ struct transfer *t = NULL;
	_cleanup_close_ int lock = -1;
	struct err e = ERR_INIT;

	/* Another command may be reading it, an export as well. */
	if (move_lock(&v->move, ct, false, &lock, &e) < 0)
		return;
	if (transfer_open_of(v->st, TRANSFER_SOURCE, ct, &t, &e) >= 0 && t->phase < TRANSFER_DONE)
		return;
	err_clear(&e);
	if (openvz_release(ct, &e) < 0)
		log_warning("container %s: %s", ct, e.text);
}

/* By the mount script: it must never wait for long, and fail where it does not know. */
static int may_start(const json_t *args, struct err *err)
{
	const char *ct = json_get_str(args, "ct");
	_cleanup_free_ char *path = openvz_start_token_path(ct), *token = NULL;
	_cleanup_state_ struct state *st = NULL;
	struct err ignored = ERR_INIT;
	int r;

	alarm(10);
	if (file_read(path, 64, &token, NULL, &ignored) < 0)
		token = NULL; /* as usual: there is none */
	r = state_open_readonly(&st, err);
	return r < 0 ? r : own_may_start(st, ct, token, err);
}

static const char *last_word(const char *words)
{
	const char *blank = strrchr(words, ' ');

	return blank ? blank + 1 : words;
}

static int serve(
	struct vz6 *v, const struct command *c, json_t *args, json_t **ret, struct err *err)
{
	const char *word = last_word(c->words);

	if (str_eq(word, "export"))
		return vz6_export(v, args, ret, err);
	if (str_eq(word, "own"))
		return vz6_own(v, args, ret, err);
	if (str_eq(word, "recover"))
		return vz6_recover(v, json_get_bool(args, "after", false), ret, err);
	return vz6_migrate(v, word, args, ret, err);
}

/* Results name the next step, too. */
static void translate(json_t *result)
{
	static const char *const fields[] = {"next", "advice"};

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		const char *text = json_get_str(result, fields[i]);
		_cleanup_free_ char *said = text ? words_text(text) : NULL;

		if (said)
			json_put_str(result, fields[i], said);
	}
}

/* The migration goes on where its terminal ends. */
int vz6_serve(struct cli *cli, const struct command *c, json_t *args, struct err *err)
{
	_cleanup_json_ json_t *result = NULL;
	struct vz6 v = {0};
	int r;

	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	if (str_eq(last_word(c->words), "may-start")) {
		r = may_start(args, err);
		words_err(err);
		return r;
	}
	r = kernel_check(err);
	if (r < 0)
		return r;
	cancel_install();
	umask(022);
	r = vz6_open(&v, cli, err);
	if (r >= 0)
		r = serve(&v, c, args, &result, err);
	vz6_close(&v);
	words_err(err);
	if (r < 0)
		return r;
	translate(result);
	command_show(cli, c, result);
	return 0;
}
