/*
 * vz6 export, vz6 migrate: what is done on the OpenVZ node itself, by wherry-vz6.
 */
#include <stddef.h>

#include "cli/commands.h"
#include "cli/send_options.h"

static const struct operand export_operands[] = {
	{"CTID", "ct", OPTION_WORD, 0}, {"FILE", "file", OPTION_PATH, 0}, {NULL}};
static const struct operand to_operands[] = {
	{"CTID", "ct", OPTION_WORD, 0}, {"HOST", "host", OPTION_WORD, 0}, {NULL}};
static const struct operand ct_operands[] = {{"CTID", "ct", OPTION_WORD, 0}, {NULL}};

#define SOURCE_OPTIONS                                                                             \
	{"netif-type", 0, OPTION_WORD, "netif_type", "TYPE",                                       \
		"what venet becomes: bridge or routed; default bridge"},                           \
		{"netif-name", 0, OPTION_WORD, "netif_name", "NAME",                               \
			"what that interface is called; default eth0"},                            \
		{"netif-hwaddr", 0, OPTION_WORD, "netif_hwaddr", "MAC",                            \
			"of that interface; default: drawn once"},                                 \
		{"bridge-link", 0, OPTION_WORD, "bridge_link", "BRIDGE",                           \
			"for interfaces that were in none; default lxcbr0"},                       \
		{"route-via", 0, OPTION_WORD, "route_via", "NET",                                  \
			"taken from older scripts; a routed interface needs none"},                \
		{"source-cpus", 0, OPTION_NUMBER, "source_cpus", "N",                              \
			"processors of this node, if not all that it has"},                        \
		{"unprivileged", 'u', OPTION_FLAG, "unprivileged", NULL,                           \
			"give it a range of user ids of its own"},                                 \
		{"without", 0, OPTION_WORD, "without", "NAME,...",                                 \
			"leave out these fix-ups; all for none at all"},                           \
		{"leave-out", 0, OPTION_FLAG, "leave_out", NULL,                                   \
			"leave out what reaches out of the container (devices, mounts)"},          \
		{"zfs", 0, OPTION_SWITCH_OFF, "zfs", NULL, "its files are in a ZFS dataset"},      \
		{"zfs-dataset", 0, OPTION_WORD, "zfs_dataset", "DATASET", "which one"},            \
		{"zfs-subdir", 0, OPTION_WORD, "zfs_subdir", "DIR",                                \
			"the folder in it with the files: private"},                               \
	{                                                                                          \
		"zfs-compressed-send", 0, OPTION_SWITCH_OFF, "zfs_compressed_send", NULL,          \
			"taken from older scripts; --compress says how data travel"                \
	}

#define DELETE_OPTION                                                                              \
	{                                                                                          \
		"delete", 'd', OPTION_SWITCH_OFF, "delete", NULL,                                  \
			"remove the container from this node, too"                                 \
	}

#define TO_OPTIONS                                                                                 \
	{"as-id", 0, OPTION_WORD, "as_id", "NAME", "another name on the destination"},             \
		{"to-pool", 0, OPTION_WORD, "to_pool", "POOL", "a pool of the destination"},       \
		{"port", 'p', OPTION_PORT, "port", "PORT", "of ssh on the destination"},           \
		{"passphrase", 0, OPTION_SECRET, "passphrase", "TEXT",                             \
			"of this node's key on the destination; - asks for it"},                   \
		{"passphrase-file", 0, OPTION_SECRET_FILE, "passphrase", "FILE",                   \
			"the same, from a file"},                                                  \
	{                                                                                          \
		"accept-new-host-key", 0, OPTION_FLAG, "accept_new_host_key", NULL,                \
			"trust the destination's host key if none is known yet"                    \
	}

#define START_OPTION                                                                               \
	{                                                                                          \
		"start", 0, OPTION_SWITCH_ON, "start", NULL,                                       \
			"start it on the destination if it runs here"                              \
	}

static const struct option_spec export_options[] = {
	{"consistent", 0, OPTION_SWITCH_ON, "consistent", NULL,
		"stop a running container while its files are packed"},
	{"compression", 'c', OPTION_WORD, "compression", "HOW",
		"auto, off, gzip, zstd, or a level of zstd"},
	{"format", 0, OPTION_WORD, "format", "FORMAT",
		"osctl (default), or wherry: all that a file system can say, and a shorter stop"},
	{"force", 'f', OPTION_FLAG, "force", NULL, "replace FILE"},
	SOURCE_OPTIONS,
	{NULL},
};

static const struct option_spec stage_options[] = {TO_OPTIONS, SOURCE_OPTIONS, {NULL}};
static const struct option_spec stream_options[] = {SEND_STREAM_OPTIONS, {NULL}};
static const struct option_spec transfer_options[] = {START_OPTION, SEND_STREAM_OPTIONS, {NULL}};
static const struct option_spec cleanup_options[] = {DELETE_OPTION, {NULL}};
static const struct option_spec now_options[] = {
	{"proceed", 'y', OPTION_SWITCH_OFF, "proceed", NULL, "go on without asking"},
	DELETE_OPTION,
	START_OPTION,
	TO_OPTIONS,
	SOURCE_OPTIONS,
	SEND_STREAM_OPTIONS,
	{NULL},
};

static const struct option_spec own_options[] = {
	{"force", 'f', OPTION_FLAG, "force", NULL,
		"take it, whatever the records say: only if you know that it runs nowhere else; "
		"refused if the other host says that it runs there"},
	{"even-if-running-there", 0, OPTION_FLAG, "even_if_running_there", NULL,
		"with --force: also then. It may run twice"},
	{NULL},
};

static const struct option_spec recover_options[] = {
	{"after", 0, OPTION_FLAG, "after", NULL, "wait for the end of descriptor 3 first"}, {NULL}};

#define STEP(word, operands, options, summary)                                                     \
	{                                                                                          \
		"vz6 migrate " word, NULL, operands, options, summary, NULL, vz6_serve, send_show  \
	}

const struct command cmd_vz6_node[] = {
	{"vz6 export", NULL, export_operands, export_options,
		"write a container of this OpenVZ node to a file, converted", NULL, vz6_serve},
	STEP("stage", to_operands, stage_options,
		"1st step: convert the configuration, prepare the destination"),
	STEP("sync", ct_operands, stream_options,
		"2nd step, any number of times: send the files while it runs"),
	STEP("transfer", ct_operands, transfer_options,
		"3rd step: stop, send the last changes, hand over, start there"),
	STEP("cleanup", ct_operands, cleanup_options,
		"4th step: forget the migration; the container stays here, stopped"),
	STEP("cancel", ct_operands, send_cancel_options,
		"until the 3rd step is done: leave both nodes as they were"),
	STEP("now", to_operands, now_options, "all steps in succession; asks after the first"),
	{"vz6 migrate status", NULL, ct_operands, NULL,
		"what both nodes know of a migration, and which step is next", NULL, vz6_serve},
	STEP("resolve", ct_operands, NULL,
		"after an unknown outcome: ask the destination and go on, or say what is safe"),
	{"vz6 own", NULL, ct_operands, own_options,
		"whether this node may run a container, and the override", NULL, vz6_serve},
	{"vz6 recover", NULL, NULL, recover_options,
		"bring what broke off to its end; runs by itself after a crash", NULL, vz6_serve},
	{"vz6 may-start", NULL, ct_operands, NULL,
		"whether this node owns a container: asked by its mount script", NULL, vz6_serve,
		.flags = COMMAND_HIDDEN},
	COMMANDS_END,
};
