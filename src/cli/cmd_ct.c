/*
 * ct: living with containers.
 */
#include <stdio.h>

#include "base/json.h"
#include "cli/call.h"
#include "cli/commands.h"
#include "cli/output.h"

static const struct operand ct_operands[] = {{"CT", "ct", OPTION_WORD, 0}, {NULL}};
static const struct operand create_operands[] = {{"CT", "ct", OPTION_WORD, 0},
	{"ARG", "argv", OPTION_WORD, OPERAND_OPTIONAL | OPERAND_REST}, {NULL}};
static const struct operand exec_operands[] = {
	{"CT", "ct", OPTION_WORD, 0}, {"COMMAND", "argv", OPTION_WORD, OPERAND_REST}, {NULL}};
static const struct operand snapshot_operands[] = {
	{"CT", "ct", OPTION_WORD, 0}, {"NAME", "name", OPTION_WORD, 0}, {NULL}};

static const struct option_spec create_options[] = {
	{"tarball", 0, OPTION_PATH, "tarball", "FILE", "make its root from this archive"},
	{"template", 't', OPTION_WORD, "template", "NAME",
		"or by this LXC template, which is given the words ARG..."},
	{"pool", 0, OPTION_WORD, "pool", "POOL", "where its files live"},
	{"device", 0, OPTION_PATH, "device", "DEV",
		"its root is a file system on this block device, blank or empty"},
	{"force-format", 0, OPTION_FLAG, "force_format", NULL,
		"make a new one on that device, whatever is there"},
	{"fs", 0, OPTION_WORD, "fs", "TYPE", "of a file system of its own: ext4 or xfs"},
	{"size", 0, OPTION_SIZE, "size", "SIZE", "and its size, such as 20G"},
	{"unprivileged", 'u', OPTION_FLAG, "unprivileged", NULL,
		"give it a range of user ids of its own"},
	{"bridge", 0, OPTION_WORD, "bridge", "NAME", "plug an interface into this bridge"},
	{"address", 0, OPTION_WORD, "address", "ADDR/LEN", "of that interface"},
	{"hwaddr", 0, OPTION_WORD, "hwaddr", "MAC", "of that interface"},
	{"autostart", 0, OPTION_FLAG, "autostart", NULL, "start it when this node starts"},
	{NULL},
};

static const struct option_spec stop_options[] = {
	{"kill", 'k', OPTION_FLAG, "kill", NULL, "do not wait for it when the time is over"},
	{"timeout", 0, OPTION_DURATION, "timeout_ms", "TIME", "to wait, such as 30s"},
	{NULL},
};

static const struct option_spec delete_options[] = {
	{"force", 'f', OPTION_FLAG, "force", NULL, "also if it runs"},
	{NULL},
};

static const struct option_spec snapshot_options[] = {
	{"delete", 'd', OPTION_FLAG, "delete", NULL, "remove the snapshot instead"},
	{NULL},
};

static const struct option_spec history_options[] = {
	{"most", 'n', OPTION_NUMBER, "most", "N", "at most so many, the newest"},
	{NULL},
};

static const struct option_spec own_options[] = {
	{"force", 'f', OPTION_FLAG, "force", NULL,
		"take it, whatever the records say: only if you know that it runs nowhere else; "
		"refused if the other host says that it runs there"},
	{"even-if-running-there", 0, OPTION_FLAG, "even_if_running_there", NULL,
		"with --force: also then. It may run twice"},
	{NULL},
};

static void list_show(struct cli *cli, const json_t *cts)
{
	static const char *const columns[] = {
		"name", "state", "pool", "driver", "send?", "send_note?", "peer?", "error?", NULL};

	output_table(cli, cts, columns);
}

const struct command cmd_ct[] = {
	{"ct list", "ls", NULL, NULL, "list the containers of this node", "ct.list", NULL,
		list_show},
	{"ct show", NULL, ct_operands, NULL, "all about one container", "ct.show"},
	{"ct create", NULL, create_operands, create_options,
		"make a container from an archive or by a template", "ct.create"},
	{"ct start", NULL, ct_operands, NULL, "start a container", "ct.start"},
	{"ct stop", NULL, ct_operands, stop_options, "stop a container", "ct.stop"},
	{"ct restart", NULL, ct_operands, NULL, "stop and start a container", "ct.restart"},
	{"ct delete", "del rm", ct_operands, delete_options, "remove a container and its files",
		"ct.delete"},
	{"ct exec", NULL, exec_operands, NULL, "run a command in a container", "ct.exec", exec_run},
	{"ct snapshot", NULL, snapshot_operands, snapshot_options,
		"make a snapshot of a container's files", "ct.snapshot"},
	{"ct history", NULL, ct_operands, history_options,
		"where a container came from and went, and when", "ct.history", NULL, history_show},
	{"ct own", NULL, ct_operands, own_options,
		"whether this node may run a container, and the override", "ct.own"},
	COMMANDS_END,
};
