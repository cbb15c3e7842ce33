/*
 * ct migrate: the steps of a send under their older names.
 */
#include <stddef.h>

#include "cli/commands.h"
#include "cli/send_options.h"

const struct command cmd_migrate[] = {
	{"ct migrate stage", NULL, send_to_operands, send_config_options,
		"older name of ct send config", "ct.send.config", NULL, send_show},
	{"ct migrate sync", NULL, send_ct_operands, send_stream_options,
		"older name of ct send rootfs, and the next time of ct send sync",
		"ct.migrate.sync", NULL, send_show},
	{"ct migrate transfer", NULL, send_ct_operands, send_state_options,
		"older name of ct send state", "ct.send.state", NULL, send_show},
	{"ct migrate cleanup", NULL, send_ct_operands, NULL, "older name of ct send cleanup",
		"ct.send.cleanup", NULL, send_show},
	{"ct migrate cancel", NULL, send_ct_operands, send_cancel_options,
		"older name of ct send cancel", "ct.send.cancel", NULL, send_show},
	{"ct migrate now", NULL, send_to_operands, send_now_options, "older name of ct send",
		"ct.send", NULL, send_show},
	COMMANDS_END,
};
