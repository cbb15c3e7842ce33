/*
 * The steps of a send as a plan: what each does, and what undoes it. Which of them is next, and who
 * may say so, is send.c's.
 */
#pragma once

#include "move/sending.h"

#define COMMIT_PATIENCE (60 * USEC_PER_SEC) /* a silent peer is asked so long, then by recovery */

void steps_make_plan(struct sending *s); /* in s->plan; of the record that is loaded now */
/* For --dry-run: [{step, does, undo}], of a send of what s->o asks for. */
json_t *steps_json(const struct sending *s);
