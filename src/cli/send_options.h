/*
 * The options of the steps of a send, as rows of a table, shared by `ct send` and `ct migrate`; the
 * one-shot form has those of all steps.
 */
#pragma once

#include "cli/command.h"

#define SEND_CONFIG_OPTIONS                                                                        \
	{"as-id", 0, OPTION_WORD, "as_id", "NAME", "another name on the destination"},             \
		{"to-pool", 0, OPTION_WORD, "to_pool", "POOL", "a pool of the destination"},       \
		{"to-device", 0, OPTION_WORD, "to_device", "DEVICE",                               \
			"onto this block device of the destination"},                              \
		{"hand-over", 0, OPTION_FLAG, "hand_over", NULL,                                   \
			"hand over its block device, which both nodes see, and copy nothing"},     \
		{"network-interfaces", 0, OPTION_SWITCH_ON, "network", NULL,                       \
			"take the network interfaces along"},                                      \
		{"snapshots", 0, OPTION_SWITCH_ON, "snapshots", NULL,                              \
			"take the container's own snapshots along"},                               \
		{"from-snapshot", 0, OPTION_WORD, "from_snapshot", "NAME",                         \
			"only this one and those after it"},                                       \
		{"port", 'p', OPTION_PORT, "port", "PORT", "of ssh on the destination"},           \
		{"passphrase", 0, OPTION_SECRET, "passphrase", "TEXT",                             \
			"of this node's key on the destination; - asks for it"},                   \
		{"passphrase-file", 0, OPTION_SECRET_FILE, "passphrase", "FILE",                   \
			"the same, from a file"},                                                  \
	{                                                                                          \
		"accept-new-host-key", 0, OPTION_FLAG, "accept_new_host_key", NULL,                \
			"trust the destination's host key if none is known yet"                    \
	}

#define SEND_CLONE_OPTIONS                                                                         \
	{                                                                                          \
		"clone", 0, OPTION_SWITCH_OFF, "clone", NULL,                                      \
			"make a copy, keep the container here too"                                 \
	}

#define SEND_STATE_OPTIONS                                                                         \
	{"start", 0, OPTION_SWITCH_ON, "start", NULL,                                              \
		"start it on the destination if it runs here"},                                    \
		{"restart", 0, OPTION_SWITCH_ON, "restart", NULL,                                  \
			"with --clone: start it here again"},                                      \
	{                                                                                          \
		"consistent", 0, OPTION_SWITCH_ON, "consistent", NULL,                             \
			"with --clone: stop it for the last changes"                               \
	}

#define SEND_STREAM_OPTIONS                                                                        \
	{"bwlimit", 0, OPTION_SIZE, "bwlimit", "SIZE", "bytes per second at most, such as 20M"},   \
	{                                                                                          \
		"compress", 0, OPTION_WORD, "compress", "HOW",                                     \
			"off (default), auto (while the link is the slow part), or 1 to 19"        \
	}

#define SEND_NOW_OPTIONS                                                                           \
	{"keep-partial", 0, OPTION_FLAG, "keep_partial", NULL,                                     \
		"if it fails, keep what has arrived: the next try goes on from there"},            \
	{                                                                                          \
		"dry-run", 'n', OPTION_FLAG, "dry_run", NULL,                                      \
			"check everything, print the plan, change nothing"                         \
	}

extern const struct operand send_to_operands[], send_ct_operands[];
extern const struct option_spec send_config_options[], send_stream_options[], send_state_options[],
	send_cancel_options[], send_now_options[];

void send_show(struct cli *cli, const json_t *result);
