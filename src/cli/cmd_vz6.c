/*
 * vz6: containers of OpenVZ. Converting a configuration needs no daemon: an OpenVZ node has none.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/cancel.h"
#include "base/file.h"
#include "base/json.h"
#include "base/proc.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "convert/convert.h"
#include "convert/files.h"
#include "convert/fixup.h"
#include "convert/guest.h"
#include "convert/ploop_image.h"
#include "convert/report.h"

static const struct operand config_operands[] = {{"CTID|FILE", "ct", OPTION_WORD, 0}, {NULL}};

static const struct option_spec config_options[] = {
	{"strict", 0, OPTION_FLAG, "strict", NULL,
		"fail if a limit is not kept or a line not understood"},
	{"global", 0, OPTION_PATH, "global", "FILE",
		"the node's vz.conf, which holds where the container's file says nothing"},
	{"as-id", 0, OPTION_WORD, "as_id", "ID", "what it is to be called"},
	{"netif-type", 0, OPTION_WORD, "netif_type", "TYPE",
		"what venet becomes: bridge or routed; default bridge"},
	{"netif-name", 0, OPTION_WORD, "netif_name", "NAME",
		"what that interface is called; default eth0"},
	{"netif-hwaddr", 0, OPTION_WORD, "netif_hwaddr", "MAC", "of that interface"},
	{"bridge-link", 0, OPTION_WORD, "bridge_link", "BRIDGE",
		"for interfaces that were in none; default lxcbr0"},
	{"source-cpus", 0, OPTION_NUMBER, "source_cpus", "N",
		"processors of the OpenVZ node, for limits in percent of all of them"},
	{"unprivileged", 'u', OPTION_FLAG, "unprivileged", NULL,
		"give it a range of user ids of its own"},
	{NULL},
};

static const struct operand image_operands[] = {
	{"BUNDLE", "bundle", OPTION_WORD, 0}, {"FILE", "file", OPTION_WORD, 0}, {NULL}};

static const struct option_spec image_options[] = {
	{"snapshot", 0, OPTION_WORD, "snapshot", "GUID", "of this snapshot, not of what it is now"},
	{"whole", 0, OPTION_FLAG, "whole", NULL,
		"the whole disk with its partition table, not only the file system"},
	{"force", 'f', OPTION_FLAG, "force", NULL,
		"also if the disk is in use: what is written may be torn"},
	{NULL},
};

static const struct operand fixup_operands[] = {
	{"ROOT", "root", OPTION_WORD, OPERAND_OPTIONAL}, {NULL}};

static const struct option_spec fixup_options[] = {
	{"dry-run", 'n', OPTION_FLAG, "dry_run", NULL, "only say what would be changed"},
	{"without", 0, OPTION_WORD, "without", "NAME,...", "leave out these fix-ups"},
	{"config", 0, OPTION_WORD, "config", "CTID|FILE",
		"whose name servers are to be written into it"},
	{"unprivileged", 'u', OPTION_FLAG, "unprivileged", NULL,
		"it is to have a range of user ids of its own"},
	{"force", 'f', OPTION_FLAG, "force", NULL, "also where there is no trace of OpenVZ"},
	{"revert", 0, OPTION_FLAG, "revert", NULL, "take back what was changed"},
	{"list", 0, OPTION_FLAG, "list", NULL, "list the fix-ups"},
	{NULL},
};

static int read_options(const json_t *args, struct convert_options *o, struct err *err)
{
	const char *type = json_get_str(args, "netif_type"), *as_id = json_get_str(args, "as_id");

	*o = (struct convert_options){
		.name = as_id ? as_id : o->name,
		.routed = type && strcmp(type, "routed") == 0,
		.netif_name = json_get_str(args, "netif_name"),
		.netif_hwaddr = json_get_str(args, "netif_hwaddr"),
		.bridge = json_get_str(args, "bridge_link"),
		.cpus = (uint32_t)MIN(json_get_u64(args, "source_cpus", 0), (uint64_t)CPU_MAX),
		.unprivileged = json_get_bool(args, "unprivileged", false),
	};
	if (type && !o->routed && strcmp(type, "bridge") != 0)
		return err_set(
			err, ERR_INVALID, "--netif-type is bridge or routed, not \"%.32s\"", type);
	if (o->netif_name && !netif_name_ok(o->netif_name))
		return err_set(
			err, ERR_INVALID, "\"%.32s\" is not a name of an interface", o->netif_name);
	if (o->bridge && !netif_name_ok(o->bridge))
		return err_set(err, ERR_INVALID, "\"%.32s\" is not a name of a bridge", o->bridge);
	if (o->netif_hwaddr && !netif_hwaddr_ok(o->netif_hwaddr))
		return err_set(
			err, ERR_INVALID, "\"%.32s\" is not a hardware address", o->netif_hwaddr);
	return 0;
}

static void show(struct cli *cli, const struct conversion *c)
{
	if (cli->json) {
		_cleanup_json_ json_t *v = report_json(c);

		output_json_result(cli, v);
	} else {
		_cleanup_free_ char *text = report_text(c);

		fputs(text, stdout);
	}
}

static int config_run(struct cli *cli, const struct command *cmd, json_t *args, struct err *err)
{
	_cleanup_(ve_files_done) struct ve_files files = {0};
	_cleanup_conversion_ struct conversion *c = NULL;
	struct convert_options o = {0};
	size_t lost;
	int r = ve_files_load(json_get_str(args, "ct"), json_get_str(args, "global"), &files, err);

	if (r < 0)
		return r;
	o.name = files.name;
	r = read_options(args, &o, err);
	if (r < 0)
		return r;
	r = convert_config(&files.source, &o, &c, err);
	if (r < 0)
		return err_prefix(err, "%s", files.path);
	show(cli, c);
	lost = conversion_lost(c);
	if (lost && json_get_bool(args, "strict", false))
		return err_set(err, ERR_UNSUPPORTED,
			"%s: %zu of its lines have a limit that would not be kept, or are not "
			"understood",
			files.path, lost);
	return 0;
}

static int image_run(struct cli *cli, const struct command *cmd, json_t *args, struct err *err)
{
	const struct ploop_image_options o = {
		.guid = json_get_str(args, "snapshot"),
		.whole = json_get_bool(args, "whole", false),
		.force = json_get_bool(args, "force", false),
	};
	const char *file = json_get_str(args, "file");
	struct ploop_part part;
	json_t *v;
	int r;

	cancel_install();
	if (str_eq(file, "-") && isatty(STDOUT_FILENO))
		return err_set(err, ERR_INVALID, "an image is not for a terminal: name a file");
	r = ploop_image_write(json_get_str(args, "bundle"), &o, file, NULL, &part, err);
	if (r < 0 || str_eq(file, "-"))
		return r;
	v = json_object();
	json_put_str(v, "file", file);
	json_put_u64(v, "bytes", part.size);
	json_put_u64(v, "partition_offset", part.offset);
	command_show(cli, cmd, v);
	json_decref(v);
	return 0;
}

static void list_fixups(struct cli *cli)
{
	static const char *const columns[] = {"name", "what", NULL};
	_cleanup_json_ json_t *rows = json_array();
	const char *name = NULL, *what;

	while ((name = fixup_next(name, &what))) {
		json_t *row = json_object();

		json_put_str(row, "name", name);
		json_put_str(row, "what", what);
		json_array_append_new(rows, row);
	}
	if (cli->json)
		output_json_result(cli, rows);
	else
		output_table(cli, rows, columns);
}

static void reverted(void *ctx, const char *path, const char *what)
{
	struct cli *cli = ctx;
	_cleanup_free_ char *shown = str_escape(path, strlen(path));
	json_t *o;

	if (!cli->json) {
		printf("/%s: %s\n", shown, what);
		return;
	}
	o = json_object();
	json_put_str(o, "path", path);
	json_put_str(o, "what", what);
	output_json_line(cli, "reverted", o);
}

static int revert_fixups(struct cli *cli, int root, struct err *err)
{
	int r = fix_revert(root, reverted, cli, err);

	return r > 0 ? err_set(err, ERR_STATE,
			       "%d of its files were changed since, and are left as they are", r)
		     : r;
}

static int apply_fixups(struct cli *cli, int root, const json_t *args, struct err *err)
{
	const char *without = json_get_str(args, "without"), *ct = json_get_str(args, "config");
	_cleanup_strv_ char **names = without ? str_split(without, ", ", false) : NULL;
	_cleanup_(ve_files_done) struct ve_files files = {0};
	_cleanup_conversion_ struct conversion *c = NULL;
	_cleanup_(fixup_result_done) struct fixup_result res = {0};
	struct fixup_options o = {.without = names,
		.dry_run = json_get_bool(args, "dry_run", false),
		.unified = file_exists("/sys/fs/cgroup/cgroup.controllers"),
		.unprivileged = json_get_bool(args, "unprivileged", false)};
	int r = ct ? ve_files_load(ct, NULL, &files, err) : 0;

	if (ct && r >= 0)
		r = convert_config(
			&files.source, &(struct convert_options){.name = files.name}, &c, err);
	if (r < 0)
		return r;
	if (c) {
		o.nameservers = c->nameservers;
		o.domains = c->domains;
	}
	r = fixup_apply(root, &o, &res, err);
	if (r < 0)
		return r;
	if (cli->json) {
		_cleanup_json_ json_t *v = fixup_json(&res);

		output_json_result(cli, v);
	} else {
		_cleanup_free_ char *text = fixup_text(&res, o.dry_run);

		fputs(text, stdout);
	}
	return 0;
}

/* What runs here is no container to be changed, whoever asks. */
static int check_root(int root, const char *path, const json_t *args, struct err *err)
{
	if (guest_is_host(root))
		return err_set(err, ERR_DENIED,
			"%s is the root of this running system, not a container's: name the folder "
			"with "
			"the container's files",
			path);
	if (json_get_bool(args, "force", false) || json_get_bool(args, "revert", false) ||
		guest_has_traces(root))
		return 0;
	return err_set(err, ERR_STATE,
		"%s has no trace of OpenVZ in it (its devices in fstab or mtab, venet0): if it is "
		"a "
		"container all the same, say --force",
		path);
}

