/*
 * ct exec: the command's standard streams are ours; those that are a terminal become a terminal of
 * their own (a pty), so that a process in the container cannot type into the operator's, and the
 * operator's keys, ^C too, go to the command.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/json.h"
#include "cli/call.h"
#include "cli/commands.h"
#include "cli/output.h"

struct relay {
	int master, slave;
	int stop[2]; /* closing [1] ends the relay */
	int winch;
	bool keys; /* standard input is the terminal */
	struct termios old;
	pthread_t thread;
};

static void copy_size(struct relay *r)
{
	struct winsize ws;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) >= 0 || ioctl(STDIN_FILENO, TIOCGWINSZ, &ws) >= 0)
		(void)ioctl(r->master, TIOCSWINSZ, &ws);
}

static bool copy(int from, int to)
{
	char buf[4096];
	ssize_t n = read(from, buf, sizeof(buf)), done = 0;

	while (n > 0 && done < n) {
		ssize_t k = write(to, buf + done, (size_t)(n - done));

		if (k < 0 && errno != EINTR)
			return false;
		done += k > 0 ? k : 0;
	}
	return n > 0 || (n < 0 && errno == EINTR);
}

static void *relay_run(void *ctx)
{
	struct relay *r = ctx;
	struct pollfd p[] = {{.fd = r->master, .events = POLLIN},
		{.fd = r->keys ? STDIN_FILENO : -1, .events = POLLIN},
		{.fd = r->winch, .events = POLLIN}, {.fd = r->stop[0], .events = POLLIN}};
	struct signalfd_siginfo si;

	for (;;) {
		/* After the end only what the command has still written is left. */
		int n = poll(p, 4, p[3].fd < 0 ? 0 : -1);

		if (n == 0 || (n < 0 && errno != EINTR))
			break;
		if (n < 0)
			continue;
		if (p[0].revents && !copy(r->master, STDOUT_FILENO))
			break;
		if (p[1].revents && !copy(STDIN_FILENO, r->master))
			p[1].fd = -1;
		if (p[2].revents && read(r->winch, &si, sizeof(si)) > 0)
			copy_size(r);
		if (p[3].revents)
			p[1].fd = p[2].fd = p[3].fd = -1;
	}
	return NULL;
}

static int open_pty(struct relay *r, struct err *err)
{
	r->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (r->master < 0 || grantpt(r->master) < 0 || unlockpt(r->master) < 0)
		return err_errno(err, "make a terminal");
	r->slave = ioctl(r->master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (r->slave < 0)
		return err_errno(err, "make a terminal");
	copy_size(r);
	return 0;
}

static int relay_start(struct relay *r, struct err *err)
{
	struct termios raw;
	sigset_t winch;
	int n;

	r->master = r->slave = r->winch = r->stop[0] = r->stop[1] = -1;
	r->keys = tcgetattr(STDIN_FILENO, &r->old) == 0;
	n = open_pty(r, err);
	if (n < 0)
		return n;
	sigemptyset(&winch);
	sigaddset(&winch, SIGWINCH);
	pthread_sigmask(SIG_BLOCK, &winch, NULL);
	r->winch = signalfd(-1, &winch, SFD_CLOEXEC);
	n = fd_pipe(r->stop, err);
	if (n < 0)
		return n;
	if (r->keys) {
		raw = r->old;
		tcsetattr(r->slave, TCSANOW, &r->old);
		cfmakeraw(&raw);
		tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	}
	if (pthread_create(&r->thread, NULL, relay_run, r) != 0)
		return err_set(err, ERR_INTERNAL, "cannot start a thread");
	return 0;
}

static void relay_stop(struct relay *r)
{
	close(TAKE_FD(r->slave));
	close(TAKE_FD(r->stop[1]));
	pthread_join(r->thread, NULL);
	if (r->keys)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &r->old);
	close(r->master);
	close(r->stop[0]);
	close(r->winch);
}

int exec_run(struct cli *cli, const struct command *c, json_t *args, struct err *err)
{
	int fds[3] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}, r;
	_cleanup_json_ json_t *result = NULL;
	struct relay relay;
	bool terminal = isatty(STDOUT_FILENO);

	if (terminal) {
		r = relay_start(&relay, err);
		if (r < 0)
			return r;
		for (int i = 0; i < 3; i++)
			if (isatty(fds[i]))
				fds[i] = relay.slave;
		json_put_str(args, "term", getenv("TERM"));
	}
	r = call_daemon(cli, c->call, json_incref(args), fds, 3, &result, err);
	if (terminal)
		relay_stop(&relay);
	return r < 0 ? r : (int)json_get_u64(result, "status", 0);
}
