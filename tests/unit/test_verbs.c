#include "sshd.h"

#include "link/verbs.h"

#define TOKEN "0123456789012345678901234567890123456789"

/* The answering node: "receive VERB BEHAVIOUR ...". */

static int refuse(struct verb *v, enum err_code code, const char *text)
{
	struct err what = ERR_INIT, err = ERR_INIT;

	err_set(&what, code, "%s", text);
	return verb_serve_error(v, &what, &err);
}

static int serve_stream(struct verb *v, bool full)
{
	struct stream *s = verb_stream(v, NULL);
	char buf[100000];
	struct err err = ERR_INIT;
	ssize_t n;

	if (verb_serve_ready(v, json_pack("{s:i}", "offset", 7), &err) < 0)
		return 1;
	while ((n = stream_read(s, buf, sizeof(buf), &err)) > 0) {
		if (stream_ack(s, s->n_read, true, &err) < 0)
			return 1;
		if (full && s->n_read > 1000000)
			return refuse(v, ERR_NO_SPACE, "the pool is full");
	}
	if (n < 0)
		return refuse(v, err.code, err.text);
	return verb_serve_ok(v, json_pack("{s:I}", "bytes", (json_int_t)s->n_read), &err);
}

static int serve_dialogue(struct verb *v)
{
	struct err err = ERR_INIT;
	const char *answer = "prepared";

	for (int i = 0; i < 2; i++) {
		_cleanup_json_ json_t *line = NULL;

		if (verb_recv_line(v, 60 * USEC_PER_SEC, &line, &err) < 0)
			return 1;
		answer = json_object_get(line, "prepare") ? "prepared" : "ok";
		if (verb_serve_wait(v, "starting", &err) < 0)
			return 1;
		if (str_eq(answer, "ok"))
			return verb_serve_ok(v, json_pack("{s:s}", "state", "owner"), &err);
		if (verb_send_line(v, json_pack("{s:{s:i}}", "prepared", "epoch", 3), &err) < 0)
			return 1;
	}
	return 1;
}

static void misbehave(const char *how)
{
	if (str_eq(how, "garbage"))
		printf("Welcome to this machine!\n");
	else if (str_eq(how, "half"))
		printf("{\"ok\":{");
	else if (str_eq(how, "other"))
		printf("{\"prepared\":{}}\n");
	else if (str_eq(how, "two"))
		printf("{\"ok\":{},\"error\":{}}\n");
	else if (str_eq(how, "extra"))
		printf("{\"ok\":{},\"more\":{}}\n");
	else if (str_eq(how, "word"))
		printf("{\"ok\":7}\n");
	else if (str_eq(how, "huge"))
		printf("%0200000d", 7);
	else if (str_eq(how, "stderr"))
		fprintf(stderr, "bash: wherry-receive: command not found\n"), exit(127);
	else if (str_eq(how, "die"))
		kill(getpid(), SIGKILL);
	else if (str_eq(how, "cut"))
		kill(sshd_session(), SIGKILL);
	else if (str_eq(how, "stop"))
		sshd_note_pid(sshd_session()), kill(sshd_session(), SIGSTOP), alarm(30), pause();
	else if (str_eq(how, "silent"))
		alarm(30), pause();
	else if (str_eq(how, "waits"))
		for (;;)
			printf("{\"wait\":{}}\n");
}

static int serve(const char *command)
{
	_cleanup_strv_ char **words = NULL;
	_cleanup_verb_ struct verb *v = NULL;
	_cleanup_json_ json_t *line = NULL;
	struct err err = ERR_INIT;
	const char *how;

	if (verb_parse(command, &words, &err) < 0)
		return fprintf(stderr, "%s\n", err.text), 2;
	how = words[1] ? words[1] : "";
	v = verb_serve_new(dup(0), dup(1), 60 * USEC_PER_SEC);
	if (str_eq(how, "refuse"))
		return refuse(v, ERR_DENIED, "this key may not\nsend that");
	if (str_eq(how, "good") && str_eq(words[0], "transfer"))
		return serve_dialogue(v);
	if (str_eq(how, "good") || str_eq(how, "full"))
		return serve_stream(v, how[0] == 'f');
	if (str_eq(words[0], "skel") && verb_recv_line(v, CLOCK_NEVER, &line, &err) < 0)
		return 1;
	if (str_eq(words[0], "skel"))
		return verb_serve_ok(v, json_pack("{s:s}", "ct", json_get_str(line, "ct")), &err);
	if (str_eq(words[0], "hello"))
		return verb_serve_ok(v, NULL, &err);
	misbehave(how);
	return 0;
}

