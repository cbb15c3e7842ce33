#include "sshd.h"

#include <dirent.h>
#include <sys/wait.h>

#include "base/cancel.h"
#include "base/fd.h"
#include "base/num.h"
#include "link/ssh_refusal.h"

/* What the forced command does for the words of the test. */
static int serve(const char *command)
{
	char buf[65536];
	ssize_t n;

	if (str_eq(command, "echo"))
		while ((n = read(0, buf, sizeof(buf))) > 0)
			(void)!write(1, buf, (size_t)n);
	else if (str_eq(command, "fail"))
		return dprintf(2, "one\nwherry-receive: not today\n"), 3;
	else if (str_eq(command, "chatter") || str_eq(command, "flood"))
		for (int i = 0; i < (command[0] == 'c' ? 3 : 1000); i++)
			dprintf(2, "%65000s\n", "x");
	else if (str_eq(command, "cut"))
		kill(sshd_session(), SIGKILL);
	else if (str_eq(command, "stop"))
		sshd_note_pid(sshd_session()), kill(sshd_session(), SIGSTOP);
	else if (str_eq(command, "die"))
		kill(getpid(), SIGKILL);
	else if (str_eq(command, "sleep"))
		alarm(30), pause(); /* nobody waits longer; it must not outlive the test for long */
	else
		printf("%s", command);
	return 0;
}

static struct ssh_run *start(struct ssh *s, const char *word)
{
	const char *words[] = {word, NULL};
	struct ssh_run *run = NULL;
	struct err err = ERR_INIT;

	assert_ok(ssh_start(s, words, &run, &err), &err);
	return run;
}

static void test_hosts(void **state)
{
	static const char *const good[] = {
		"b", "node-b.example.org", "10.0.0.1", "::1", "[::1]", "fe80::1", "a_b", "1"};
	static const char *const bad[] = {"", "-oProxyCommand=x", "a b", "a;b", "a\nb", "user@b",
		"b:22", "[::1", "::1]", "[b]", "[]", "%h", "a/b", "ssh://b", "$(x)", "`x`", ".b",
		"b%eth0", "\xc3\xa9"};
	char longest[255] = {0};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_row(ssh_host_ok(good[i]), good[i]);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_row(!ssh_host_ok(bad[i]), bad[i]);
	memset(longest, 'a', 253);
	assert_true(ssh_host_ok(longest));
	longest[253] = 'a';
	assert_false(ssh_host_ok(longest));
}

static void test_words(void **state)
{
	static const char *const good[] = {"receive", "tank:web", "from=@snap-1", "/", "a,b+c_d"};
	static const char *const bad[] = {"", "a b", "a;b", "a\n", "$x", "`", "'", "\"", "\\", "*",
		"~", "a|b", "a&", "<", ">", "(", "#", "!", "%", "\x7f", "\xc3\xa9", "a\tb"};
	char longest[257] = {0};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_row(ssh_word_ok(good[i]), good[i]);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_row(!ssh_word_ok(bad[i]), bad[i]);
	memset(longest, 'a', 255);
	assert_true(ssh_word_ok(longest));
	longest[255] = 'a';
	assert_false(ssh_word_ok(longest));
}

