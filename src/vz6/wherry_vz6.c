/*
 * wherry-vz6: the commands of vz6 in one program, for OpenVZ nodes. `wherry vz6 migrate` becomes
 * it, and it is what vpsadminos-convert and vpsadminos-converter are there.
 */
#include <stdlib.h>

#include "cli/commands.h"

const struct command *const command_tables[] = {cmd_vz6, cmd_vz6_node, NULL};

const struct group command_groups[] = {
	{"vz6", "containers of OpenVZ: convert, export, migrate"},
	{"vz6 migrate", "move a container to another node, at once or step by step"},
	{NULL, NULL},
};

/* Records of its own: those in /var/lib/wherry are wherryd's, whose containers are LXC's. */
int main(int argc, char **argv)
{
	setenv("WHERRY_STATE_DIR", "/var/lib/wherry-vz6", 0);
	setenv("WHERRY_RUN_DIR", "/run/wherry-vz6", 0);
	return cli_main(argc, argv);
}
