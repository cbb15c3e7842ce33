#include "link/ssh.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/inotify.h>
#include <sys/un.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/clock.h"
#include "base/dirs.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/proc.h"
#include "base/str.h"
#include "link/ssh_refusal.h"

#define HOST_MAX    253
#define WORD_MAX    255
#define BIND_SUFFIX 17 /* ssh binds its socket under a longer name first */

struct ssh {
	struct proc master;
	char **argv;
	char *host, *where; /* where: for errors, with the port if one was given */
	char *bare;	    /* host without brackets */
	char *socket;
	usec_t timeout;
};

struct ssh_run {
	struct proc proc;
	char **argv;
	struct ssh *ssh;
};

/* Safety: nothing overrides these. */
static const char *const always[] = {
	"BatchMode=yes",
	"ControlPersist=no",
	"ForkAfterAuthentication=no",
	"IdentitiesOnly=yes",
	"IdentityAgent=none",
	"PreferredAuthentications=publickey",
	"PubkeyAuthentication=yes",
	"AddKeysToAgent=no",
	"UpdateHostKeys=no",
	"HashKnownHosts=no",
	"ClearAllForwardings=yes",
	"ForwardAgent=no",
	"ForwardX11=no",
	"Tunnel=no",
	"PermitLocalCommand=no",
	"RemoteCommand=none",
	"RequestTTY=no",
	"LogLevel=INFO",
};

/* Speed: an ssh_option of the configuration wins. */
static const char *const usually[] = {
	"Compression=no",
	"ConnectionAttempts=1",
};

bool ssh_word_ok(const char *word)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789_.:/@=+,-";
	size_t n = strspn(word, allowed);

	return n > 0 && n <= WORD_MAX && !word[n];
}

static char *without_brackets(const char *host)
{
	size_t n = strlen(host);

	return host[0] == '[' && host[n - 1] == ']' ? xstrndup(host + 1, n - 2) : xstrdup(host);
}

bool ssh_host_ok(const char *host)
{
	_cleanup_free_ char *bare = without_brackets(host);
	struct in6_addr addr;

	if (!*bare || strlen(bare) > HOST_MAX || bare[0] == '-' || bare[0] == '.')
		return false;
	if (host[0] == '[' || strchr(bare, ':'))
		return inet_pton(AF_INET6, bare, &addr) == 1;
	for (const char *p = bare; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr(".-_", *p))
			return false;
	return true;
}

static bool user_ok(const char *user)
{
	return ssh_word_ok(user) && user[0] != '-' && !strpbrk(user, "/:@=+,");
}

static int check_target(const struct ssh_target *t, struct err *err)
{
	if (!ssh_host_ok(t->host))
		return err_set(err, ERR_INVALID,
			"\"%.64s\" is not a host name or address (a port is given with --port)",
			t->host);
	if (!user_ok(t->user))
		return err_set(err, ERR_INVALID, "\"%.64s\" is not a user name", t->user);
	/* ssh would expand "~", "%h" or "${X}" in them. */
	if (!ssh_word_ok(t->identity) || !ssh_word_ok(t->known_hosts))
		return err_set(err, ERR_INVALID,
			"ssh cannot use a path with blanks or special characters: %s",
			ssh_word_ok(t->identity) ? t->known_hosts : t->identity);
	if (!file_exists(t->identity))
		return err_set(err, ERR_NOT_FOUND,
			"this node has no send key: run `wherry send key gen` (no %s)",
			t->identity);
	return 0;
}

/* The control socket */

/* Sockets of processes that were killed. */
static void sweep(const char *dir)
{
	_cleanup_closedir_ DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		struct err ignored = ERR_INIT;
		uint32_t pid;
		char *dot = strchr(e->d_name, '.');
		_cleanup_free_ char *number = dot ? xstrndup(e->d_name, (size_t)(dot - e->d_name))
						  : NULL;

		if (number && num_u32(number, INT32_MAX, &pid, &ignored) >= 0 && pid > 0 &&
			kill((pid_t)pid, 0) < 0 && errno == ESRCH)
			(void)unlinkat(dirfd(d), e->d_name, 0);
	}
}

