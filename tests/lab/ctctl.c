/*
 * ctctl: the runtime's front by hand, for tests in a node: one call, its result as JSON or a word,
 * its error as "ctctl: CODE: TEXT" and the code's exit status.
 *
 *	ctctl list | path
 *	ctctl exists|load|state|publish|withdraw|undefine|guard|unguard|freeze|thaw NAME
 *	ctctl start NAME [SECONDS]
 *	ctctl stop NAME [SECONDS [nokill]]
 *	ctctl exec NAME PROGRAM ARG...
 *	ctctl exec-until NAME SECONDS PROGRAM ARG...
 *	ctctl define|stage|stage-allowed FOLDER		its volumes are FOLDER/VOLUME
 *	ctctl preflight
 *	ctctl idmap RANGE...
 *
 * define, stage and preflight read a container from the first line of standard input.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "runtime/runtime.h"

static struct err err = ERR_INIT;

static void print_json(json_t *v)
{
	_cleanup_free_ char *text = json_text(v);

	puts(text);
	json_decref(v);
}

static int cmd_list(char **args)
{
	_cleanup_strv_ char **names = NULL;
	int r = runtime_list(&names, &err);

	for (size_t i = 0; r >= 0 && names[i]; i++)
		puts(names[i]);
	return r;
}

static int cmd_path(char **args)
{
	puts(runtime_path());
	return 0;
}

static int cmd_exists(char **args)
{
	bool exists;
	int r = runtime_exists(args[0], &exists, &err);

	if (r >= 0)
		puts(exists ? "yes" : "no");
	return r;
}

static int cmd_load(char **args)
{
	_cleanup_container_ struct container *c = NULL;
	int r = runtime_load(args[0], &c, &err);

	if (r < 0)
		return r;
	print_json(container_json(c));
	for (size_t i = 0; i < c->volumes.n; i++)
		printf("%s %s\n", c->volumes.v[i].name,
			c->volumes.v[i].path ? c->volumes.v[i].path : "-");
	return 0;
}

static int cmd_state(char **args)
{
	enum ct_state state;
	pid_t init;
	int r = runtime_state(args[0], &state, &init, &err);

	if (r >= 0)
		printf("%s %d\n", ct_state_name(state), init);
	return r;
}

static int cmd_publish(char **args)
{
	return runtime_publish(args[0], &err);
}

static int cmd_withdraw(char **args)
{
	return runtime_withdraw(args[0], &err);
}

static int cmd_undefine(char **args)
{
	return runtime_undefine(args[0], &err);
}

static int cmd_guard(char **args)
{
	return runtime_guard(args[0], true, &err);
}

static int cmd_unguard(char **args)
{
	return runtime_guard(args[0], false, &err);
}

static int cmd_freeze(char **args)
{
	return runtime_freeze(args[0], true, &err);
}

static int cmd_thaw(char **args)
{
	return runtime_freeze(args[0], false, &err);
}

static usec_t seconds(const char *arg, unsigned dflt)
{
	return (arg ? strtoul(arg, NULL, 10) : dflt) * USEC_PER_SEC;
}

static int cmd_start(char **args)
{
	return runtime_start(args[0], seconds(args[1], 30), &err);
}

static int cmd_stop(char **args)
{
	return runtime_stop(args[0], seconds(args[1], 30), !args[1] || !args[2], &err);
}

static int cmd_exec(char **args)
{
	static const int fds[] = {0, 1, 2};
	int status, r = runtime_exec(args[0], args + 1, fds, &status, &err);

	if (r >= 0)
		exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	return r;
}

static int cmd_exec_until(char **args)
{
	static const int fds[] = {0, 1, 2};
	int status;

	return runtime_exec_until(
		args[0], args + 2, fds, clock_deadline(seconds(args[1], 1)), &status, &err);
}

static int read_container(struct container **ret)
{
	_cleanup_json_ json_t *v = NULL;
	_cleanup_free_ char *text = NULL;
	size_t n;
	int r = file_read("/dev/stdin", 1 << 20, &text, &n, &err);

	if (r < 0 || (r = json_parse(text, strcspn(text, "\n"), 1 << 20, &v, &err)) < 0)
		return r;
	return container_from_json(v, ret, &err);
}

static int define(const char *folder, bool staged, bool allowed)
{
	_cleanup_container_ struct container *c = NULL;
	int r = read_container(&c);

	if (r < 0)
		return r;
	for (size_t i = 0; i < c->volumes.n; i++)
		c->volumes.v[i].path = xasprintf("%s/%s", folder, c->volumes.v[i].name);
	for (size_t i = 0; allowed && i < c->refused.n; i++)
		option_add(&c->options, c->refused.v[i].key, c->refused.v[i].value, NULL);
	return runtime_define(c, staged, allowed, &err);
}

static int cmd_define(char **args)
{
	return define(args[0], false, false);
}

static int cmd_stage(char **args)
{
	return define(args[0], true, false);
}

static int cmd_stage_allowed(char **args)
{
	return define(args[0], true, true);
}

static int cmd_preflight(char **args)
{
	_cleanup_container_ struct container *c = NULL;
	int r = read_container(&c);

	return r < 0 ? r : runtime_preflight(c, &err);
}

static int cmd_idmap(char **args)
{
	struct idmap arriving = {0}, here = {0};
	int r = 0;

	for (size_t i = 0; r >= 0 && args[i]; i++)
		r = idmap_add(&arriving, args[i], &err);
	if (r >= 0)
		r = runtime_idmap(&arriving, &here, &err);
	if (r >= 0)
		print_json(idmap_json(&here));
	idmap_done(&arriving);
	idmap_done(&here);
	return r;
}

static const struct {
	const char *name;
	int args; /* at least */
	int (*run)(char **args);
} commands[] = {
	{"list", 0, cmd_list},
	{"path", 0, cmd_path},
	{"exists", 1, cmd_exists},
	{"load", 1, cmd_load},
	{"state", 1, cmd_state},
	{"publish", 1, cmd_publish},
	{"withdraw", 1, cmd_withdraw},
	{"undefine", 1, cmd_undefine},
	{"guard", 1, cmd_guard},
	{"unguard", 1, cmd_unguard},
	{"freeze", 1, cmd_freeze},
	{"thaw", 1, cmd_thaw},
	{"start", 1, cmd_start},
	{"stop", 1, cmd_stop},
	{"exec", 2, cmd_exec},
	{"exec-until", 3, cmd_exec_until},
	{"define", 1, cmd_define},
	{"stage", 1, cmd_stage},
	{"stage-allowed", 1, cmd_stage_allowed},
	{"preflight", 0, cmd_preflight},
	{"idmap", 1, cmd_idmap},
};

int main(int argc, char **argv)
{
	log_open("ctctl", LOG_LEVEL_WARNING);
	cancel_install();
	for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(commands); i++) {
		if (strcmp(commands[i].name, argv[1]) != 0 || argc - 2 < commands[i].args)
			continue;
		if (commands[i].run(argv + 2) >= 0)
			return 0;
		fprintf(stderr, "ctctl: %s: %s\n", err_name(err.code), err.text);
		return err_exit_status(err.code);
	}
	fprintf(stderr, "usage: ctctl COMMAND ARG...\n");
	return 2;
}
