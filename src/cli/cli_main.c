/*
 * What a program with commands does from its first to its last line: `wherry`, and `wherry-vz6`.
 * Also osctl, by the name it is called; called vzmigrate, it is `wherry vzmigrate`.
 */
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "cli/call.h"
#include "cli/commands.h"
#include "cli/output.h"

char **cli_argv;

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Asked before connecting, so that the sentence does not depend on modes of sockets. In tests the
 * daemon runs as whoever tests. */
static int check_root(const struct command *c, struct err *err)
{
	if (c->flags & COMMAND_ANYONE || geteuid() == 0 || getenv("WHERRY_RUN_DIR"))
		return 0;
	return err_set(
		err, ERR_DENIED, "%s needs root: run it as root, such as with sudo", c->words);
}

static int run(struct cli *cli, const struct command *c, json_t *args, struct err *err)
{
	_cleanup_json_ json_t *result = NULL;
	int r = check_root(c, err);

	if (r < 0)
		return r;
	if (c->run)
		return c->run(cli, c, args, err);
	r = call_daemon(cli, c->call, json_incref(args), NULL, 0, &result, err);
	if (r >= 0)
		command_show(cli, c, result);
	return r;
}

static int show_help(struct cli *cli, const struct parsed *p)
{
	if (p->command) {
		help_command(cli->program, p->command);
		return 0;
	}
	printf("%s COMMAND: moves system containers between hosts.\n\n", cli->program);
	help_group(cli->program, p->group);
	printf("\n%s COMMAND --help explains one, man wherry(1) all.\n", cli->program);
	return p->help ? 0 : err_exit_status(ERR_INVALID);
}

/* One that moves is a command, not another name of all of them. */
static void become_command(struct cli *cli, int *argc, char ***argv)
{
	char **v;

	if (!str_eq(cli->program, "vzmigrate"))
		return;
	v = xcalloc((size_t)*argc + 2, sizeof(*v));
	memcpy(v + 1, *argv, (size_t)*argc * sizeof(*v));
	v[0] = v[1];
	v[1] = (char *)(uintptr_t)cli->program;
	cli->program = "wherry";
	*argv = v;
	++*argc;
}

static int status_of(const struct cli *cli, const struct parsed *p, const struct err *err)
{
	return p->command && p->command->exit_status ? p->command->exit_status(cli, p->args, err)
						     : err_exit_status(err->code);
}

int cli_main(int argc, char **argv)
{
	struct cli cli = {.program = base_name(argc ? argv[0] : "wherry")};
	struct parsed parsed = {.command = NULL};
	struct err err = ERR_INIT;
	int r;

	setlocale(LC_CTYPE, "");
	for (int i = 0; i < argc; i++)
		strv_push(&cli_argv, argv[i]);
	log_open(NULL, LOG_LEVEL_WARNING);
	become_command(&cli, &argc, &argv);
	r = parse_command(argc - 1, argv + 1, &parsed, &err);
	cli.json = parsed.json;
	cli.quiet = parsed.quiet;
	cli.terminal = isatty(STDOUT_FILENO) && !cli.json;
	if (r >= 0 && parsed.version)
		printf("wherry " WHERRY_VERSION "\n");
	else if (r >= 0 && (parsed.help || !parsed.command))
		r = show_help(&cli, &parsed);
	else if (r >= 0)
		r = run(&cli, parsed.command, parsed.args, &err);
	if (r < 0) {
		output_error(&cli, &err);
		r = status_of(&cli, &parsed, &err);
	}
	parsed_done(&parsed);
	strv_free(cli_argv);
	return r;
}
