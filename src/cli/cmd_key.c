/*
 * send key, receive authorized-keys, and both under `migration`, their older name.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/str.h"
#include "cli/call.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "node/keys.h"

#define LINE_MAX_ 16384

static const struct option_spec gen_options[] = {
	{"type", 't', OPTION_WORD, "type", "TYPE", "ed25519 (default), rsa or ecdsa"},
	{"bits", 'b', OPTION_NUMBER, "bits", "BITS", "length; default 4096 for rsa, 521 for ecdsa"},
	{"force", 'f', OPTION_FLAG, "force", NULL, "replace the key that is there"},
	{NULL},
};

static const struct option_spec add_options[] = {
	{"ctid", 0, OPTION_WORD, "ctid", "GLOB", "only containers with such names"},
	{"from", 0, OPTION_WORD, "from", "PATTERN", "only from such addresses, comma-separated"},
	{"passphrase", 0, OPTION_SECRET, "passphrase", "TEXT",
		"the sender must give it too; - asks for it"},
	{"passphrase-file", 0, OPTION_SECRET_FILE, "passphrase", "FILE", "the same, from a file"},
	{"single-use", 0, OPTION_FLAG, "single_use", NULL, "for one container, then forgotten"},
	{"pool", 0, OPTION_WORD, "pool", "POOL", "only into this pool"},
	{"allow-refused", 0, OPTION_FLAG, "allow_refused", NULL,
		"may bring configuration that reaches out of the container (hooks, host paths)"},
	{"allow-devices", 0, OPTION_FLAG, "allow_devices", NULL,
		"may put containers on block devices of this node, and hand such over"},
	{NULL},
};

static const struct operand path_operands[] = {
	{"public|private", "half", OPTION_WORD, OPERAND_OPTIONAL}, {NULL}};
static const struct operand add_operands[] = {
	{"NAME", "name", OPTION_WORD, OPERAND_OPTIONAL}, {NULL}};
static const struct operand del_operands[] = {{"NAME", "name", OPTION_WORD, 0}, {NULL}};

/* Needs no daemon: scripts and ssh -i use it. */
static int path_run(struct cli *cli, const struct command *c, json_t *args, struct err *err)
{
	const char *half = json_get_str(args, "half");
	const char *path;

	if (half && !str_eq(half, "public") && !str_eq(half, "private"))
		return err_set(err, ERR_INVALID,
			"a key has a public and a private half, not \"%s\"", half);
	path = send_key_path(!str_eq(half, "private"));
	if (cli->json) {
		_cleanup_json_ json_t *o = json_object();

		json_put_str(o, "path", path);
		output_json(o);
	} else {
		puts(path);
	}
	return 0;
}

/* All of standard input, so that a second line is noticed; wherryd judges it. */
static int read_key(json_t *args, struct err *err)
{
	_cleanup_(str_done) struct str line = STR_INIT;
	char buf[4096];
	size_t n;

	if (isatty(STDIN_FILENO)) {
		fprintf(stderr, "The public key, on one line:\n");
		if (!fgets(buf, sizeof(buf), stdin))
			buf[0] = '\0';
		str_add(&line, buf);
	} else {
		while (line.len <= LINE_MAX_ && (n = fread(buf, 1, sizeof(buf), stdin)) > 0)
			str_addn(&line, buf, n);
	}
	if (line.len == 0)
		return err_set(err, ERR_INVALID,
			"the public key is read from standard input, on one "
			"line; there was nothing");
	if (line.len > LINE_MAX_ || strlen(line.buf) != line.len ||
		json_object_set_new(args, "line", json_string(line.buf)) < 0)
		return err_set(err, ERR_INVALID, "what came on standard input is no public key");
	return 0;
}

static int add_run(struct cli *cli, const struct command *c, json_t *args, struct err *err)
{
	_cleanup_json_ json_t *result = NULL;
	int r = read_key(args, err);

	if (r >= 0)
		r = call_daemon(cli, c->call, json_incref(args), NULL, 0, &result, err);
	if (r < 0)
		return r;
	if (cli->json)
		output_json_result(cli, result);
	else if (!cli->quiet)
		printf("Authorised as %s\n", json_get_str(result, "name"));
	return 0;
}

static void list_show(struct cli *cli, const json_t *keys)
{
	static const char *const columns[] = {"name", "ctid", "from", "pool", "passphrase",
		"single_use", "in_use", "added", NULL};

	output_table(cli, keys, columns);
}

static void gen_show(struct cli *cli, const json_t *result)
{
	if (!cli->quiet)
		printf("Made %s\nAuthorise %s on other nodes: wherry receive authorized-keys add\n",
			json_get_str(result, "private"), json_get_str(result, "public"));
}

#define KEY_COMMANDS(own, others, note)                                                            \
	{own " gen", NULL, NULL, gen_options, "make this node's key pair" note, "send.key.gen",    \
		NULL, gen_show},                                                                   \
		{own " path", NULL, path_operands, NULL, "print where this node's key is" note,    \
			NULL, path_run, NULL, COMMAND_ANYONE},                                     \
		{others " add", NULL, add_operands, add_options,                                   \
			"authorise a public key, read from standard input" note,                   \
			"receive.key.add", add_run},                                               \
		{others " list", "ls", NULL, NULL, "list the authorised keys" note,                \
			"receive.key.list", NULL, list_show},                                      \
	{                                                                                          \
		others " del", "delete", del_operands, NULL, "withdraw an authorised key" note,    \
			"receive.key.del"                                                          \
	}

const struct command cmd_key[] = {
	KEY_COMMANDS("send key", "receive authorized-keys", ""),
	KEY_COMMANDS("migration key", "migration authorized-keys", " (older name)"),
	COMMANDS_END,
};
