/*
 * ct export, ct import: containers in files. "-" is a standard stream, which the daemon is given.
 */
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "cli/call.h"
#include "cli/commands.h"
#include "cli/output.h"

static const struct operand export_operands[] = {
	{"CT", "ct", OPTION_WORD, 0}, {"FILE", "file", OPTION_FILE, 0}, {NULL}};
static const struct operand import_operands[] = {{"FILE", "file", OPTION_FILE, 0}, {NULL}};

static const struct option_spec export_options[] = {
	{"consistent", 0, OPTION_SWITCH_ON, "consistent", NULL,
		"stop it, if it runs, for what has changed last"},
	{"format", 0, OPTION_WORD, "format", "NAME", "wherry (default) or osctl"},
	{"compression", 'c', OPTION_WORD, "compression", "HOW",
		"auto (default), off, gzip (osctl), zstd, or a level of zstd from 1 to 19"},
	{"skel", 0, OPTION_FLAG, "skel", NULL, "osctl: the configuration alone"},
	{"force", 'f', OPTION_FLAG, "force", NULL, "replace FILE if it is there"},
	{NULL},
};

static const struct option_spec import_options[] = {
	{"as-id", 0, OPTION_WORD, "as_id", "NAME", "call it so"},
	{"pool", 0, OPTION_WORD, "pool", "POOL", "where its files are to live"},
	{"network-interfaces", 0, OPTION_SWITCH_ON, "network", NULL, "with its interfaces"},
	{"allow-refused", 0, OPTION_FLAG, "allow_refused", NULL,
		"also configuration that reaches out of the container: trust the archive"},
	{"max-size", 0, OPTION_SIZE, "max_size", "SIZE", "refuse an archive that holds more"},
	{"start", 0, OPTION_FLAG, "start", NULL, "and start it"},
	{NULL},
};

static bool is_stream(const json_t *args)
{
	const char *file = json_get_str(args, "file");

	return file && !strcmp(file, "-");
}

static int call(struct cli *cli, const struct command *c, json_t *args, int stream, json_t **ret,
	struct err *err)
{
	bool streamed = is_stream(args);

	if (streamed && isatty(stream))
		return err_set(err, ERR_INVALID, "an archive does not belong on a terminal");
	if (streamed)
		json_object_del(args, "file");
	return call_daemon(cli, c->call, json_incref(args), &stream, streamed ? 1 : 0, ret, err);
}

static int export_run(struct cli *cli, const struct command *c, json_t *args, struct err *err)
{
	_cleanup_json_ json_t *result = NULL;
	bool streamed = is_stream(args);
	int r;

	if (streamed) { /* nothing else goes there */
		cli->json = false;
		cli->quiet = true;
	}
	/* What asks for osctl's ways gets its layout. */
	if (!json_get_str(args, "format") && !strcmp(cli->program, "osctl"))
		json_put_str(args, "format", "osctl");
	r = call(cli, c, args, STDOUT_FILENO, &result, err);
	if (r >= 0 && !streamed) /* else that is where the archive went */
		command_show(cli, c, result);
	return r < 0 ? r : 0;
}

static int import_run(struct cli *cli, const struct command *c, json_t *args, struct err *err)
{
	_cleanup_json_ json_t *result = NULL;
	int r = call(cli, c, args, STDIN_FILENO, &result, err);

	if (r >= 0)
		command_show(cli, c, result);
	return r < 0 ? r : 0;
}

const struct command cmd_archive[] = {
	{"ct export", NULL, export_operands, export_options, "write a container to a file",
		"ct.export", export_run},
	{"ct import", NULL, import_operands, import_options, "make a container from such a file",
		"ct.import", import_run},
	COMMANDS_END,
};
