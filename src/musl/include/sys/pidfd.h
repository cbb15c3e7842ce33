/* glibc's, which musl has not: see glibc.c. */
#pragma once

#include <signal.h>
#include <sys/types.h>

int pidfd_open(pid_t pid, unsigned flags);
int pidfd_send_signal(int pidfd, int sig, siginfo_t *info, unsigned flags);
