/*
 * The calls to another node, over ssh: `receive VERB WORDS...`, JSON lines on its standard output, a data stream or JSON lines on its standard
 * input. The wire is described in docs/protocol.md. Every answer ends with one line {"ok": {...}} or {"error": {...}}; a connection that ends without one
 * is -ERR_UNKNOWN (or -ERR_UNREACHABLE if nothing can have arrived): the caller asks `status`, it never guesses.
 *
 *	struct verb *v;
 *	verb_start(ssh, words, &v, &err);		// "receive", "base", token, "rootfs", snapshot, NULL
 *	verb_ready(v, &answer, &err);			// {"ready": {...}}: the other side waits for data
 *	struct stream *s = verb_stream(v);		// framed, digests, acknowledgements on the way back
 *	... write ..., stream_end(s)
 *	verb_finish(v, &answer, &err);			// {"ok": {...}}
 */
#pragma once

#include <jansson.h>

#include "base/err.h"
#include "base/stream.h"
#include "link/frame.h"
#include "link/ssh.h"

#define VERB_PROTOCOL 1 /* hello: both sides name the versions they speak; no common one is an error before anything changed */

/* Words that a verb takes, the same table on both sides. */
struct verb_spec {
	const char *name;  /* "skel" */
	const char *words; /* for the usage: "[pool]" */
	const char *older; /* the usage of older tools, or NULL */
	unsigned min_words, max_words;
	bool has_input;
};
extern const struct verb_spec verb_specs[]; /* ends with name NULL */
const struct verb_spec *verb_find(const char *name);
/* What `ssh -T` without a command prints, as document 1 has it. */
char *verb_usage(void);
/* Splits and checks SSH_ORIGINAL_COMMAND, which is hostile: "receive VERB WORD...": printable words of [A-Za-z0-9_.:/@=+,-], at most 16 of at most 255 bytes, verb in
 * the table, right number of words. No quoting, nothing is ever given to a shell. ret_words is NULL-terminated, without "receive". */
int verb_parse(const char *command, char ***ret_words, struct err *err) _must_use_;

struct verb;
int verb_start(struct ssh *ssh, const char *const *words, struct verb **ret, struct err *err) _must_use_;
int verb_send_line(struct verb *v, json_t *line, struct err *err) _must_use_; /* stolen; for skel and transfer */
int verb_recv_line(struct verb *v, usec_t timeout, json_t **ret, struct err *err) _must_use_; /* an {"error"} becomes err */
int verb_ready(struct verb *v, json_t **ret, struct err *err) _must_use_;
/* The verb's; made at first use, by o (NULL: no limit, no compression). Its peer, lost and ctx are filled in here. */
struct stream *verb_stream(struct verb *v, const struct frame_opts *o);
int verb_finish(struct verb *v, json_t **ret_ok, struct err *err) _must_use_; /* closes the input, reads to the last answer */
void verb_free(struct verb *v);
void verb_freep(struct verb **v);
/* start, one optional input line, finish. */
int verb_call(struct ssh *ssh, const char *const *words, json_t *input, json_t **ret_ok, struct err *err) _must_use_;

/* Answering side: fds are the ssh session's stdin and stdout, as the receive shim handed them over; both owned from then on. */
struct verb *verb_serve_new(int fd_in, int fd_out, usec_t idle);
int verb_serve_ready(struct verb *v, json_t *data, struct err *err) _must_use_;
int verb_serve_ok(struct verb *v, json_t *data, struct err *err) _must_use_;
int verb_serve_error(struct verb *v, const struct err *what, struct err *err) _must_use_;
