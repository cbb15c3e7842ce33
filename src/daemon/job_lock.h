/*
 * Is a job's worker alive? Each worker of a job holds a lock named after its process for as long as
 * it lives, /run/wherry/job/PID: a number that was given to another process can't fool us, and a
 * reboot forgets all.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

int job_lock_take(int *ret_fd, struct err *err) _must_use_; /* before the job is recorded */
bool job_lock_held(pid_t pid);
