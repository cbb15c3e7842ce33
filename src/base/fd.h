/*
 * File descriptors: whole reads and writes with deadline and cancel, passing over sockets.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/clock.h"
#include "base/err.h"

#define FD_PASS_MAX 4

/* Whole writes and reads. fd_read_full: 0 at a clean end before the first byte if eof_ok, else n.
 * They wait in poll with the cancel fd, and fail with ERR_TIMEOUT when nothing moved for idle
 * (CLOCK_NEVER: wait on). The first write makes the process ignore SIGPIPE: a lost reader is an
 * error. */
int fd_write_all(int fd, const void *buf, size_t n, usec_t idle, struct err *err) _must_use_;
ssize_t fd_read_full(
	int fd, void *buf, size_t n, bool eof_ok, usec_t idle, struct err *err) _must_use_;
/* 0 is the end. */
ssize_t fd_read_some(int fd, void *buf, size_t n, usec_t idle, struct err *err) _must_use_;

int fd_cloexec(int fd, bool on, struct err *err) _must_use_;
/* Makes a pipe non-blocking, leaves anything else and -1 alone: a pipe that cannot block is written
 * in large pieces. Sockets need no such thing: each call here says MSG_DONTWAIT. */
void fd_unblock_pipe(int fd);
/* Makes a pipe as large as users may have them: who is at its ends is woken less often. Leaves
 * anything else alone. */
void fd_widen_pipe(int fd);
int fd_pipe(int ret[2], struct err *err) _must_use_; /* both close-on-exec, 1 MiB where allowed */

/* Writes back what is dirty of a file, after which SEEK_DATA and SEEK_HOLE can be believed. Without
 * it they can't: ext4 (seen with Linux 6.18) shows what was written beside a reader as a hole until
 * it is written back, though nobody has the file open any more. */
void fd_write_back(int fd);

/* One datagram with descriptors over a SOCK_SEQPACKET socket. fd_recv_msg: length, 0 at the end; a
 * message longer than cap is -ERR_PROTOCOL. ret_fds are close-on-exec and the caller's; with NULL
 * they are closed. Both wait (with cancel), unless the socket is non-blocking: then -ERR_BUSY. */
int fd_send_msg(int sock, const void *buf, size_t n, const int *fds, size_t n_fds,
	struct err *err) _must_use_;
ssize_t fd_recv_msg(int sock, void *buf, size_t cap, int ret_fds[FD_PASS_MAX], size_t *ret_n_fds,
	struct err *err) _must_use_;
