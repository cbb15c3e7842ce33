/*
 * job: what the daemon's workers do and did.
 */
#include <stdio.h>

#include "base/json.h"
#include "cli/commands.h"
#include "cli/output.h"

static const struct operand job_operands[] = {{"JOB", "job", OPTION_NUMBER, 0}, {NULL}};
static const struct option_spec list_options[] = {
	{"running", 'r', OPTION_FLAG, "running", NULL, "only those that have not ended"},
	{"most", 'n', OPTION_NUMBER, "most", "N", "at most so many, the newest; default 30"},
	{NULL},
};
static const struct option_spec cancel_options[] = {
	{"force", 'f', OPTION_FLAG, "force", NULL,
		"kill its worker if it has not ended after 30 s; recovery then cleans up"},
	{NULL},
};
static const struct option_spec history_options[] = {
	{"most", 'n', OPTION_NUMBER, "most", "N", "at most so many, the newest"},
	{NULL},
};

static void list_show(struct cli *cli, const json_t *jobs)
{
	static const char *const columns[] = {
		"job", "state", "call", "ct", "who", "started", "ended", NULL};

	output_table(cli, jobs, columns);
}

void history_show(struct cli *cli, const json_t *events)
{
	static const char *const columns[] = {"time", "ct", "event", "from?", "to?", "peer?",
		"who?", "stop_ms?", "bytes?", "digest?", NULL};

	output_table(cli, events, columns);
}

const struct command cmd_job[] = {
	{"job list", "ls", NULL, list_options, "list jobs, the newest first", "job.list", NULL,
		list_show},
	{"job show", NULL, job_operands, NULL, "all about one job", "job.show"},
	{"job attach", NULL, job_operands, NULL, "watch a job until its end", "job.attach"},
	{"job cancel", NULL, job_operands, cancel_options,
		"ask a job to end and undo what it did, and wait for it", "job.cancel"},
	{"job history", NULL, NULL, history_options, "what happened to all containers",
		"job.history", NULL, history_show},
	COMMANDS_END,
};