static int choose_socket(struct ssh *s, char **ret_dir, struct err *err)
{
	static unsigned count;
	_cleanup_free_ char *dir = xasprintf("%s/ssh", dirs_run());
	int r;

	s->socket = xasprintf("%s/%d.%u", dir, getpid(), count++);
	if (strlen(s->socket) + BIND_SUFFIX >= sizeof(((struct sockaddr_un *)NULL)->sun_path) ||
		strpbrk(s->socket, "%~$ \"'\\"))
		return err_set(err, ERR_INVALID,
			"%s cannot hold ssh's control socket: its path is too long or has special "
			"characters",
			dir);
	r = file_mkdirs(dir, 0700, err);
	if (r < 0)
		return r;
	sweep(dir);
	(void)unlink(s->socket);
	*ret_dir = TAKE_PTR(dir);
	return 0;
}

/* The command line */

static void push(char ***v, const char *fmt, ...) _printf_(2, 3);
static void push(char ***v, const char *fmt, ...)
{
	_cleanup_free_ char *s = NULL;
	va_list ap;

	va_start(ap, fmt);
	s = xvasprintf(fmt, ap);
	va_end(ap);
	strv_push(v, s);
}

static void push_options(char ***v, const char *const *options, size_t n)
{
	for (size_t i = 0; i < n; i++)
		push(v, "-o%s", options[i]);
}

static bool cpu_has_aes(void)
{
#if defined(__x86_64__) || defined(__i386__)
	return __builtin_cpu_supports("aes");
#elif defined(__aarch64__)
	return getauxval(AT_HWCAP) & (1 << 3);
#else
	return false;
#endif
}

/* A dead link is noticed after count + 1 intervals: four fifths of the timeout at the usual one. */
static void push_timeouts(char ***v, usec_t timeout)
{
	unsigned sec = (unsigned)MIN(MAX(timeout / USEC_PER_SEC, 1), 3600);

	push(v, "-oServerAliveInterval=%u", MAX(sec * 4 / 15, 1));
	push(v, "-oServerAliveCountMax=2");
	push(v, "-oConnectTimeout=%u", sec);
}

static char **master_argv(const struct ssh *s, const struct ssh_target *t)
{
	char **v = NULL;

	push(&v, "ssh");
	push(&v, "-MNT");
	push(&v, "-S%s", s->socket);
	push(&v, "-l%s", t->user);
	push(&v, "-i%s", t->identity);
	if (t->port)
		push(&v, "-p%u", t->port);
	push(&v, "-oUserKnownHostsFile=%s ~/.ssh/known_hosts", t->known_hosts);
	push(&v, "-oStrictHostKeyChecking=%s", t->accept_new ? "accept-new" : "yes");
	push_options(&v, always, ARRAY_SIZE(always));
	push_timeouts(&v, s->timeout);
	for (size_t i = 0; t->options && t->options[i]; i++)
		push(&v, "-o%s", t->options[i]);
	push_options(&v, usually, ARRAY_SIZE(usually));
	if (cpu_has_aes())
		push(&v, "-oCiphers=^aes128-gcm@openssh.com,aes256-gcm@openssh.com");
	push(&v, "--");
	push(&v, "%s", s->bare);
	return v;
}

/* A client of the master. Without one it would connect by itself, and not in our way: the proxy
 * command makes that fail. */
static char **run_argv(const struct ssh *s, const char *const *words)
{
	char **v = NULL;

	push(&v, "ssh");
	push(&v, "-Fnone");
	push(&v, "-T");
	push(&v, "-S%s", s->socket);
	push(&v, "-oControlMaster=no");
	push(&v, "-oProxyCommand=false");
	push(&v, "-oBatchMode=yes");
	push(&v, "-oLogLevel=ERROR");
	push(&v, "--");
	push(&v, "%s", s->bare);
	for (size_t i = 0; words[i]; i++)
		push(&v, "%s", words[i]);
	return v;
}