/* Words */

static void test_parse(void **state)
{
	static const struct {
		const char *command, *words;
	} good[] = {
		{"receive hello", "hello"},
		{"receive skel", "skel"},
		{"receive skel -", "skel|-"},
		{"  receive   base  " TOKEN "  /  @daily ", "base|" TOKEN "|/|@daily"},
		{"receive incremental tank:web rootfs s2 from=s1 final",
			"incremental|tank:web|rootfs|s2|from=s1|final"},
		{"receive transfer tank:web start", "transfer|tank:web|start"},
		{"receive cleanup " TOKEN, "cleanup|" TOKEN},
	};
	static const char *const bad[] = {NULL, "", " ", "receive", "skel", "receive  ",
		"receive nothing", "receive hello x", "receive base", "receive base a",
		"receive base a b c d e f", "receive cancel", "receive cancel a b", "sh -c x",
		"receive\thello", "receive hello\n", "receive skel a;b", "receive skel $(id)",
		"receive skel 'a'", "receive skel \xc3\xa9", "Receive hello", "receive Hello",
		"receive status a\x01"};
	_cleanup_free_ char *longer = xasprintf("receive skel %0300d", 7);
	_cleanup_free_ char *blanks = xasprintf("receive hello%5000s", "");
	char **words = NULL;
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		_cleanup_strv_ char **v = NULL;
		_cleanup_free_ char *joined = NULL;

		assert_ok(verb_parse(good[i].command, &v, &err), &err);
		joined = str_join(v, "|");
		assert_string_equal(joined, good[i].words);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_row(verb_parse(bad[i], &words, &err) == -ERR_INVALID, bad[i] ? bad[i] : "-");
	assert_fails(verb_parse(longer, &words, &err), ERR_INVALID, &err);
	assert_fails(verb_parse(blanks, &words, &err), ERR_INVALID, &err);
	assert_null(words);
}

static void test_usage(void **state)
{
	static const char *const documented =
		"Usage:\n"
		"  receive skel [pool]\n"
		"  receive base [pool:]<id> <dataset> [snapshot]\n"
		"  receive incremental [pool:]<id> <dataset> [snapshot]\n"
		"  receive transfer [pool:]<id> [start]\n"
		"  receive cancel [pool:]<id>\n";
	_cleanup_free_ char *usage = verb_usage();

	assert_true(str_starts(usage, documented));
	assert_true(str_ends(usage, "  receive hello\n"));
}

/* Asking, over a real connection */

static struct ssh *ssh;

static int open_ssh(void **state)
{
	ssh = sshd_open(USEC_PER_SEC);
	return 0;
}

static int close_ssh(void **state)
{
	ssh_close(ssh);
	return 0;
}

static int call(const char *verb, const char *how, json_t *input, json_t **ret, struct err *err)
{
	const char *words[] = {"receive", verb, how, NULL};

	return verb_call(ssh, words, input, ret, err);
}

static void test_call(void **state)
{
	_cleanup_json_ json_t *ok = NULL, *skel = NULL;
	struct err err = ERR_INIT;

	assert_ok(call("hello", NULL, NULL, &ok, &err), &err);
	assert_true(json_is_object(ok));
	assert_ok(call("skel", NULL, json_pack("{s:s}", "ct", "web"), &skel, &err), &err);
	assert_string_equal(json_get_str(skel, "ct"), "web");
	assert_ok(call("hello", NULL, NULL, NULL, &err), &err);
	assert_fails(call("nothing", NULL, NULL, NULL, &err), ERR_INVALID, &err);
	assert_fails(call("base", "a", NULL, NULL, &err), ERR_INVALID, &err);
}

static struct verb *start(const char *verb, const char *how, const char *volume)
{
	const char *words[] = {"receive", verb, how, volume, NULL};
	struct verb *v = NULL;
	struct err err = ERR_INIT;

