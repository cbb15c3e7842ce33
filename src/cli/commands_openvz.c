/* What the static binary for OpenVZ nodes has: commands that need no daemon. */
#include <stddef.h>

#include "cli/commands.h"

const struct command *const command_tables[] = {cmd_vz6, NULL};

const struct group command_groups[] = {
	{"vz6", "containers of OpenVZ: what becomes of them"},
	{NULL, NULL},
};
