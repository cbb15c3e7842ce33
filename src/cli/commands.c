#include "cli/commands.h"

#include <stddef.h>

const struct command *const command_tables[] = {cmd_ct, cmd_archive, cmd_send, cmd_migrate, cmd_key,
	cmd_receive, cmd_pool, cmd_job, cmd_vz6, cmd_vz6_node, cmd_vzmigrate, cmd_node, NULL};

const struct group command_groups[] = {
	{"ct", "containers: list, create, run, send"},
	{"ct send", "send a container to another node, at once or step by step"},
	{"ct migrate", "the same, under its older names"},
	{"send", "this node's own key"},
	{"send key", "this node's own key"},
	{"receive", "what arrives on this node, and who may send it"},
	{"receive authorized-keys", "who may send containers to this node"},
	{"migration", "keys, under their older names"},
	{"migration key", "this node's own key"},
	{"migration authorized-keys", "who may send containers to this node"},
	{"pool", "the folders where containers live"},
	{"job", "what runs and what ran"},
	{"vz6", "containers of OpenVZ: convert, export, migrate"},
	{"vz6 migrate", "move a container of OpenVZ to another node, at once or step by step"},
	{NULL, NULL},
};