static void test_refusals(void **state)
{
	static const struct {
		const char *text;
		enum err_code code;
		const char *part;
	} rows[] = {
		{"ssh: Could not resolve hostname b: Name or service not known\r\n", ERR_NOT_FOUND,
			"b is not a known host"},
		{"ssh: Could not resolve hostname b: Temporary failure in name resolution",
			ERR_UNREACHABLE, "name server"},
		{"ssh: connect to host b port 22: Connection refused", ERR_UNREACHABLE, "refuses"},
		{"ssh: connect to host b port 22: No route to host", ERR_UNREACHABLE, "route"},
		{"ssh: connect to host b port 22: Network is unreachable", ERR_UNREACHABLE,
			"route"},
		{"ssh: connect to host b port 22: Connection timed out", ERR_UNREACHABLE, "answer"},
		{"Timeout, server b not responding.", ERR_UNREACHABLE, "given up"},
		{"w@b: Permission denied (publickey).", ERR_AUTH, "authorized-keys add"},
		{"Unable to negotiate with b port 22: no matching cipher found", ERR_UNSUPPORTED,
			"algorithm"},
		{"kex_exchange_identification: Connection closed by remote host\nConnection closed "
		 "by 10.0.0.1 port 22",
			ERR_UNREACHABLE, "before the login"},
		{"command-line: line 0: Bad configuration option: foo", ERR_INVALID, "ssh_option"},
		{"banner\nclient_loop: send disconnect: Broken pipe\n", ERR_UNREACHABLE,
			"lost: client_loop: send disconnect: Broken pipe"},
		{"", ERR_UNREACHABLE, "connection to b was lost"},
		{"kex_exchange_identification: Connection closed by remote host\nConnection closed "
		 "by UNKNOWN port 65535",
			ERR_UNREACHABLE, "was lost"},
		{"No ED25519 host key is known for b and you have requested strict checking.\r\n"
		 "Host key verification failed.",
			ERR_AUTH, "SHA256:abc"},
		{"@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nThe fingerprint for the "
		 "ED25519 key sent by the remote host is\nSHA256:xyz.\nOffending RSA key in "
		 "/etc/known:7\nHost key verification failed.",
			ERR_AUTH, "/etc/known:7"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err err = ERR_INIT;
		int r = ssh_refusal(rows[i].text, "b", "ssh-ed25519 SHA256:abc", &err);

		assert_row(r == -(int)rows[i].code, rows[i].text);
		assert_row(strstr(err.text, rows[i].part), err.text);
	}
}

/* Of ssh-keygen: "256 SHA256:... host (ED25519)". */
static char *fingerprint(const char *name)
{
	_cleanup_free_ char *path = SSHD_PATH(name), *out = NULL;
	const char *argv[] = {"ssh-keygen", "-lf", path, NULL};
	_cleanup_strv_ char **words = NULL;
	struct err err = ERR_INIT;

	assert_ok(proc_capture(argv, 4096, &out, &err), &err);
	words = str_words(out);
	return xstrdup(words[1]);
}

static void test_unknown_host_key(void **state)
{
	_cleanup_free_ char *print = fingerprint("host.pub"), *known = NULL;
	struct ssh_target t = sshd_target();
	_cleanup_ssh_ struct ssh *s = NULL;
	struct err err = ERR_INIT;

	(void)unlink(sshd.known);
	t.accept_new = false;
	assert_int_equal(ssh_open(&t, &s, &err), -ERR_AUTH);
	assert_has(err.text, print);
	assert_has(err.text, "--accept-new-host-key");
	assert_has(err.text, "ssh_host_ed25519_key.pub");
	assert_false(file_exists(sshd.known));

	t.accept_new = true;
	err_clear(&err);
	assert_ok(ssh_open(&t, &s, &err), &err);
	ssh_close(s);
	s = NULL;
	known = sshd_read("known_hosts");
	assert_has(known, "[127.0.0.1]:"); /* readable, not hashed */
	t.accept_new = false;
	assert_ok(ssh_open(&t, &s, &err), &err);
}

static void test_changed_host_key(void **state)
{
	_cleanup_free_ char *pub = sshd_read("other.pub"), *line = NULL, *after = NULL,
			    *print = fingerprint("host.pub");
	struct ssh_target t = sshd_target();
	struct ssh *s = NULL;
	struct err err = ERR_INIT;

	line = xasprintf("[127.0.0.1]:%u %s", sshd.port, pub);
	sshd_write("known_hosts", line);
	for (int accept = 0; accept < 2; accept++) {
		t.accept_new = accept;
		assert_int_equal(ssh_open(&t, &s, &err), -ERR_AUTH);
		assert_has(err.text, "has changed");
		assert_has(err.text, print);
		assert_has(err.text, sshd.known);
	}
	after = sshd_read("known_hosts");
	assert_string_equal(after, line);
	(void)unlink(sshd.known);
}

static void test_unauthorised_key(void **state)
{
	_cleanup_free_ char *other = SSHD_PATH("other");
	struct ssh_target t = sshd_target();
	struct ssh *s = NULL;
	struct err err = ERR_INIT;

	t.identity = other;
	assert_int_equal(ssh_open(&t, &s, &err), -ERR_AUTH);
	assert_has(err.text, "wherry receive authorized-keys add");
	assert_null(s);
}

static void test_bad_targets(void **state)
{
	struct ssh_target t = sshd_target();
	char *const options[] = {(char *)"NoSuchOption=1", NULL};
	struct ssh *s = NULL;
	struct err err = ERR_INIT;

	t.host = "-oProxyCommand=touch /tmp/x";
	assert_fails(ssh_open(&t, &s, &err), ERR_INVALID, &err);
	t = sshd_target();
	t.user = "-x";
	assert_fails(ssh_open(&t, &s, &err), ERR_INVALID, &err);
	t = sshd_target();
	t.known_hosts = "/tmp/%h known";
	assert_fails(ssh_open(&t, &s, &err), ERR_INVALID, &err);
	t = sshd_target();
	t.identity = "/nowhere/key";
	assert_fails(ssh_open(&t, &s, &err), ERR_NOT_FOUND, &err);
	t = sshd_target();
	t.options = options;
	assert_fails(ssh_open(&t, &s, &err), ERR_INVALID, &err);
	t = sshd_target();
	t.port = sshd_free_port(NULL);
	assert_fails(ssh_open(&t, &s, &err), ERR_UNREACHABLE, &err);
	assert_null(s);
}

/* The port is open, but nobody is behind it. */
static void test_silent_host(void **state)
{
	struct ssh_target t = sshd_target();
	struct ssh *s = NULL;
	struct err err = ERR_INIT;
	int sock;

	t.port = sshd_free_port(&sock);
	t.timeout = USEC_PER_SEC;
	assert_fails(ssh_open(&t, &s, &err), ERR_UNREACHABLE, &err);
	close(sock);
	cancel_install();
	cancel_request();
	assert_fails(ssh_open(&t, &s, &err), ERR_CANCELLED, &err);
	cancel_reset();
}

static void test_echo(void **state)
{
	enum { N = 200000 };
	_cleanup_ssh_ struct ssh *s = sshd_open(0);
	_cleanup_free_ char *out = xmalloc(N), *in = xcalloc(N, 1);
	struct err err = ERR_INIT;
	char c;

	for (int i = 0; i < N; i++)
		out[i] = (char)(i * 7 + i / 256);
	for (int i = 0; i < 3; i++) {
		_cleanup_ssh_run_ struct ssh_run *run = start(s, "echo");

		assert_ok(fd_write_all(ssh_run_in(run), out, N, CLOCK_NEVER, &err), &err);
		ssh_run_close_in(run);
		assert_int_equal(ssh_run_in(run), -1);
		assert_int_equal(
			fd_read_full(ssh_run_out(run), in, N, false, CLOCK_NEVER, &err), N);
		assert_memory_equal(in, out, N);
		assert_int_equal(fd_read_some(ssh_run_out(run), &c, 1, CLOCK_NEVER, &err), 0);
		assert_ok(ssh_run_wait(run, CLOCK_NEVER, &err), &err);
	}
}

/* The words arrive as they were; what a shell would change is not said at all. */
static void test_commands(void **state)
{
	_cleanup_ssh_ struct ssh *s = sshd_open(0);
	const char *words[] = {"receive", "base", "tank:web", "/", "from=a", NULL};
	const char *const bad[] = {"a b", "$HOME", ";", "", "a\nb"};
	const char *option[] = {"-v", "x", NULL}, *none[] = {NULL}, *many[19] = {NULL};
	_cleanup_ssh_run_ struct ssh_run *run = NULL;
	struct ssh_run *no = NULL;
	struct err err = ERR_INIT;
	char got[100] = {0};

	assert_ok(ssh_start(s, words, &run, &err), &err);
	assert_true(fd_read_some(ssh_run_out(run), got, 99, CLOCK_NEVER, &err) > 0);
	assert_string_equal(got, "receive base tank:web / from=a");
	assert_ok(ssh_run_wait(run, CLOCK_NEVER, &err), &err);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const char *w[] = {"receive", bad[i], NULL};

		assert_fails(ssh_start(s, w, &no, &err), ERR_INVALID, &err);
	}
	for (int i = 0; i < 18; i++)
		many[i] = "a";
	assert_fails(ssh_start(s, option, &no, &err), ERR_INVALID, &err);
	assert_fails(ssh_start(s, none, &no, &err), ERR_INVALID, &err);
	assert_fails(ssh_start(s, many, &no, &err), ERR_INVALID, &err);
}

