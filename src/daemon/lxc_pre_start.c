/*
 * LXC's pre-start hook of a container with an open send: may this node start it? LXC runs it for
 * each start, also one by hand or after a reboot, and gives up the start if it fails. So it fails
 * whenever it does not know; it never waits longer than five seconds.
 *
 *	lxc.hook.pre-start = /usr/lib/wherry/lxc-pre-start
 *
 * LXC calls it with the words NAME, "lxc" and "pre-start" (hook version 0), and with LXC_NAME in
 * the environment.
 */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/str.h"
#include "node/ownership.h"

#define PATIENCE 5 /* seconds */

static _noreturn_ void too_slow(int sig)
{
	static const char text[] =
		"wherry: the state database did not answer in time, so the container is not "
		"started: try again, and see journalctl -u wherryd\n";

	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	_exit(1);
}

static int check_owner(const char *ct, struct err *err)
{
	_cleanup_state_ struct state *s = NULL;
	int r = state_open_readonly(&s, err);

	if (r >= 0)
		r = own_may_start(s, ct, getenv(OWN_START_TOKEN), err);
	if (r >= 0 || r == -ERR_DENIED)
		return r;
	err_prefix(err, "container %s has an open send and its owner cannot be read", ct);
	return err_set(err, err->code,
		"%s; repair that, or, if it certainly runs nowhere else, remove the line "
		"lxc.hook.pre-start = " WHERRY_LIBDIR "/lxc-pre-start from its configuration",
		err->text);
}

static int check(int argc, char **argv, struct err *err)
{
	const char *ct = getenv("LXC_NAME");

	if (argc > 1 && ct && !str_eq(argv[1], ct))
		return err_set(err, ERR_INVALID,
			"the pre-start hook was called for container %s with LXC_NAME=%s", argv[1],
			ct);
	if (argc > 1)
		ct = argv[1];
	if (!ct || !*ct)
		return err_set(
			err, ERR_INVALID, "the pre-start hook was called without a container");
	if (argc > 3 && !str_eq(argv[3], "pre-start"))
		return err_set(err, ERR_INVALID,
			"this program is for lxc.hook.pre-start and was called as %s", argv[3]);
	return check_owner(ct, err);
}

/* LXC catches our stderr and shows it only in its debug log: whoever starts the container in the
 * foreground shall read it, and the journal keeps it for everybody else. */
static void tell(const char *text)
{
	_cleanup_free_ char *line = xasprintf("wherry: %s\n", text);
	_cleanup_close_ int tty = -1;

	(void)!write(STDERR_FILENO, line, strlen(line));
	if (!isatty(STDERR_FILENO))
		tty = open("/dev/tty", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (tty >= 0)
		(void)!write(tty, line, strlen(line));
	openlog("wherry", LOG_PID, LOG_DAEMON);
	syslog(LOG_WARNING, "start refused: %s", text);
}

int main(int argc, char **argv)
{
	struct err err = ERR_INIT;

	signal(SIGALRM, too_slow);
	alarm(PATIENCE);
	if (check(argc, argv, &err) >= 0)
		return 0;
	tell(err.text);
	return 1;
}
