#include "tree/tree.h"

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

/* A pass within one process: the destination in a thread of its own. */
struct copy {
	struct tree_receive_args args;
	struct stream *in;
	struct tree_result res;
	struct err err;
	int r;
};

static void *receive_thread(void *arg)
{
	struct copy *c = arg;

	c->r = tree_receive(&c->args, c->in, &c->res, &c->err);
	stream_free(c->in); /* a failed one ends the sender's writing */
	return NULL;
}

static int send_all(int rootfd, struct progress *p, struct stream *out, struct tree_result *ret,
	struct err *err)
{
	struct tree_send_args a = {.rootfd = rootfd, .progress = p};
	int r = tree_send(&a, out, ret, err);

	return r < 0 ? r : stream_end(out, err);
}

int tree_copy(int from_rootfd, int to_rootfd, struct progress *p, struct tree_result *ret,
	struct err *err)
{
	struct copy c = {.args = {.rootfd = to_rootfd}, .err = ERR_INIT};
	struct tree_result sent = {0};
	struct stream *out;
	pthread_t thread;
	int fds[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return err_errno(err, "make a pair of sockets");
	c.in = stream_fd_new(fds[0], fds[0], CLOCK_NEVER);
	out = stream_fd_new(fds[1], fds[1], CLOCK_NEVER);
	if (pthread_create(&thread, NULL, receive_thread, &c) != 0) {
		stream_free(c.in);
		stream_free(out);
		return err_set(err, ERR_INTERNAL, "cannot start a thread");
	}
	r = send_all(from_rootfd, p, out, &sent, err);
	stream_free(out);
	pthread_join(thread, NULL);
	if (c.r < 0 && (r >= 0 || c.err.code != ERR_PROTOCOL))
		r = err_copy(err, &c.err); /* why the stream broke */
	c.res.entries = sent.entries;
	tree_result_done(&sent);
	if (r < 0) {
		tree_result_done(&c.res);
		return r;
	}
	*ret = c.res;
	return 0;
}