static int fixup_run(struct cli *cli, const struct command *cmd, json_t *args, struct err *err)
{
	const char *path = json_get_str(args, "root");
	_cleanup_close_ int root = -1;
	int r;

	if (json_get_bool(args, "list", false)) {
		list_fixups(cli);
		return 0;
	}
	if (!path)
		return err_set(err, ERR_INVALID, "name the folder that is the container's root");
	root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_errno(err, "open %s", path);
	r = check_root(root, path, args, err);
	if (r < 0)
		return r;
	return json_get_bool(args, "revert", false) ? revert_fixups(cli, root, err)
						    : apply_fixups(cli, root, args, err);
}

/* The tool of vpsAdminOS has its manual inside. */
static int man_run(struct cli *cli, const struct command *cmd, json_t *args, struct err *err)
{
	const char *argv[] = {"man", "wherry-vz6", NULL};
	struct proc p = PROC_INIT;
	int r;

	p.argv = argv;
	p.fd_in = STDIN_FILENO;
	p.fd_out = STDOUT_FILENO;
	p.fd_err = STDERR_FILENO;
	r = proc_spawn(&p, err);
	if (r >= 0)
		r = proc_wait(&p, CLOCK_NEVER, NULL, err);
	proc_done(&p);
	return r;
}

const struct command cmd_vz6[] = {
	{"vz6 config", NULL, config_operands, config_options,
		"show what a configuration of OpenVZ becomes, and what is lost", NULL, config_run,
		NULL, COMMAND_ANYONE},
	{"vz6 image", NULL, image_operands, image_options,
		"write a ploop disk as an image that can be mounted anywhere", NULL, image_run,
		NULL, COMMAND_ANYONE},
	{"vz6 fixup", NULL, fixup_operands, fixup_options,
		"change what a container of OpenVZ needs changed inside", NULL, fixup_run, NULL, 0},
	{"man", NULL, NULL, NULL, "show the manual of the vz6 commands", NULL, man_run, NULL,
		COMMAND_ANYONE},
	COMMANDS_END,
};