/* The master */

/* Another try that only looks at the key: ssh says it in debug messages alone. Of the same way,
 * jump hosts and all, which ssh-keyscan would not go. */
static char *ask_fingerprint(const struct ssh *s)
{
	_cleanup_(proc_done) struct proc p = PROC_INIT;
	_cleanup_free_ char **argv = xmalloc((strv_len(s->argv) + 2) * sizeof(char *));
	_cleanup_free_ char *text = NULL;
	struct err ignored = ERR_INIT;

	argv[0] = s->argv[0];
	argv[1] = (char *)(uintptr_t) "-v";
	memcpy(argv + 2, s->argv + 1, strv_len(s->argv) * sizeof(char *));
	p.argv = (const char *const *)argv;
	if (proc_spawn(&p, &ignored) < 0)
		return NULL;
	if (proc_wait(&p, clock_deadline(s->timeout), NULL, &ignored) >= 0)
		return NULL;
	text = proc_stderr(&p);
	return ssh_refusal_fingerprint(text);
}

/* The master has ended: says why. */
static int explain(struct ssh *s, struct err *err)
{
	_cleanup_free_ char *text = proc_stderr(&s->master), *fingerprint = NULL;

	if (ssh_refusal_is_unknown_key(text))
		fingerprint = ask_fingerprint(s);
	return ssh_refusal(text, s->where, fingerprint, err);
}

static bool master_ended(struct ssh *s, usec_t patience)
{
	struct pollfd pfd = {.fd = s->master.pidfd, .events = POLLIN};

	return s->master.pid < 0 || poll(&pfd, 1, clock_poll_ms(clock_deadline(patience))) > 0;
}

static void drain(int fd)
{
	char buf[4096] __attribute__((aligned(__alignof__(struct inotify_event))));

	while (read(fd, buf, sizeof(buf)) > 0)
		;
}

/* The socket is there once ssh has logged in, and not before. */
static int await_socket(struct ssh *s, int watch, struct err *err)
{
	usec_t deadline = clock_deadline(2 * s->timeout); /* to connect, then to log in */

	for (;;) {
		struct pollfd pfd[3] = {{.fd = watch, .events = POLLIN},
			{.fd = s->master.pidfd, .events = POLLIN},
			{.fd = cancel_fd(), .events = POLLIN}};
		int r = cancel_check(err);

		if (r < 0)
			return r;
		if (file_exists(s->socket))
			return 0;
		r = poll(pfd, 3, clock_poll_ms(deadline));
		if (r < 0 && errno != EINTR)
			return err_errno(err, "poll");
		if (r > 0 && pfd[1].revents)
			return explain(s, err);
		if (r > 0 && pfd[0].revents)
			drain(watch);
		if (clock_now() >= deadline)
			return err_set(err, ERR_UNREACHABLE,
				"%s accepted the connection, but does not answer", s->where);
	}
}

static int start_master(struct ssh *s, const struct ssh_target *t, struct err *err)
{
	_cleanup_close_ int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	_cleanup_free_ char *dir = NULL;
	int r = fault_point("link.ssh.open.before", err);

	if (r >= 0)
		r = choose_socket(s, &dir, err);
	if (r < 0)
		return r;
	if (watch < 0 || inotify_add_watch(watch, dir, IN_CREATE | IN_MOVED_TO) < 0)
		return err_errno(err, "watch %s", dir);
	s->argv = master_argv(s, t);
	s->master.argv = (const char *const *)s->argv;
	r = proc_spawn(&s->master, err);
	return r < 0 ? r : await_socket(s, watch, err);
}

