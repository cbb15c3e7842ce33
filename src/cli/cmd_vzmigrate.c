/*
 * vzmigrate: its command line and exit statuses are those that OpenVZ's administrators and their
 * scripts know.
 */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "cli/call.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/send_options.h"

static const struct operand operands[] = {
	{"HOST", "host", OPTION_WORD, 0}, {"CT", "ct", OPTION_WORD, 0}, {NULL}};

static const struct option_spec options[] = {
	{"dst-device", 0, OPTION_WORD, "dst_device", "DEVICE",
		"copy it onto this block device of the destination, blank or with an empty file "
		"system"},
	{"dst-pooled", 0, OPTION_FLAG, "dst_pooled", NULL,
		"copy it into the pool there, though it has a device of its own here"},
	{"remove-area", 'r', OPTION_WORD, "remove_area", "yes|no",
		"remove the container from this node in the end; default yes"},
	{"keep-dst", 0, OPTION_FLAG, "keep_dst", NULL,
		"if it fails, keep what has arrived: the next try goes on from there"},
	{"online", 0, OPTION_FLAG, "online", NULL,
		"move it live, with what it has in memory: not possible yet"},
	{"live", 0, OPTION_FLAG, "online", NULL, "another name of --online"},
	{"dump-device", 0, OPTION_PATH, "dump_device", "DEVICE",
		"with --online: where its memory is handed over"},
	{"check-only", 0, OPTION_FLAG, "check_only", NULL,
		"check on both nodes whether it could be moved, change nothing"},
	{"dry-run", 'n', OPTION_FLAG, "dry_run", NULL,
		"the same, and print the steps with what would undo them"},
	{"times", 't', OPTION_FLAG, "times", NULL, "print how long each phase took"},
	{"verbose", 'v', OPTION_FLAG, "verbose", NULL, "say more; includes --times"},
	{"ssh", 0, OPTION_WORD, "ssh", "OPTIONS", "options of ssh, such as \"-p 2222\""},
	{NULL},
};

/* The statuses of vzmigrate(8), by what went wrong and by the phase in which it did. */
static int status_of(const struct cli *cli, const json_t *args, const struct err *err)
{
	static const struct {
		const char *phase;
		int status;
	} failed_in[] = {{"rootfs", 6}, {"sync", 6}, {"stop", 8}, {"state", 6}, {"start", 7}};

	if (err->code == ERR_STATE && json_get_bool(args, "online", false))
		return 2;
	for (size_t i = 0; i < ARRAY_SIZE(failed_in); i++)
		if (str_eq(cli->phase, failed_in[i].phase))
			return failed_in[i].status;
	switch (err->code) {
	case ERR_UNREACHABLE:
	case ERR_AUTH:
	case ERR_TIMEOUT: return 4;
	case ERR_NO_SPACE:
	case ERR_IO: return 6;
	case ERR_HEALTH: return 7;
	case ERR_EXISTS: return 9;
	case ERR_NOT_FOUND: return cli->phase[0] ? 14 : 10;
	case ERR_UNSUPPORTED:
	case ERR_PROTOCOL: return 14;
	case ERR_BUSY:
	case ERR_STATE: return 20;
	default: return 1;
	}
}

static int read_remove_area(json_t *args, struct err *err)
{
	const char *word = json_get_str(args, "remove_area");

	if (word && !str_eq(word, "yes") && !str_eq(word, "no"))
		return err_set(err, ERR_INVALID, "-r is yes or no, not \"%.32s\"", word);
	json_put_bool(args, "remove", !word || str_eq(word, "yes"));
	json_object_del(args, "remove_area");
	return 0;
}

static bool take_flag(json_t *args, const char *name)
{
	bool on = json_get_bool(args, name, false);

	json_object_del(args, name);
	return on;
}

static void show_times(const json_t *result)
{
	static const char *const words[][2] = {
		{"config", "checks, configuration"},
		{"rootfs", "first copy"},
		{"sync", "changes since, while it ran"},
		{"stop", "stop here"},
		{"state", "last changes, comparison"},
		{"start", "hand-over, start there"},
		{"cleanup", "removal here"},
	};
	const json_t *phases = json_object_get(result, "phases"), *p;
	size_t i;

	json_array_foreach(phases, i, p)
	{
		const char *name = json_get_str(p, "phase");
		_cleanup_free_ char *bytes = output_value("bytes", json_object_get(p, "bytes"));

		for (size_t w = 0; w < ARRAY_SIZE(words); w++)
			if (str_eq(name, words[w][0]))
				name = words[w][1];
		printf("  %-28s %8.2f s", name, (double)json_get_u64(p, "ms", 0) / 1000);
		printf("%s%s\n", json_get_u64(p, "bytes", 0) ? "  " : "",
			json_get_u64(p, "bytes", 0) ? bytes : "");
	}
	if (json_object_get(result, "stop_ms"))
		printf("  %-28s %8.2f s\n", "stopped in all",
			(double)json_get_u64(result, "stop_ms", 0) / 1000);
}

static void show(
	struct cli *cli, const struct command *c, bool check_only, bool times, const json_t *result)
{
	_cleanup_free_ char *ct = output_value("ct", json_object_get(result, "ct"));
	_cleanup_free_ char *peer = output_value("peer", json_object_get(result, "peer"));

	if (check_only && !cli->json && !cli->quiet)
		printf("%s can be moved to %s. Nothing was changed.\n", ct, peer);
	else
		command_show(cli, c, result);
	if (times && !cli->json)
		show_times(result);
}

static int run(struct cli *cli, const struct command *c, json_t *args, struct err *err)
{
	bool verbose = take_flag(args, "verbose"), times = take_flag(args, "times") || verbose;
	bool check_only = take_flag(args, "check_only") && !json_get_bool(args, "dry_run", false);
	_cleanup_json_ json_t *result = NULL;
	int r = read_remove_area(args, err);

	if (check_only)
		json_put_bool(args, "dry_run", true);
	if (r >= 0)
		r = call_daemon(cli, c->call, json_incref(args), NULL, 0, &result, err);
	if (r < 0)
		return r;
	show(cli, c, check_only, times, result);
	return 0;
}

const struct command cmd_vzmigrate[] = {
	{"vzmigrate", NULL, operands, options,
		"move a container as vzmigrate of OpenVZ does, also between filesystems of their "
		"own",
		"ct.migrate.vz", run, send_show, .exit_status = status_of},
	COMMANDS_END,
};
