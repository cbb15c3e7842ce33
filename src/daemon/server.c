#include "daemon/server.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/str.h"
#include "daemon/client.h"
#include "daemon/recovery.h"
#include "daemon/task.h"

const struct limits limits_default = {
	.clients = 128,
	.tasks = 64,
	.receive_tasks = 48,
	.key_tasks = 16,
	.request_timeout = 10 * USEC_PER_SEC,
};

size_t server_count_tasks(const struct server *s, bool receive, const char *key)
{
	size_t n = 0;

	for (size_t i = 0; i < s->tasks.n; i++) {
		const struct task *t = s->tasks.v[i];

		if (receive != !!(t->flags & CALL_RECEIVE))
			continue;
		n += !key || str_eq(t->key, key);
	}
	return n;
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
	struct server *s = userdata;

	log_info("ends; what its workers do goes on");
	return sd_event_exit(s->event, 0);
}

int server_init(struct server *s, const char *worker, const struct limits *limits, struct err *err)
{
	sigset_t set;
	int r;

	*s = (struct server){.limits = *limits, .worker = worker, .started = clock_now()};
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	r = sd_event_new(&s->event);
	if (r >= 0)
		r = sd_event_add_signal(s->event, NULL, SIGTERM, on_signal, s);
	if (r >= 0)
		r = sd_event_add_signal(s->event, NULL, SIGINT, on_signal, s);
	if (r >= 0)
		r = sd_event_set_watchdog(s->event, true);
	if (r < 0) {
		errno = -r;
		return err_errno(err, "make an event loop");
	}
	return 0;
}

static int on_connect(struct server *s, int listener, bool receive)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0)
		client_new(s, fd, receive);
	else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
		log_error("accept: %m");
	return 0;
}

static int on_control(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	return on_connect(userdata, fd, false);
}

static int on_receive(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	return on_connect(userdata, fd, true);
}

int server_listen(struct server *s, int fd, bool receive, struct err *err)
{
	sd_event_source *source;
	int r = sd_event_add_io(
		s->event, &source, fd, EPOLLIN, receive ? on_receive : on_control, s);

	if (r < 0 || s->n_sources == ARRAY_SIZE(s->sources)) {
		errno = -r;
		return err_errno(err, "watch a socket");
	}
	sd_event_source_set_io_fd_own(source, true);
	/* A flood of the receive user waits behind root. */
	sd_event_source_set_priority(source, receive ? 10 : 0);
	s->sources[s->n_sources++] = source;
	return 0;
}

int server_run(struct server *s, struct err *err)
{
	int r = sd_event_loop(s->event);

	if (r < 0) {
		errno = -r;
		return err_errno(err, "event loop");
	}
	return 0;
}

void server_done(struct server *s)
{
	recovery_done(s);
	while (s->clients.n)
		client_free(s->clients.v[0]);
	while (s->tasks.n)
		task_free(s->tasks.v[0]);
	client_vec_done(&s->clients);
	task_vec_done(&s->tasks);
	for (size_t i = 0; i < s->n_sources; i++)
		sd_event_source_disable_unref(s->sources[i]);
	s->event = sd_event_unref(s->event);
}
