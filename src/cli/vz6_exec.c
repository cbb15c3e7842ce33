/*
 * wherry vz6 export, wherry vz6 migrate: the same words mean the same to wherry-vz6, which is the
 * one file that an OpenVZ node needs.
 */
#include <stdlib.h>

#include "base/proc.h"
#include "base/str.h"
#include "cli/commands.h"

#define PROGRAM WHERRY_LIBDIR "/wherry-vz6"

int vz6_serve(struct cli *cli, const struct command *c, json_t *args, struct err *err)
{
	const char *program = getenv("WHERRY_VZ6");
	int r = proc_become(program ? program : PROGRAM, cli_argv, err);

	(void)cli;
	(void)args;
	return err_prefix(err, "%s", c->words), r;
}
