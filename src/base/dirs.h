/*
 * The two folders of a node that are Wherry's own. Environment variables move them, for tests and
 * several nodes on one machine.
 */
#pragma once

const char *dirs_state(void); /* /var/lib/wherry, or WHERRY_STATE_DIR: survives a reboot */
const char *dirs_run(
	void); /* /run/wherry, or WHERRY_RUN_DIR: sockets, locks; gone after a reboot */
