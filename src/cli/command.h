/*
 * The command line as tables. A command is a row: its words, operands, options, the call it makes
 * and how its result is shown; parsing, help, "did you mean" and the test of the manual all read
 * the same rows. A file cmd_GROUP.c holds the rows of a group.
 *
 *	wherry ct send --clone web b
 *	-> command "ct send", args {"ct": "web", "host": "b", "clone": true}
 *	-> call "ct.send" with these args
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"

struct cli {
	const char *program; /* as it was called: "wherry", "osctl" */
	bool json, quiet;
	bool terminal;	/* standard output is one */
	char phase[32]; /* of the work in the daemon, the last that was heard of; "" for none */
	bool streamed;	/* lines of JSON have been printed: the result is to be one too */
};

enum option_kind {
	OPTION_FLAG,	    /* --x: true */
	OPTION_SWITCH_ON,   /* --[no-]x, on unless said otherwise */
	OPTION_SWITCH_OFF,  /* --[no-]x, off unless said otherwise */
	OPTION_WORD,	    /* text */
	OPTION_NUMBER,	    /* a whole number */
	OPTION_PORT,	    /* 1..65535 */
	OPTION_SIZE,	    /* 10M: bytes */
	OPTION_DURATION,    /* 30s: milliseconds */
	OPTION_PATH,	    /* made absolute: the daemon has another working folder */
	OPTION_FILE,	    /* the same, or - for a standard stream */
	OPTION_SECRET,	    /* text that disappears from ps(1); "-" asks for it */
	OPTION_SECRET_FILE, /* the first line of a file */
};

struct option_spec { /* a table of them ends with name NULL */
	const char *name;
	char letter; /* 0: none */
	enum option_kind kind;
	const char *key;   /* of the argument in the call */
	const char *value; /* what the help calls it, NULL for flags */
	const char *help;
};

#define OPERAND_OPTIONAL 1u
#define OPERAND_REST	 2u /* this and all words after it, as an array; options end here */

struct operand {	  /* likewise */
	const char *name; /* "CT" */
	const char *key;
	enum option_kind kind;
	unsigned flags;
};

#define COMMAND_DEFAULT 1u /* its words are also a group: run when no command of it is meant */
#define COMMAND_HIDDEN	2u
#define COMMAND_ANYONE	4u /* no root needed */

struct command {
	const char *words; /* "ct send config" */
	const char *alias; /* other last words, blank-separated: "ls" */
	const struct operand *operands;
	const struct option_spec *options;
	const char *summary; /* one line, no full stop */
	const char *call;
	/* NULL: command_call, then show */
	int (*run)(struct cli *cli, const struct command *c, json_t *args, struct err *err);
	/* NULL: as a record. With --json the result is printed as it is */
	void (*show)(struct cli *cli, const json_t *result);
	unsigned flags;
	/* Of a failure; NULL: by the error alone */
	int (*exit_status)(const struct cli *cli, const json_t *args, const struct err *err);
};

struct group {
	const char *words;
	const char *summary;
};

extern const struct command
	*const command_tables[]; /* NULL-terminated; each ends with words NULL */
extern const struct group command_groups[];
extern const struct option_spec command_globals[];

/* Walks all commands; NULL at the end. Start with NULL. */
const struct command *command_next(const struct command *c);
/* The command of exactly these words, aliases allowed. */
const struct command *command_find(char *const *words, size_t n);
bool command_is_group(char *const *words, size_t n);

/* What the words on the command line mean. */
struct parsed {
	const struct command
		*command; /* NULL: help or version were asked for, or only a group was named; a
			   * wrong command line leaves it, too, if it was found */
	json_t *args;
	bool json, quiet, help, version;
	char *group; /* help is about this: "ct send", "" for all */
};

/* argv without the program's name; secrets in it are overwritten. */
int parse_command(int argc, char **argv, struct parsed *ret, struct err *err) _must_use_;
void parsed_done(struct parsed *p);

/* Usage and help */
char *help_usage(const char *program, const struct command *c); /* "wherry ct send CT HOST" */
void help_command(const char *program, const struct command *c);
void help_group(const char *program, const char *words);

/* The nearest of the candidates, NULL if none is near. */
const char *nearest(const char *word, char *const *candidates);
