/*
 * A real sshd of a test's own: in a temporary folder, on a free port of 127.0.0.1. The key "send"
 * is authorised and bound to a forced command, which is the test program itself: `test_NAME serve`,
 * with the peer's words in SSH_ORIGINAL_COMMAND. The key "other" is not authorised.
 *
 *	int main(int argc, char **argv)
 *	{
 *		if (argc > 1)
 *			return sshd_serving(), serve(getenv("SSH_ORIGINAL_COMMAND"));
 *		...
 *		return cmocka_run_group_tests_name("ssh", tests, sshd_setup, sshd_teardown);
 *	}
 */
#pragma once

#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/proc.h"
#include "base/str.h"
#include "link/ssh.h"

static struct {
	char *dir, *user, *known, *identity;
	uint16_t port;
	struct proc proc;
} sshd = {.proc = PROC_INIT};

#define SSHD_PATH(name) xasprintf("%s/%s", sshd.dir, name)

static inline void sshd_keygen(const char *name)
{
	_cleanup_free_ char *path = SSHD_PATH(name);
	const char *argv[] = {
		"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path, NULL};
	struct err err = ERR_INIT;

	assert_ok(proc_run(argv, &err), &err);
}

static inline void sshd_write(const char *name, const char *text)
{
	_cleanup_free_ char *path = SSHD_PATH(name);
	struct err err = ERR_INIT;

	assert_ok(file_replace(path, text, strlen(text), 0600, &err), &err);
}

static inline char *sshd_read(const char *name)
{
	_cleanup_free_ char *path = SSHD_PATH(name);
	struct err err = ERR_INIT;
	char *text = NULL;
	size_t n;

	return file_read(path, 65536, &text, &n, &err) < 0 ? xstrdup("") : text;
}

static inline int sshd_try(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
		.sin_port = htons(sshd.port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	_cleanup_close_ int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return connect(s, (struct sockaddr *)&a, sizeof(a));
}

/* A port that was free just now; *ret_sock (may be NULL) still holds it, listening. */
static inline uint16_t sshd_free_port(int *ret_sock)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(s, (struct sockaddr *)&a, n), 0);
	assert_int_equal(getsockname(s, (struct sockaddr *)&a, &n), 0);
	if (ret_sock)
		assert_int_equal(listen(*ret_sock = s, 5), 0);
	else
		close(s);
	return ntohs(a.sin_port);
}

static inline void sshd_start(void)
{
	_cleanup_free_ char *config = SSHD_PATH("sshd_config"), *log = SSHD_PATH("log");
	_cleanup_free_ char *bashrc = xasprintf("%s/.bashrc", getpwuid(geteuid())->pw_dir);
	/* In a mount namespace of its own: the folder in /run that it wants is gone with it, and
	 * what the user's shell runs at each login does not matter. */
	const char *argv[] = {"unshare", "-m", "sh", "-c",
		"mount -t tmpfs run /run && mkdir -m 755 /run/sshd || exit\n"
		"[ ! -e \"$0\" ] || mount --bind /dev/null \"$0\" || exit\n"
		"exec \"$@\"",
		bashrc, "/usr/sbin/sshd", "-D", "-E", log, "-f", config, NULL};
	struct err err = ERR_INIT;

	sshd.proc = (struct proc)PROC_INIT;
	sshd.proc.argv = geteuid() == 0 ? argv : argv + 6;
	assert_ok(proc_spawn(&sshd.proc, &err), &err);
	sshd.proc.argv = NULL;
	for (int i = 0; sshd_try() < 0; i++) {
		if (i == 600)
			fail_msg("sshd does not start");
		usleep(20000);
	}
}

/* Processes of the test's sshd that it stopped or that outlive it write their pids here. */
static inline void sshd_kill_left(void)
{
	_cleanup_free_ char *text = sshd_read("pids");
	_cleanup_strv_ char **pids = str_words(text);

	for (size_t i = 0; pids[i]; i++)
		kill(atoi(pids[i]), SIGKILL);
}

static inline int sshd_setup(void **state)
{
	_cleanup_free_ char *self = realpath("/proc/self/exe", NULL), *config = NULL, *line = NULL,
			    *pub = NULL, *run = NULL;

	sshd.dir = unit_tmp();
	sshd.user = xstrdup(getpwuid(geteuid())->pw_name);
	sshd.port = sshd_free_port(NULL);
	sshd.known = SSHD_PATH("known_hosts");
	sshd.identity = SSHD_PATH("send");
	run = SSHD_PATH("run");
	setenv("WHERRY_RUN_DIR", run, 1);
	sshd_keygen("host");
	sshd_keygen("send");
	sshd_keygen("other");
	pub = sshd_read("send.pub");
	line = xasprintf("command=\"SSHD_DIR=%s %s serve\",restrict %s", sshd.dir, self, pub);
	sshd_write("authorized_keys", line);
	config = xasprintf("Port %u\nListenAddress 127.0.0.1\nHostKey %s/host\n"
			   "AuthorizedKeysFile %s/authorized_keys\nStrictModes no\nUsePAM no\n"
			   "PidFile none\nPermitRootLogin yes\nPasswordAuthentication no\n",
		sshd.port, sshd.dir, sshd.dir);
	sshd_write("sshd_config", config);
	sshd_start();
	return 0;
}

static inline int sshd_teardown(void **state)
{
	sshd_kill_left();
	proc_done(&sshd.proc);
	unit_tmp_free(sshd.dir);
	free(sshd.user);
	free(sshd.known);
	free(sshd.identity);
	return 0;
}

static inline struct ssh_target sshd_target(void)
{
	return (struct ssh_target){.host = "127.0.0.1",
		.user = sshd.user,
		.port = sshd.port,
		.identity = sshd.identity,
		.known_hosts = sshd.known,
		.accept_new = true};
}

static inline struct ssh *sshd_open(usec_t timeout)
{
	struct ssh_target t = sshd_target();
	struct ssh *s = NULL;
	struct err err = ERR_INIT;

	t.timeout = timeout;
	assert_ok(ssh_open(&t, &s, &err), &err);
	return s;
}

/* On the serving side, first of all: nothing outlives its session. */
static inline void sshd_serving(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* On the serving side: the process of sshd that carries this session. */
static inline pid_t sshd_session(void)
{
	pid_t pid = getppid();

	while (pid > 1) {
		_cleanup_free_ char *path = xasprintf("/proc/%d/stat", pid), *text = NULL;
		struct err err = ERR_INIT;
		size_t n;
		int parent;

		if (file_read(path, 4096, &text, &n, &err) < 0 ||
			sscanf(strrchr(text, ')') + 1, " %*c %d", &parent) != 1)
			return -1;
		if (strstr(text, "(sshd)"))
			return pid;
		pid = parent;
	}
	return -1;
}

static inline void sshd_note_pid(pid_t pid)
{
	_cleanup_free_ char *path = xasprintf("%s/pids", getenv("SSHD_DIR"));
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

	dprintf(fd, "%d\n", pid);
	close(fd);
}
