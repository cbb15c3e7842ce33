/*
 * What a worker tells the daemon. When the daemon goes away the work goes on quietly; a job's
 * worker looks for a new daemon at every message, at most once a second, and tells it which job it
 * does, so that people can attach to it again.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "base/err.h"
#include "base/progress.h"
#include "daemon/calls.h"

struct report {
	int sock; /* -1: nobody listens */
	const struct call *call;
	uint64_t job;
	usec_t tried; /* when a daemon was last looked for */
};

void report_job(struct report *r, uint64_t job);
void report_progress(void *report, const struct progress_event *ev); /* a progress sink */
void report_line(void *report, const char *text);		     /* move_ctx.say */
/* The end: exactly one of them. An array goes as items. The result is stolen. */
void report_result(struct report *r, json_t *result);
void report_error(struct report *r, const struct err *what);
