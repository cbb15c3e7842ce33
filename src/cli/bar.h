/*
 * Progress for people: a bar that is redrawn on a terminal, a line at the begin and the end of each
 * phase otherwise, JSON lines with --json, nothing with --quiet.
 */
#pragma once

#include "base/progress.h"
#include "cli/command.h"

struct bar {
	struct cli *cli;
	char phase[64];
	bool drawn; /* something stands in the terminal's last line */
};

void bar_progress(struct bar *b, const struct progress_event *ev);
void bar_line(struct bar *b, const char *text);
void bar_end(struct bar *b); /* leaves a clean line */
/* The text of the bar, at most width columns. */
char *bar_text(const struct progress_event *ev, unsigned width);
/* What is said of a phase when it is over. */
char *bar_summary(const struct progress_event *ev);
