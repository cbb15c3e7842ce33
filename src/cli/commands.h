/*
 * The tables of the groups, one in each cmd_GROUP.c; each ends with a row without words.
 */
#pragma once

#include "cli/command.h"

#define COMMANDS_END                                                                               \
	{                                                                                          \
		NULL                                                                               \
	}

extern const struct command cmd_ct[];
extern const struct command cmd_archive[];
extern const struct command cmd_send[];
extern const struct command cmd_migrate[];
extern const struct command cmd_key[];
extern const struct command cmd_receive[];
extern const struct command cmd_pool[];
extern const struct command cmd_job[];
extern const struct command cmd_vz6[];
extern const struct command cmd_vzmigrate[];
extern const struct command cmd_vz6_node[];
extern const struct command cmd_node[];

/* Commands of an OpenVZ node, which has no daemon: `wherry` becomes wherry-vz6 (vz6_exec.c), and
 * that does it (src/vz6/). */
int vz6_serve(struct cli *cli, const struct command *c, json_t *args, struct err *err);
/* argv, kept before secrets in it are overwritten. */
extern char **cli_argv;
int cli_main(int argc, char **argv);

/* A result in the way that its command and the options say. */
void command_show(struct cli *cli, const struct command *c, const json_t *result);

/* ct exec: the terminal is the container's meanwhile. */
int exec_run(struct cli *cli, const struct command *c, json_t *args, struct err *err);
/* Events of containers' lives, as job history and ct history have them. */
void history_show(struct cli *cli, const json_t *events);
