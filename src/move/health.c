#include "move/health.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/str.h"
#include "runtime/runtime.h"

#define ASK_EVERY (50 * USEC_PER_MSEC)

static int init_alive(const char *ct, struct err *err)
{
	enum ct_state state;
	pid_t init = -1;
	int r = runtime_state(ct, &state, &init, err);

	if (r < 0)
		return r;
	if (state != CT_RUNNING && state != CT_FROZEN)
		return err_set(err, ERR_HEALTH, "container '%s' is %s instead of running", ct,
			ct_state_name(state));
	return 0;
}

/* "10.0.0.2/24" without its prefix length. */
static char *first_address(const struct container *c)
{
	for (size_t i = 0; i < c->netifs.n; i++)
		if (c->netifs.v[i].addresses && c->netifs.v[i].addresses[0])
			return xstrndup(c->netifs.v[i].addresses[0],
				strcspn(c->netifs.v[i].addresses[0], "/"));
	return NULL;
}

static bool port_answers(const char *address, const char *port)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
				.ai_socktype = SOCK_STREAM},
			*ai = NULL;
	_cleanup_close_ int fd = -1;
	struct pollfd p;
	int e = 0;
	socklen_t n = sizeof(e);
	bool ok = false;

	if (getaddrinfo(address, port, &hints, &ai) != 0)
		return false;
	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && (connect(fd, ai->ai_addr, ai->ai_addrlen) == 0 || errno == EINPROGRESS)) {
		p = (struct pollfd){.fd = fd, .events = POLLOUT};
		ok = poll(&p, 1, 500) == 1 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &n) == 0 &&
		     e == 0;
	}
	freeaddrinfo(ai);
	return ok;
}

static int check_tcp(const struct container *c, const char *port, usec_t deadline, struct err *err)
{
	_cleanup_free_ char *address = first_address(c);

	if (!address)
		return err_set(err, ERR_HEALTH,
			"container '%s' has no configured address whose port %s could be asked",
			c->name, port);
	while (!port_answers(address, port)) {
		if (clock_now() >= deadline)
			return err_set(err, ERR_HEALTH,
				"port %s of container '%s' (%s) did not answer in time", port,
				c->name, address);
		clock_sleep(ASK_EVERY);
	}
	return 0;
}

static int check_command(
	const struct container *c, const char *command, usec_t deadline, struct err *err)
{
	_cleanup_strv_ char **argv = str_words(command);
	const int fds[3] = {-1, -1, -1};
	int status = -1;

	for (;;) {
		err_clear(err);
		if (runtime_exec_until(c->name, argv, fds, deadline, &status, err) >= 0 &&
			status == 0)
			return 0;
		if (clock_now() >= deadline)
			return err_set(err, ERR_HEALTH,
				"the health command '%s' in container '%s' ended with status %d",
				command, c->name, status);
		clock_sleep(ASK_EVERY);
	}
}

int health_check(struct move_ctx *m, const struct container *c, struct err *err)
{
	usec_t deadline = clock_deadline(m->cfg->health_timeout);
	int r = init_alive(c->name, err);

	if (r >= 0 && m->cfg->health_tcp)
		r = check_tcp(c, m->cfg->health_tcp, deadline, err);
	if (r >= 0 && m->cfg->health_command)
		r = check_command(c, m->cfg->health_command, deadline, err);
	/* An init that dies at once has had its chance by now. */
	return r < 0 ? r : init_alive(c->name, err);
}