	assert_ok(verb_start(ssh, words, &v, &err), &err);
	return v;
}

static void test_stream(void **state)
{
	enum { N = 30 };
	_cleanup_verb_ struct verb *v = start("base", "good", "rootfs");
	_cleanup_json_ json_t *ready = NULL, *ok = NULL;
	_cleanup_free_ char *buf = xcalloc(1, 100000);
	uint64_t applied = 0, synced = 0;
	struct err err = ERR_INIT;
	struct stream *s;

	assert_ok(verb_ready(v, &ready, &err), &err);
	assert_int_equal(json_get_u64(ready, "offset", 0), 7);
	s = verb_stream(v, NULL);
	assert_ptr_equal(s, verb_stream(v, NULL));
	for (int i = 0; i < N; i++)
		assert_ok(stream_write(s, buf, 100000, &err), &err);
	assert_ok(stream_end(s, &err), &err);
	assert_false(verb_answered(v));
	assert_ok(verb_finish(v, &ok, &err), &err);
	assert_true(verb_answered(v));
	assert_int_equal(json_get_u64(ok, "bytes", 0), N * 100000);
	assert_ok(stream_acked(s, &applied, &synced, &err), &err);
	assert_int_equal(synced, N * 100000);
}

static int write_for_ever(struct verb *v, struct err *err)
{
	static const char buf[65536];
	struct stream *s = verb_stream(v, &(struct frame_opts){.zstd_level = 0});
	int r = 0;

	while (r >= 0)
		r = stream_write(s, buf, sizeof(buf), err);
	return r;
}

/* The reason comes from there, not from the pipe. */
static void test_stream_refused(void **state)
{
	_cleanup_verb_ struct verb *v = start("base", "full", "rootfs");
	struct err err = ERR_INIT;

	assert_ok(verb_ready(v, NULL, &err), &err);
	assert_int_equal(write_for_ever(v, &err), -ERR_NO_SPACE);
	assert_string_equal(err.text, "127.0.0.1: the pool is full");
}

static void test_stream_cut(void **state)
{
	_cleanup_verb_ struct verb *v = start("base", "good", "rootfs"), *cut = NULL;
	struct err err = ERR_INIT;

	assert_ok(verb_ready(v, NULL, &err), &err);
	cut = start("cancel", "cut", NULL);
	assert_int_equal(write_for_ever(v, &err), -ERR_UNREACHABLE);
	assert_has(err.text, "127.0.0.1");
	assert_fails(verb_finish(cut, NULL, &err), ERR_UNKNOWN, &err);
	assert_fails(call("hello", NULL, NULL, NULL, &err), ERR_UNREACHABLE, &err);
}

static void test_stream_black_hole(void **state)
{
	_cleanup_verb_ struct verb *v = start("base", "good", "rootfs"), *stop = NULL;
	struct err err = ERR_INIT;

	assert_ok(verb_ready(v, NULL, &err), &err);
	stop = start("cancel", "stop", NULL);
	assert_int_equal(write_for_ever(v, &err), -ERR_UNREACHABLE);
	assert_has(err.text, "does not answer any more");
	sshd_kill_left();
}

static void test_dialogue(void **state)
{
	_cleanup_verb_ struct verb *v = start("transfer", "good", NULL);
	_cleanup_json_ json_t *prepared = NULL, *ok = NULL;
	struct err err = ERR_INIT;

	assert_ok(verb_send_line(v, json_pack("{s:{}}", "prepare"), &err), &err);
	assert_ok(verb_recv_line(v, 60 * USEC_PER_SEC, &prepared, &err), &err);
	assert_int_equal(json_get_u64(json_object_get(prepared, "prepared"), "epoch", 0), 3);
	assert_ok(verb_send_line(v, json_pack("{s:{}}", "commit"), &err), &err);
	assert_ok(verb_finish(v, &ok, &err), &err);
	assert_string_equal(json_get_str(ok, "state"), "owner");
}

