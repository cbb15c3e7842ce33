/*
 * ct send: at once or in steps.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/call.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/send_options.h"

const struct operand send_to_operands[] = {
	{"CT", "ct", OPTION_WORD, 0}, {"HOST", "host", OPTION_WORD, 0}, {NULL}};
const struct operand send_ct_operands[] = {{"CT", "ct", OPTION_WORD, 0}, {NULL}};

const struct option_spec send_config_options[] = {SEND_CONFIG_OPTIONS, {NULL}};
const struct option_spec send_stream_options[] = {SEND_STREAM_OPTIONS, {NULL}};
const struct option_spec send_state_options[] = {
	SEND_CLONE_OPTIONS, SEND_STATE_OPTIONS, SEND_STREAM_OPTIONS, {NULL}};
const struct option_spec send_cancel_options[] = {
	{"force", 'f', OPTION_FLAG, "force", NULL,
		"also if the destination does not answer; it cleans up when it hears of it"},
	{"local", 'l', OPTION_FLAG, "local", NULL, "only on this node, do not ask the destination"},
	{NULL},
};
const struct option_spec send_now_options[] = {
	SEND_CONFIG_OPTIONS,
	SEND_CLONE_OPTIONS,
	SEND_STATE_OPTIONS,
	SEND_STREAM_OPTIONS,
	SEND_NOW_OPTIONS,
	{NULL},
};

static void plan_show(struct cli *cli, const json_t *result)
{
	static const char *const columns[] = {"step", "does", "undo?", NULL};
	_cleanup_free_ char *bytes = output_value("bytes", json_object_get(result, "volume_bytes"));

	output_table(cli, json_object_get(result, "plan"), columns);
	if (json_object_get(result, "volume_bytes"))
		printf("%s to send at first. ", bytes);
	printf("Nothing was changed.\n");
}

/* The phase of a transfer that is over, in words. */
static const char *done_of(const char *phase)
{
	static const char *const words[][2] = {
		{"stage", "prepared"},
		{"base", "the first copy is complete"},
		{"incremental", "changes sent"},
		{"transfer", "handed over and well"},
		{"cleanup", "done"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (str_eq(words[i][0], phase))
			return words[i][1];
	return phase ? phase : "done";
}

/* What a step or a whole send came to, in one sentence; the numbers of each phase stood in its
 * line. */
void send_show(struct cli *cli, const json_t *result)
{
	_cleanup_free_ char *ct = output_value("ct", json_object_get(result, "ct"));
	_cleanup_free_ char *peer = output_value("peer", json_object_get(result, "peer"));
	_cleanup_free_ char *as = output_value("peer_ct", json_object_get(result, "peer_ct"));
	_cleanup_free_ char *bytes = output_value("bytes", json_object_get(result, "bytes"));
	_cleanup_free_ char *stop = output_value("stop_ms", json_object_get(result, "stop_ms"));
	_cleanup_free_ char *next = output_value("next", json_object_get(result, "next"));
	const char *phase = json_get_str(result, "phase");

	if (cli->quiet)
		return;
	if (json_object_get(result, "plan")) {
		plan_show(cli, result);
		return;
	}
	if (str_eq(phase, "cancelled")) {
		printf("%s: the send is cancelled, both hosts are as before\n", ct);
		return;
	}
	printf("%s -> %s%s%s: %s", ct, peer, str_eq(as, ct) ? "" : " as ", str_eq(as, ct) ? "" : as,
		done_of(phase));
	if (json_get_u64(result, "bytes", 0))
		printf(", %s sent", bytes);
	if (json_object_get(result, "stop_ms"))
		printf(", stopped for %s", stop);
	putchar('\n');
	if (json_object_get(result, "next"))
		printf("Next: %s\n", next);
}

/* `ct send config web` without a host means the container "config": if there is none, that was no
 * step, and here is why. */
static int now_run(struct cli *cli, const struct command *c, json_t *args, struct err *err)
{
	const char *ct = json_get_str(args, "ct");
	_cleanup_free_ char *words = xasprintf("ct send %s", ct);
	_cleanup_json_ json_t *result = NULL;
	int r = call_daemon(cli, c->call, json_incref(args), NULL, 0, &result, err);

	if (r == -ERR_NOT_FOUND)
		for (const struct command *step = cmd_send; step->words; step++) {
			_cleanup_free_ char *usage = help_usage("wherry", step);

			if (str_eq(step->words, words))
				return err_set(err, ERR_NOT_FOUND, "%s; the step is: %s", err->text,
					usage);
		}
	if (r >= 0)
		command_show(cli, c, result);
	return r;
}

const struct command cmd_send[] = {
	{"ct send", NULL, send_to_operands, send_now_options,
		"send a container to another node, all steps in succession", "ct.send", now_run,
		send_show, .flags = COMMAND_DEFAULT},
	{"ct send config", NULL, send_to_operands, send_config_options,
		"1st step: check everything, prepare the destination, send the configuration",
		"ct.send.config", NULL, send_show},
	{"ct send rootfs", NULL, send_ct_operands, send_stream_options,
		"2nd step: send the files while the container runs", "ct.send.rootfs", NULL,
		send_show},
	{"ct send sync", NULL, send_ct_operands, send_stream_options,
		"3rd step, any number of times: send what has changed since", "ct.send.sync", NULL,
		send_show},
	{"ct send state", NULL, send_ct_operands, send_state_options,
		"4th step: stop, send the last changes, hand over, start on the destination",
		"ct.send.state", NULL, send_show},
	{"ct send cleanup", NULL, send_ct_operands, NULL,
		"5th step: remove the container from this node", "ct.send.cleanup", NULL,
		send_show},
	{"ct send cancel", NULL, send_ct_operands, send_cancel_options,
		"until the 4th step is done: leave both nodes as they were", "ct.send.cancel", NULL,
		send_show},
	{"ct send status", NULL, send_ct_operands, NULL,
		"what both nodes know of a send, and which step is next", "ct.send.status"},
	{"ct send resolve", NULL, send_ct_operands, NULL,
		"after an unknown outcome: ask the destination and go on, or say what is safe",
		"ct.send.resolve"},
	COMMANDS_END,
};
