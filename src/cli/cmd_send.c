/*
 * ct send: at once or in steps.
 */
#include <stdio.h>

#include "base/json.h"
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

static const struct option_spec resolve_options[] = {
	{"give-up", 0, OPTION_FLAG, "give_up", NULL,
		"take the container back, if the destination proves that it will never run it"},
	{NULL},
};

const struct command cmd_send[] = {
	{"ct send", NULL, send_to_operands, send_now_options,
		"send a container to another node, all steps in succession", "ct.send",
		.flags = COMMAND_DEFAULT},
	{"ct send config", NULL, send_to_operands, send_config_options,
		"1st step: check everything, prepare the destination, send the configuration",
		"ct.send.config"},
	{"ct send rootfs", NULL, send_ct_operands, send_stream_options,
		"2nd step: send the files while the container runs", "ct.send.rootfs"},
	{"ct send sync", NULL, send_ct_operands, send_stream_options,
		"3rd step, any number of times: send what has changed since", "ct.send.sync"},
	{"ct send state", NULL, send_ct_operands, send_state_options,
		"4th step: stop, send the last changes, hand over, start on the destination",
		"ct.send.state"},
	{"ct send cleanup", NULL, send_ct_operands, NULL,
		"5th step: remove the container from this node", "ct.send.cleanup"},
	{"ct send cancel", NULL, send_ct_operands, send_cancel_options,
		"until the 4th step is done: leave both nodes as they were", "ct.send.cancel"},
	{"ct send status", NULL, send_ct_operands, NULL,
		"what both nodes know of a send, and which step is next", "ct.send.status"},
	{"ct send resolve", NULL, send_ct_operands, resolve_options,
		"after an unknown outcome: ask the destination and go on, or say what is safe",
		"ct.send.resolve"},
	COMMANDS_END,
};
