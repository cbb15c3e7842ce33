/*
 * pool: the folders where containers' files live.
 */
#include <stdio.h>

#include "base/json.h"
#include "cli/commands.h"
#include "cli/output.h"

static const struct operand add_operands[] = {
	{"NAME", "name", OPTION_WORD, 0}, {"PATH", "path", OPTION_PATH, 0}, {NULL}};
static const struct operand name_operands[] = {{"NAME", "name", OPTION_WORD, 0}, {NULL}};
static const struct option_spec add_options[] = {
	{"driver", 0, OPTION_WORD, "driver", "NAME",
		"dir, btrfs or zfs; default: what the file system is. A file system of its own "
		"for each container: image, device or lvm"},
	{"fs", 0, OPTION_WORD, "fs", "TYPE", "of such: ext4 (default) or xfs"},
	{"size", 0, OPTION_SIZE, "size", "SIZE", "of such, where nothing else says one"},
	{"vg", 0, OPTION_WORD, "vg", "VG[/THINPOOL]", "lvm: where the logical volumes are made"},
	{"device", 0, OPTION_WORD, "devices", "DEV,...",
		"device: the block devices that containers may have"},
	{"mmp", 0, OPTION_FLAG, "mmp", NULL,
		"ext4: protect against mounting on two nodes (a mount takes 11 s)"},
	{NULL},
};

static void list_show(struct cli *cli, const json_t *pools)
{
	static const char *const columns[] = {
		"name", "path", "driver", "free", "total", "error?", NULL};

	output_table(cli, pools, columns);
}

const struct command cmd_pool[] = {
	{"pool list", "ls", NULL, NULL, "list the pools", "pool.list", NULL, list_show},
	{"pool show", NULL, name_operands, NULL, "all about one pool", "pool.show"},
	{"pool add", NULL, add_operands, add_options, "make a folder known as a pool", "pool.add"},
	{"pool del", "delete rm", name_operands, NULL, "forget a pool, files stay", "pool.del"},
	COMMANDS_END,
};
