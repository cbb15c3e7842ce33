/*
 * status: the node as a whole.
 */
#include <stdio.h>

#include "base/json.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/output.h"

static void status_show(struct cli *cli, const json_t *s)
{
	static const char *const jobs[] = {"job", "call", "ct", "started", NULL};
	static const char *const transfers[] = {"ct", "role", "phase", "peer", "changed", NULL};
	const json_t *daemon = json_object_get(s, "daemon");
	_cleanup_free_ char *up = output_value("up_ms", json_object_get(daemon, "up_ms"));

	printf("Wherry %s on %s, wherryd up for %s\n", json_get_str(s, "version"),
		json_get_str(s, "hostname"), up);
	if (!json_get_bool(daemon, "receive", false))
		printf("This node does not receive: it has no user %s\n",
			json_get_str(s, "receive_user"));
	if (json_array_size(json_object_get(s, "jobs"))) {
		printf("\nRunning jobs\n");
		output_table(cli, json_object_get(s, "jobs"), jobs);
	}
	if (json_array_size(json_object_get(s, "transfers"))) {
		printf("\nOpen sends and receives\n");
		output_table(cli, json_object_get(s, "transfers"), transfers);
	}
}

const struct command cmd_node[] = {
	{"status", NULL, NULL, NULL, "this node: daemon, running jobs, open sends", "status", NULL,
		status_show},
	COMMANDS_END,
};