int ssh_open(const struct ssh_target *t, struct ssh **ret, struct err *err)
{
	_cleanup_ssh_ struct ssh *s = NULL;
	int r = check_target(t, err);

	if (r < 0)
		return r;
	s = xnew(struct ssh);
	s->master = (struct proc)PROC_INIT;
	s->host = xstrdup(t->host);
	s->bare = without_brackets(t->host);
	s->where = t->port ? xasprintf("%s (port %u)", t->host, t->port) : xstrdup(t->host);
	s->timeout = t->timeout ? t->timeout : SSH_TIMEOUT;
	r = start_master(s, t, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(s);
	return 0;
}

const char *ssh_host(const struct ssh *s)
{
	return s->host;
}

void ssh_close(struct ssh *s)
{
	if (!s)
		return;
	proc_done(&s->master);
	if (s->socket)
		(void)unlink(s->socket);
	strv_free(s->argv);
	free(s->host);
	free(s->where);
	free(s->bare);
	free(s->socket);
	free(s);
}

void ssh_closep(struct ssh **s)
{
	ssh_close(*s);
}

/* Commands */

static int check_words(const char *const *words, struct err *err)
{
	size_t n = 0;

	for (; words[n]; n++)
		if (n == SSH_WORDS_MAX || !ssh_word_ok(words[n]))
			return err_set(err, ERR_INVALID, "\"%.64s\" cannot be said to another node",
				words[n]);
	if (n == 0 || words[0][0] == '-') /* ssh takes options after the host, too */
		return err_set(err, ERR_INVALID, "no command for another node");
	return 0;
}

int ssh_start(struct ssh *s, const char *const *words, struct ssh_run **ret, struct err *err)
{
	_cleanup_ssh_run_ struct ssh_run *run = NULL;
	int r = check_words(words, err);

	if (r >= 0)
		r = fault_point("link.ssh.start.before", err);
	if (r < 0)
		return r;
	if (master_ended(s, 0))
		return explain(s, err);
	run = xnew(struct ssh_run);
	run->proc = (struct proc)PROC_INIT;
	run->ssh = s;
	run->argv = run_argv(s, words);
	run->proc.argv = (const char *const *)run->argv;
	run->proc.pipe_in = run->proc.pipe_out = true;
	r = proc_spawn(&run->proc, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(run);
	return 0;
}

int ssh_run_in(const struct ssh_run *r)
{
	return r->proc.ret_in;
}

int ssh_run_out(const struct ssh_run *r)
{
	return r->proc.ret_out;
}

void ssh_run_close_in(struct ssh_run *r)
{
	if (r->proc.ret_in >= 0)
		close(TAKE_FD(r->proc.ret_in));
}

/* Status 255 is ssh's own. The master may need a moment to end after its clients have. */
static int lost(struct ssh_run *r, const char *text, struct err *err)
{
	if (master_ended(r->ssh, 200 * USEC_PER_MSEC))
		return explain(r->ssh, err);
	/* It found no master, and its own way is closed: see run_argv. */
	if (strstr(text, "kex_exchange_identification"))
		text = "";
	return ssh_refusal(text, r->ssh->where, NULL, err);
}

int ssh_run_wait(struct ssh_run *r, usec_t deadline, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	int status = 0, k = proc_wait(&r->proc, deadline, &status, err);

	if (k >= 0)
		return 0;
	if (err->code == ERR_CANCELLED || err->code == ERR_TIMEOUT || r->proc.pid > 0)
		return err_prefix(err, "%s", r->ssh->where);
	text = proc_stderr(&r->proc);
	if (WIFEXITED(status) && WEXITSTATUS(status) != 255)
		return err_set(err, ERR_PROTOCOL, "%s did not do it: %.600s", r->ssh->where,
			*text ? ssh_refusal_last_line(text) : "it did not say why");
	return lost(r, text, err);
}

void ssh_run_free(struct ssh_run *r)
{
	if (!r)
		return;
	proc_done(&r->proc);
	strv_free(r->argv);
	free(r);
}

void ssh_run_freep(struct ssh_run **r)
{
	ssh_run_free(*r);
}