static void test_failures_there(void **state)
{
	_cleanup_ssh_ struct ssh *s = sshd_open(0);
	_cleanup_ssh_run_ struct ssh_run *failing = start(s, "fail"),
					 *chatter = start(s, "chatter"),
					 *sleeper = start(s, "sleep"), *dying = start(s, "die"),
					 *fine = NULL;
	struct err err = ERR_INIT;

	assert_int_equal(ssh_run_wait(failing, CLOCK_NEVER, &err), -ERR_PROTOCOL);
	assert_has(err.text, "not today");
	assert_ok(ssh_run_wait(chatter, CLOCK_NEVER, &err), &err);
	assert_fails(ssh_run_wait(sleeper, clock_deadline(1000), &err), ERR_TIMEOUT, &err);
	assert_fails(ssh_run_wait(dying, CLOCK_NEVER, &err), ERR_UNREACHABLE, &err);
	fine = start(s, "echo"); /* the connection goes on */
	assert_ok(ssh_run_wait(fine, CLOCK_NEVER, &err), &err);
}

/* More on stderr than is kept: that peer is stuck, we are not, and others on the connection
 * neither. */
static void test_stderr_flood(void **state)
{
	_cleanup_ssh_ struct ssh *s = sshd_open(0);
	_cleanup_ssh_run_ struct ssh_run *flood = start(s, "flood"), *fine = NULL;
	struct err err = ERR_INIT;

	assert_fails(ssh_run_wait(flood, clock_deadline(USEC_PER_SEC), &err), ERR_TIMEOUT, &err);
	fine = start(s, "echo");
	assert_ok(ssh_run_wait(fine, CLOCK_NEVER, &err), &err);
}

