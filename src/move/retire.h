/*
 * The last step: what a finished send leaves here is removed. Refused before the destination owns
 * the container and is healthy.
 */
#pragma once

#include "move/sending.h"

int retire_run(struct sending *s, struct err *err) _must_use_;
