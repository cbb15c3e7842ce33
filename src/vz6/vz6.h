/*
 * What wherry-vz6 does on an OpenVZ node: `vz6 export` and `vz6 migrate`. A node of OpenVZ has
 * neither a daemon nor LXC, so one process does it all: the engine of move/ and archive/ with
 * OpenVZ as its runtime (runtime/openvz.h), and records of its own (/var/lib/wherry-vz6), which a
 * wherryd on the same machine never sees.
 *
 *	r = vz6_open(&v, cli, &err);
 *	r = vz6_migrate(&v, "stage", args, &result, &err);
 *	vz6_close(&v);
 */
#pragma once

#include "cli/bar.h"
#include "cli/command.h"
#include "move/move.h"

struct vz6 {
	struct cli *cli;
	struct state *st;
	struct config *cfg;
	struct move_ctx move;
	struct bar bar;
	struct progress progress;
	json_t *source; /* how containers are loaded, of this command (source.h); NULL: as recorded
			 */
	char *report;	/* of the last container that was loaded: what became of its lines */
	json_t *report_v; /* the same for programs */
	json_t *guest;	  /* what is to be changed inside, and what only the operator can */
};

int vz6_open(struct vz6 *v, struct cli *cli, struct err *err) _must_use_;
void vz6_close(struct vz6 *v);
/* For people, or as a line of JSON: what became of the configuration. */
void vz6_show_report(struct vz6 *v);

int vz6_export(struct vz6 *v, const json_t *args, json_t **ret, struct err *err) _must_use_;
/* step: the last word of the command. */
int vz6_migrate(struct vz6 *v, const char *step, const json_t *args, json_t **ret,
	struct err *err) _must_use_;
/* Whose a container is; with force it is this node's. */
int vz6_own(struct vz6 *v, const json_t *args, json_t **ret, struct err *err) _must_use_;
/* What broke off is brought to its end; until nothing is pending any more, if wait. */
int vz6_recover(struct vz6 *v, bool wait, json_t **ret, struct err *err) _must_use_;
/* Which of the options do nothing here: they are only taken from older scripts. */
void vz6_say_unused(struct vz6 *v, const json_t *args);
/* Not one that is suspended. */
int vz6_check_awake(const char *ct, struct err *err) _must_use_;
/* A command that changes something has ended: cron's line stays while anything is open. */
void vz6_at_boot(struct vz6 *v);
/* A ploop disk that is mounted for us only is given back, unless a migration, or
 * whoever has the container's lock, still needs it. */
void vz6_release(struct vz6 *v, const char *ct);