static void test_cut(void **state)
{
	_cleanup_ssh_ struct ssh *s = sshd_open(0);
	_cleanup_ssh_run_ struct ssh_run *sleeper = start(s, "sleep"), *run = start(s, "cut"),
					 *no = NULL;
	const char *words[] = {"echo", NULL};
	struct err err = ERR_INIT;
	char c;

	assert_int_equal(fd_read_some(ssh_run_out(sleeper), &c, 1, CLOCK_NEVER, &err), 0);
	assert_fails(ssh_run_wait(run, CLOCK_NEVER, &err), ERR_UNREACHABLE, &err);
	assert_fails(ssh_run_wait(sleeper, CLOCK_NEVER, &err), ERR_UNREACHABLE, &err);
	assert_fails(ssh_start(s, words, &no, &err), ERR_UNREACHABLE, &err);
}

static void test_black_hole(void **state)
{
	_cleanup_ssh_ struct ssh *s = sshd_open(USEC_PER_SEC);
	_cleanup_ssh_run_ struct ssh_run *run = start(s, "stop");
	struct err err = ERR_INIT;
	char c;

	assert_int_equal(fd_read_some(ssh_run_out(run), &c, 1, CLOCK_NEVER, &err), 0);
	assert_int_equal(ssh_run_wait(run, CLOCK_NEVER, &err), -ERR_UNREACHABLE);
	assert_has(err.text, "does not answer any more");
	sshd_kill_left();
}

static size_t count_sockets(void)
{
	_cleanup_free_ char *path = SSHD_PATH("run/ssh");
	_cleanup_closedir_ DIR *d = opendir(path);
	size_t n = 0;

	for (struct dirent *e; d && (e = readdir(d));)
		n += e->d_name[0] != '.';
	return n;
}

/* Nothing of us is left, neither after closing nor, at the next opening, after a kill. */
static void test_leftovers(void **state)
{
	struct err err = ERR_INIT;
	struct ssh *s = NULL;
	pid_t pid = proc_fork(&err);
	siginfo_t info;

	assert_ok(pid, &err);
	if (pid == 0) {
		struct ssh_target t = sshd_target();

		if (ssh_open(&t, &s, &err) < 0)
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED), 0);
	assert_int_equal(info.si_code, CLD_KILLED);
	assert_int_equal(count_sockets(), 1);
	s = sshd_open(0);
	assert_int_equal(count_sockets(), 1);
	ssh_close(s);
	assert_int_equal(count_sockets(), 0);
}

/* A client that finds no master does not go its own way. */
static void test_no_master(void **state)
{
	_cleanup_ssh_ struct ssh *s = sshd_open(0);
	_cleanup_free_ char *socket = xasprintf("%s/run/ssh", sshd.dir);
	_cleanup_ssh_run_ struct ssh_run *run = NULL;
	struct err err = ERR_INIT;

	assert_int_equal(count_sockets(), 1);
	unit_tmp_free(TAKE_PTR(socket));
	run = start(s, "echo");
	assert_int_equal(ssh_run_wait(run, CLOCK_NEVER, &err), -ERR_UNREACHABLE);
	assert_has(err.text, "was lost");
}

static void test_long_run_dir(void **state)
{
	_cleanup_free_ char *run = SSHD_PATH("run"), *longer = NULL;
	struct ssh_target t = sshd_target();
	struct ssh *s = NULL;
	struct err err = ERR_INIT;

	longer = xasprintf("%s/%080d", run, 7);
	setenv("WHERRY_RUN_DIR", longer, 1);
	assert_fails(ssh_open(&t, &s, &err), ERR_INVALID, &err);
	setenv("WHERRY_RUN_DIR", run, 1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_unknown_host_key),
		cmocka_unit_test(test_changed_host_key),
		cmocka_unit_test(test_unauthorised_key),
		cmocka_unit_test(test_bad_targets),
		cmocka_unit_test(test_silent_host),
		cmocka_unit_test(test_echo),
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_failures_there),
		cmocka_unit_test(test_stderr_flood),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_black_hole),
		cmocka_unit_test(test_leftovers),
		cmocka_unit_test(test_no_master),
		cmocka_unit_test(test_long_run_dir),
	};

	if (argc > 1)
		return sshd_serving(), serve(getenv("SSH_ORIGINAL_COMMAND"));
	return cmocka_run_group_tests_name("ssh", tests, sshd_setup, sshd_teardown);
}