/* Whatever is no answer leaves the outcome unknown; an error that was answered does not. */
static void test_lies(void **state)
{
	static const struct {
		const char *how;
		enum err_code changing, asking;
		const char *text;
	} rows[] = {
		{"refuse", ERR_DENIED, ERR_DENIED, "127.0.0.1: this key may not send that"},
		{"garbage", ERR_UNKNOWN, ERR_PROTOCOL, "Welcome"},
		{"half", ERR_UNKNOWN, ERR_UNREACHABLE, "without an answer"},
		{"", ERR_UNKNOWN, ERR_UNREACHABLE, "without an answer"},
		{"other", ERR_UNKNOWN, ERR_PROTOCOL, "expected"},
		{"two", ERR_INTERNAL, ERR_INTERNAL, "127.0.0.1"},
		{"extra", ERR_UNKNOWN, ERR_PROTOCOL, "expected"},
		{"word", ERR_UNKNOWN, ERR_PROTOCOL, "expected"},
		{"huge", ERR_UNKNOWN, ERR_PROTOCOL, "longer than"},
		{"stderr", ERR_UNKNOWN, ERR_PROTOCOL, "command not found"},
		{"die", ERR_UNKNOWN, ERR_UNREACHABLE, "lost"},
		{"waits", ERR_UNKNOWN, ERR_PROTOCOL, "wait"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *how = rows[i].how[0] ? rows[i].how : "nothing";
		struct err err = ERR_INIT;

		assert_row(call("cancel", how, NULL, NULL, &err) == -(int)rows[i].changing, how);
		assert_row(strstr(err.text, rows[i].text), err.text);
		assert_row(call("status", how, NULL, NULL, &err) == -(int)rows[i].asking, err.text);
		assert_row(strstr(err.text, rows[i].text), err.text);
	}
}

static void test_silence(void **state)
{
	_cleanup_verb_ struct verb *v = start("transfer", "silent", NULL),
				   *status = start("status", "silent", NULL);
	json_t *line = NULL;
	struct err err = ERR_INIT;

	assert_fails(verb_recv_line(v, 1000, &line, &err), ERR_UNKNOWN, &err);
	assert_fails(verb_recv_line(status, 1000, &line, &err), ERR_TIMEOUT, &err);
}

/* It refuses before it has read what we say. */
static void test_refused_input(void **state)
{
	struct err err = ERR_INIT;

	for (int i = 0; i < 20; i++) {
		json_t *line = json_pack("{s:s}", "ct", "web");

		assert_int_equal(call("skel", "refuse", line, NULL, &err), -ERR_DENIED);
	}
}

/* Answering, without ssh */

static void test_serving(void **state)
{
	int sv[2];
	struct verb *v;
	json_t *line = NULL;
	struct err err = ERR_INIT;
	char got[256] = {0};

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	v = verb_serve_new(sv[0], dup(sv[0]), 1000);
	assert_int_equal(write(sv[1], "{\"commit\":{}}\nx\n", 16), 16);
	assert_ok(verb_recv_line(v, 1000, &line, &err), &err);
	assert_non_null(json_object_get(line, "commit"));
	assert_fails(verb_recv_line(v, 1000, &line, &err), ERR_PROTOCOL, &err);
	assert_fails(verb_recv_line(v, 1000, &line, &err), ERR_TIMEOUT, &err);
	json_decref(line);
	assert_ok(verb_serve_ready(v, NULL, &err), &err);
	assert_ok(verb_serve_ok(v, NULL, &err), &err);
	assert_true(read(sv[1], got, sizeof(got) - 1) > 0);
	assert_string_equal(got, "{\"ready\":{}}\n{\"ok\":{}}\n");
	close(sv[1]);
	assert_fails(verb_recv_line(v, 1000, &line, &err), ERR_UNREACHABLE, &err);
	assert_fails(verb_serve_ok(v, NULL, &err), ERR_UNREACHABLE, &err);
	verb_free(v);
}

/* Acknowledgements that found no room go before the answer, the newest at least. */
static void test_answer_after_acks(void **state)
{
	enum { N = 60000 };
	_cleanup_free_ char *got = xcalloc(1, N);
	struct stream *s;
	struct lines l;
	struct err err = ERR_INIT;
	struct verb *v;
	uint64_t acked = 0;
	json_t *line = NULL;
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	l = (struct lines)LINES_INIT(sv[1]);
	s = frame_writer_new(-1, sv[1], &(struct frame_opts){0});
	v = verb_serve_new(sv[0], dup(sv[0]), 10 * USEC_PER_MSEC);
	assert_ok(stream_write(s, got, N, &err), &err);
	assert_ok(stream_end(s, &err), &err);
	assert_ok(stream_read_full(verb_stream(v, NULL), got, N, &err), &err);
	for (uint64_t i = 1; i <= N; i++)
		assert_ok(stream_ack(verb_stream(v, NULL), i, true, &err), &err);
	assert_fails(verb_serve_ok(v, NULL, &err), ERR_TIMEOUT, &err); /* nobody reads */
	while (lines_try(&l, &line, &err) > 0) {
		acked = json_get_u64(line, "ack", 0);
		json_decref(line);
	}
	assert_true(acked > 0 && acked < N);
	assert_ok(verb_serve_ok(v, NULL, &err), &err);
	while (lines_try(&l, &line, &err) > 0 && !json_object_get(line, "ok")) {
		acked = json_get_u64(line, "ack", 0);
		json_decref(line);
	}
	assert_int_equal(acked, N);
	assert_non_null(json_object_get(line, "ok"));
	json_decref(line);
	lines_done(&l);
	stream_free(s);
	verb_free(v);
	close(sv[1]);
}

/* The lines as they come, whole, to the first that is no wait, or NULL; *ret counts those. */
static char *lines_until_answer(int fd, int *ret)
{
	FILE *f = fdopen(dup(fd), "r");
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;

	for (*ret = 0; (n = getline(&line, &cap, f)) > 0 && strstr(line, "\"wait\""); ++*ret)
		assert_string_equal(line, "{\"wait\":{\"text\":\"starting\"}}\n");
	fclose(f);
	if (n > 0)
		return line;
	free(line);
	return NULL;
}

static void test_waiting(void **state)
{
	int in[2], out[2], n = 0;
	struct err err = ERR_INIT;
	struct verb *v;
	static const char wait[] = "{\"wait\":{\"text\":\"starting\"}}\n";
	const ssize_t len = sizeof(wait) - 1;
	char line[64], *last;

	assert_int_equal(pipe(in) | pipe(out), 0);
	v = verb_serve_new(in[0], out[1], 60 * USEC_PER_SEC);
	assert_ok(verb_serve_waiting(v, "starting", 10 * USEC_PER_MSEC, &err), &err);
	/* This process is busy, here with reading them. */
	for (int i = 0; i < 3; i++) {
		assert_int_equal(read(out[0], line, len), len);
		assert_memory_equal(line, wait, len);
	}
	assert_ok(verb_serve_ok(v, json_pack("{s:s}", "state", "owner"), &err), &err);
	last = lines_until_answer(out[0], &n);
	assert_string_equal(last, "{\"ok\":{\"state\":\"owner\"}}\n");
	free(last);
	/* Ended without an answer: nobody says anything any more. */
	assert_ok(verb_serve_waiting(v, "starting", 10 * USEC_PER_MSEC, &err), &err);
	verb_free(v);
	last = lines_until_answer(out[0], &n);
	assert_null(last);
	close(in[1]);
	close(out[0]);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_usage),
		cmocka_unit_test(test_serving),
		cmocka_unit_test(test_answer_after_acks),
		cmocka_unit_test_setup_teardown(test_call, open_ssh, close_ssh),
		cmocka_unit_test_setup_teardown(test_stream, open_ssh, close_ssh),
		cmocka_unit_test_setup_teardown(test_stream_refused, open_ssh, close_ssh),
		cmocka_unit_test_setup_teardown(test_stream_cut, open_ssh, close_ssh),
		cmocka_unit_test_setup_teardown(test_stream_black_hole, open_ssh, close_ssh),
		cmocka_unit_test_setup_teardown(test_dialogue, open_ssh, close_ssh),
		cmocka_unit_test_setup_teardown(test_lies, open_ssh, close_ssh),
		cmocka_unit_test_setup_teardown(test_silence, open_ssh, close_ssh),
		cmocka_unit_test(test_waiting),
		cmocka_unit_test_setup_teardown(test_refused_input, open_ssh, close_ssh),
	};

	if (argc > 1)
		return sshd_serving(), serve(getenv("SSH_ORIGINAL_COMMAND"));
	return cmocka_run_group_tests_name("verbs", tests, sshd_setup, sshd_teardown);
}
