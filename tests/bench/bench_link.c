/*
 * What link/ costs: frames over ssh against the same bytes through a plain ssh, and a verb. Run by
 * `meson test --benchmark` on a quiet machine; numbers for people, nothing is judged.
 */
#include "sshd.h"

#include <sys/resource.h>

#include "base/fd.h"
#include "link/verbs.h"

#define BLOCK  (4u << 20)
#define BLOCKS 256u
#define ROUNDS 3
#define CALLS  200

static int serve(const char *command)
{
	_cleanup_free_ char *buf = xmalloc(BLOCK);
	_cleanup_strv_ char **words = NULL;
	_cleanup_verb_ struct verb *v = NULL;
	struct err err = ERR_INIT;
	struct stream *s;

	if (str_eq(command, "sink")) {
		while (read(0, buf, 256 << 10) > 0)
			;
		return 0;
	}
	if (verb_parse(command, &words, &err) < 0)
		return 1;
	v = verb_serve_new(dup(0), dup(1), VERB_IDLE);
	if (!words[1])
		return verb_serve_ok(v, NULL, &err);
	s = verb_stream(v, NULL);
	if (verb_serve_ready(v, NULL, &err) < 0)
		return 1;
	while (stream_read(s, buf, BLOCK, &err) > 0)
		if (stream_ack(s, s->n_read, false, &err) < 0)
			return 1;
	return verb_serve_ok(v, NULL, &err);
}

static double seconds_since(usec_t begin)
{
	return (double)(clock_now() - begin) / (double)USEC_PER_SEC;
}

static char *content(bool dull)
{
	char *buf = xmalloc(BLOCK);
	uint64_t x = 88172645463325252u;

	for (size_t i = 0; i < BLOCK; i++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		buf[i] = dull ? "etaoin shrdlu"[x % 13] : (char)x;
	}
	return buf;
}

static double plain(struct ssh *ssh, const char *buf)
{
	const char *words[] = {"sink", NULL};
	_cleanup_ssh_run_ struct ssh_run *run = NULL;
	struct err err = ERR_INIT;
	usec_t begin = clock_now();

	assert_ok(ssh_start(ssh, words, &run, &err), &err);
	fd_unblock_pipe(ssh_run_in(run));
	for (unsigned i = 0; i < BLOCKS; i++)
		assert_ok(fd_write_all(ssh_run_in(run), buf, BLOCK, CLOCK_NEVER, &err), &err);
	assert_ok(ssh_run_wait(run, CLOCK_NEVER, &err), &err);
	return seconds_since(begin);
}

static double frames(struct ssh *ssh, const char *buf, int level)
{
	const char *words[] = {"receive", "base", "x", "y", NULL};
	_cleanup_verb_ struct verb *v = NULL;
	struct frame_opts o = {.zstd_level = level};
	struct err err = ERR_INIT;
	usec_t begin = clock_now();
	struct stream *s;

	assert_ok(verb_start(ssh, words, &v, &err), &err);
	assert_ok(verb_ready(v, NULL, &err), &err);
	s = verb_stream(v, &o);
	for (unsigned i = 0; i < BLOCKS; i++)
		assert_ok(stream_write(s, buf, BLOCK, &err), &err);
	assert_ok(stream_end(s, &err), &err);
	assert_ok(verb_finish(v, NULL, &err), &err);
	return seconds_since(begin);
}

static double cpu(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static double cpu_before;

static void say(const char *what, double sec)
{
	printf("%-44s %6.0f MB/s, %.2f s of CPU here\n", what, (double)BLOCK * BLOCKS / sec / 1e6,
		cpu() - cpu_before);
	fflush(stdout);
	cpu_before = cpu();
}

static void bench_streams(void **state)
{
	_cleanup_ssh_ struct ssh *ssh = sshd_open(0);
	_cleanup_free_ char *noise = content(false), *text = content(true);

	for (int i = 0; i < ROUNDS; i++) {
		say("plain ssh", plain(ssh, noise));
		say("frames, no compression", frames(ssh, noise, 0));
		say("frames, adaptive, incompressible", frames(ssh, noise, -1));
		say("frames, adaptive, compressible to a half", frames(ssh, text, -1));
	}
}

static void bench_calls(void **state)
{
	const char *words[] = {"receive", "hello", NULL};
	struct err err = ERR_INIT;
	usec_t begin = clock_now();
	_cleanup_ssh_ struct ssh *ssh = sshd_open(0);

	printf("%-44s %6.1f ms\n", "connection", seconds_since(begin) * 1000);
	begin = clock_now();
	for (int i = 0; i < CALLS; i++)
		assert_ok(verb_call(ssh, words, NULL, NULL, &err), &err);
	printf("%-44s %6.1f ms\n", "verb", seconds_since(begin) * 1000 / CALLS);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bench_calls),
		cmocka_unit_test(bench_streams),
	};

	if (argc > 1)
		return sshd_serving(), serve(getenv("SSH_ORIGINAL_COMMAND"));
	return cmocka_run_group_tests_name("link", tests, sshd_setup, sshd_teardown);
}
