/*
 * The calls to another node, over ssh: `receive VERB WORDS...`, JSON lines on its standard output,
 * a data stream or JSON lines on its standard input. The wire is described in docs/protocol.md.
 * Each answer ends with one line {"ok": {...}} or {"error": {...}}.
 *
 *	_cleanup_verb_ struct verb *v = NULL;
 *	verb_start(ssh, words, &v, &err);	// "receive", "base", token, "rootfs", snapshot,
 * NULL verb_ready(v, &answer, &err);		// {"ready": {...}}: the other side waits for data
 *	struct stream *s = verb_stream(v, NULL);
 *	... stream_write ..., stream_end(s)
 *	verb_finish(v, &answer, &err);		// {"ok": {...}}
 *
 * An error that the other side answered keeps its code, with "HOST: " before its text. Anything
 * else that is not an answer (the connection ended, silence, garbage) is -ERR_UNKNOWN for a verb
 * that changes something, because it may have been done: the caller asks `status`, it never
 * guesses. verb_start alone fails with -ERR_UNREACHABLE when nothing can have arrived. A failure of
 * the stream is one of link/frame.h.
 */
#pragma once

#include <jansson.h>

#include "base/err.h"
#include "base/stream.h"
#include "link/frame.h"
#include "link/ssh.h"

#define VERB_PROTOCOL 1			   /* hello: both sides name the versions they speak */
#define VERB_IDLE     (300 * USEC_PER_SEC) /* of the peer; a dead link is noticed much earlier */

/* Words that a verb takes, the same table on both sides. */
struct verb_spec {
	const char *name;	       /* "skel" */
	const char *usage;	       /* of its words: "[pool]" */
	unsigned min_words, max_words; /* after the name */
	bool has_input;		       /* a data stream or lines on standard input */
	bool changes;		       /* something on the other node */
};
extern const struct verb_spec verb_specs[]; /* ends with name NULL */
const struct verb_spec *verb_find(const char *name);
/* What `ssh -T` without a command prints; the caller's. */
char *verb_usage(void);
/* Splits and checks SSH_ORIGINAL_COMMAND, which is hostile (NULL: there was none): "receive VERB
 * WORD...", words as ssh_word_ok, parted by blanks, a verb of the table, the right number of them.
 * ret_words (free with strv_free) begins with the verb. */
int verb_parse(const char *command, char ***ret_words, struct err *err) _must_use_;

struct verb;
/* words: "receive", the verb, its words, NULL. */
int verb_start(
	struct ssh *ssh, const char *const *words, struct verb **ret, struct err *err) _must_use_;
/* For skel and transfer, either side; line is stolen. */
int verb_send_line(struct verb *v, json_t *line, struct err *err) _must_use_;
/* The next line, whole: {"prepared": {...}}. timeout: of silence; {"wait": ...} breaks it, for an
 * hour at most. On the answering side the end of input is -ERR_UNREACHABLE. */
int verb_recv_line(struct verb *v, usec_t timeout, json_t **ret, struct err *err) _must_use_;
int verb_ready(struct verb *v, json_t **ret, struct err *err) _must_use_; /* what is in "ready" */
/* The verb's; made at first use. Asking side: a frame writer with the limits and the compression of
 * o (the rest of o is set here; NULL: no limit, adaptive compression). Answering side: a reader. */
struct stream *verb_stream(struct verb *v, const struct frame_opts *o);
/* Closes the input, reads to the answer: what is in "ok". ret_ok may be NULL. */
int verb_finish(struct verb *v, json_t **ret_ok, struct err *err) _must_use_;
/* The last answer has come, so that an error is the other side's own. */
bool verb_answered(const struct verb *v);
void verb_free(struct verb *v);
void verb_freep(struct verb **v);
#define _cleanup_verb_ _cleanup_(verb_freep)
/* Start, one input line (stolen, may be NULL), finish. */
int verb_call(struct ssh *ssh, const char *const *words, json_t *input, json_t **ret_ok,
	struct err *err) _must_use_;

/* Answering side: the ssh session's stdin and stdout, owned from then on. data is stolen; NULL: {}.
 */
struct verb *verb_serve_new(int fd_in, int fd_out, usec_t idle);
int verb_serve_ready(struct verb *v, json_t *data, struct err *err) _must_use_;
int verb_serve_wait(struct verb *v, const char *text, struct err *err) _must_use_; /* still here */
/* Says so again and again, from a process of its own, while this one works and says nothing. What
 * is said next ends it, as does verb_serve_waited; it ends with this process, too. */
int verb_serve_waiting(struct verb *v, const char *text, usec_t every, struct err *err) _must_use_;
void verb_serve_waited(struct verb *v);
int verb_serve_ok(struct verb *v, json_t *data, struct err *err) _must_use_;
int verb_serve_error(struct verb *v, const struct err *what, struct err *err) _must_use_;
