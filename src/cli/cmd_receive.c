/*
 * receive list, receive cancel: what is arriving on this node.
 */
#include <stdio.h>

#include "base/json.h"
#include "cli/commands.h"
#include "cli/output.h"

static const struct operand cancel_operands[] = {{"CT|TOKEN", "ct", OPTION_WORD, 0}, {NULL}};

static const struct option_spec cancel_options[] = {
	{"force", 'f', OPTION_FLAG, "force", NULL,
		"also one that is complete and waits for the hand-over; its source must be gone"},
	{NULL},
};

static void list_show(struct cli *cli, const json_t *rows)
{
	static const char *const columns[] = {"ct", "key", "peer", "pool", "phase", "bytes",
		"total_bytes", "opened", "idle_ms", "expires?", "job?", NULL};

	output_table(cli, rows, columns);
}

static void cancel_show(struct cli *cli, const json_t *result)
{
	_cleanup_free_ char *bytes = output_value("bytes", json_object_get(result, "bytes"));

	if (!cli->quiet)
		printf("%s: the transfer is ended, what had arrived (%s) is removed; the container "
		       "stays where it came from\n",
			json_get_str(result, "ct"), bytes);
}

const struct command cmd_receive[] = {
	{"receive list", "ls", NULL, NULL, "list the containers that are arriving on this node",
		"receive.list", NULL, list_show},
	{"receive cancel", NULL, cancel_operands, cancel_options,
		"before the hand-over: end a transfer whose source has vanished, remove what has "
		"come",
		"receive.cancel", NULL, cancel_show},
	COMMANDS_END,
};
