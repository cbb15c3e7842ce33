#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <zstd.h>

#include "base/cancel.h"
#include "base/fd.h"
#include "base/str.h"
#include "link/frame.h"
#include "link/frame_wire.h"

#define QUICK (20 * USEC_PER_MSEC)

/* Data runs from ours to theirs, lines back: one socket, or two pipes. */
static int our_in, our_out, their_in, their_out;

static void open_pair(bool pipes)
{
	int a[2], b[2];

	if (pipes) {
		assert_int_equal(pipe2(a, O_CLOEXEC) | pipe2(b, O_CLOEXEC), 0);
		our_in = b[0], our_out = a[1], their_in = a[0], their_out = b[1];
		return;
	}
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, a), 0);
	our_in = our_out = a[0];
	their_in = their_out = a[1];
}

static void close_ours(void)
{
	close(our_out);
	if (our_in != our_out)
		close(our_in);
}

static void close_theirs(void)
{
	close(their_out);
	if (their_in != their_out)
		close(their_in);
}

static int make(void **state)
{
	open_pair(*state != NULL);
	return 0;
}

static int drop(void **state)
{
	close_ours();
	close_theirs();
	return 0;
}

static struct stream *writer(const struct frame_opts *o)
{
	return frame_writer_new(our_in, our_out, o);
}

static struct stream *reader(const struct frame_opts *o)
{
	return frame_reader_new(their_in, their_out, o);
}

static void say(const char *text)
{
	assert_int_equal(write(their_out, text, strlen(text)), strlen(text));
}

/* Both ways, all levels, all sizes */

struct content {
	char *bytes;
	size_t n;
};

static struct content content_of(size_t n, bool dull)
{
	struct content c = {xmalloc(n), n};
	uint64_t x = 88172645463325252u;

	for (size_t i = 0; i < n; i++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		c.bytes[i] = dull ? "ab"[x % 17 == 0] : (char)x;
	}
	return c;
}

struct sending {
	const struct content *c;
	struct frame_opts o;
	struct err err;
	int r;
	uint64_t wire, applied, synced;
	struct digest128 digest;
};

/* In pieces of sizes that meet every edge. */
static int send_pieces(struct stream *s, const struct content *c, struct err *err)
{
	size_t at = 0, size = 1;

	while (at < c->n) {
		size_t k = MIN(size, c->n - at);
		int r = stream_write(s, c->bytes + at, k, err);

		if (r < 0)
			return r;
		at += k;
		size = size > (1 << 20) ? 1 : size * 3 + 1;
	}
	return 0;
}

static void *send_thread(void *arg)
{
	struct sending *x = arg;
	_cleanup_stream_ struct stream *s = writer(&x->o);
	json_t *answer = NULL;

	x->r = send_pieces(s, x->c, &x->err);
	if (x->r >= 0)
		x->r = stream_end(s, &x->err);
	if (x->r >= 0)
		x->r = frame_await(s, CLOCK_NEVER, &answer, &x->err);
	if (x->r > 0 && !json_object_get(answer, "ok"))
		x->r = -1;
	json_decref(answer);
	if (x->r >= 0)
		x->r = stream_acked(s, &x->applied, &x->synced, &x->err);
	x->wire = frame_wire_bytes(s);
	x->digest = frame_digest(s);
	return NULL;
}

/* Returns the bytes on the wire. */
static uint64_t round_trip(const struct content *c, int level)
{
	struct sending x = {.c = c, .o = {.zstd_level = level}, .err = ERR_INIT};
	_cleanup_stream_ struct stream *s = reader(&(struct frame_opts){0});
	_cleanup_free_ char *got = xmalloc(c->n + 1);
	struct digest128 digest;
	struct err err = ERR_INIT;
	size_t at = 0;
	pthread_t t;

	pthread_create(&t, NULL, send_thread, &x);
	for (;;) {
		size_t room = at % 3 ? 70000 : 2 << 20; /* some pieces fit, some do not */
		ssize_t k = stream_read(s, got + at, MIN(room, c->n + 1 - at), &err);

		assert_ok(k, &err);
		if (k == 0)
			break;
		at += (size_t)k;
		assert_ok(stream_ack(s, at, at % 2, &err), &err);
	}
	assert_ok(stream_ack(s, at, true, &err), &err);
	assert_ok(stream_flush(s, &err), &err);
	say("{\"ok\":{}}\n");
	pthread_join(t, NULL);
	assert_ok(x.r, &x.err);
	assert_int_equal(at, c->n);
	assert_memory_equal(got, c->bytes, c->n);
	assert_int_equal(x.applied, c->n);
	assert_int_equal(x.synced, c->n);
	assert_int_equal(x.wire, frame_wire_bytes(s));
	digest = frame_digest(s);
	assert_memory_equal(&digest, &x.digest, sizeof(digest));
	assert_int_equal(stream_read(s, got, 1, &err), 0); /* still the end */
	return x.wire;
}

static void test_round_trips(void **state)
{
	struct content empty = content_of(0, false), noise = content_of(9 << 20, false);
	struct content dull = content_of(9 << 20, true);
	uint64_t plain;

	assert_true(round_trip(&empty, 0) > 0);
	plain = round_trip(&noise, 0);
	assert_true(plain < noise.n + noise.n / 1000);
	assert_int_equal(round_trip(&noise, 3), plain); /* not made larger */
	assert_true(round_trip(&dull, 1) < dull.n / 4);
	round_trip(&dull, -1);
	free(empty.bytes);
	free(noise.bytes);
	free(dull.bytes);
}

/* A reader that is fed bytes */

static void feed(const void *bytes, size_t n)
{
	assert_int_equal(write(our_out, bytes, n), n);
}

/* All that can be read, at most most bytes; the result of the last read. */
static ssize_t read_all(struct stream *s, char *buf, size_t most, size_t *ret_n, struct err *err)
{
	ssize_t k = 1;

	*ret_n = 0;
	while (k > 0) {
		k = stream_read(s, buf + *ret_n, most - *ret_n, err);
		*ret_n += k > 0 ? (size_t)k : 0;
	}
	return k;
}

/* What a writer puts on the wire for "hello" in two frames. */
static size_t record(unsigned char *wire, size_t cap, int level, const char *text, size_t n)
{
	_cleanup_stream_ struct stream *s = NULL;
	struct err err = ERR_INIT;
	ssize_t k;

	open_pair(false);
	s = frame_writer_new(-1, our_out, &(struct frame_opts){.zstd_level = level});
	assert_ok(stream_write(s, text, n / 2, &err), &err);
	assert_ok(stream_flush(s, &err), &err);
	assert_ok(stream_write(s, text + n / 2, n - n / 2, &err), &err);
	assert_ok(stream_end(s, &err), &err);
	k = read(their_in, wire, cap);
	assert_true(k > 0);
	drop(NULL);
	return (size_t)k;
}

/* Every bit of a stream matters: whatever is flipped, nothing wrong is handed on and it never ends
 * well. */
static void test_flips(void **state)
{
	static const char text[] = "hello hello hello hello hello hello hello hello hello hello";
	unsigned char wire[1024];

	for (int level = 0; level < 2; level++) {
		size_t n = record(wire, sizeof(wire), level, text, sizeof(text));

		for (size_t bit = 0; bit < n * 8; bit++) {
			struct frame_opts o = {.idle = 60 * USEC_PER_SEC};
			struct stream *s;
			struct err err = ERR_INIT;
			char got[sizeof(text) + 10];
			size_t k;

			open_pair(false);
			s = reader(&o);
			wire[bit / 8] ^= (unsigned char)(1 << bit % 8);
			feed(wire, n);
			wire[bit / 8] ^= (unsigned char)(1 << bit % 8);
			close_ours();
			assert_true(read_all(s, got, sizeof(got), &k, &err) < 0);
			assert_true(err.code == ERR_CORRUPT || err.code == ERR_PROTOCOL ||
				    err.code == ERR_UNREACHABLE);
			assert_memory_equal(got, text, k);
			stream_free(s);
			close_theirs();
		}
	}
}

static void test_broken_off(void **state)
{
	static const char text[] = "hello";
	unsigned char wire[256];
	size_t n = record(wire, sizeof(wire), 0, text, sizeof(text));

	for (size_t cut = 0; cut < n; cut++) {
		struct stream *s;
		struct err err = ERR_INIT;
		char got[64];
		size_t k;

		open_pair(cut % 2);
		s = reader(&(struct frame_opts){.peer = "web1"});
		feed(wire, cut);
		close_ours();
		assert_int_equal(read_all(s, got, sizeof(got), &k, &err), -ERR_UNREACHABLE);
		assert_has(err.text, "web1");
		stream_free(s);
		close_theirs();
	}
}

/* Frames that are well formed but not allowed. length 0: of the payload. */
static void put(struct frame_head h, const void *payload, size_t n)
{
	struct frame f;
	unsigned char head[FRAME_HEAD_SIZE], sum[FRAME_DIGEST_SIZE];

	frame_init(&f, NULL, &(struct frame_opts){0});
	h.length = h.length ? h.length : (uint32_t)n;
	frame_put_head(&h, head);
	frame_sum(&f, head, payload, n, sum);
	feed(head, sizeof(head));
	feed(payload, n);
	feed(sum, sizeof(sum));
	frame_done(&f);
}

static void test_bad_frames(void **state)
{
	static const char zeros[FRAME_END_SIZE];
	static const struct {
		struct frame_head h;
		size_t n;
		enum err_code code;
		const char *what;
	} rows[] = {
		{{FRAME_DATA, 0, 0, 0, 1}, 5, ERR_PROTOCOL, "sequence too high"},
		{{FRAME_DATA, 0, 0, 0, UINT32_MAX}, 5, ERR_PROTOCOL, "sequence below 0"},
		{{FRAME_DATA, 0, 0, 0, 0}, 0, ERR_PROTOCOL, "empty"},
		{{FRAME_DATA, 0, 0, FRAME_PAYLOAD_MAX + 1, 0}, 5, ERR_PROTOCOL, "too long"},
		{{FRAME_DATA, 0, 0, UINT32_MAX, 0}, 5, ERR_PROTOCOL, "much too long"},
		{{FRAME_DATA, 0, 1, 0, 0}, 5, ERR_PROTOCOL, "reserved"},
		{{FRAME_DATA, 2, 0, 0, 0}, 5, ERR_PROTOCOL, "unknown flag"},
		{{0, 0, 0, 0, 0}, 5, ERR_PROTOCOL, "type 0"},
		{{4, 0, 0, 0, 0}, 5, ERR_PROTOCOL, "type 4"},
		{{FRAME_STILL, 0, 0, 0, 0}, 5, ERR_PROTOCOL, "still, with something in it"},
		{{FRAME_STILL, 1, 0, 0, 0}, 0, ERR_PROTOCOL, "still, with a flag"},
		{{FRAME_END, 0, 0, 0, 0}, 5, ERR_PROTOCOL, "end of another size"},
		{{FRAME_END, FRAME_ZSTD, 0, 0, 0}, FRAME_END_SIZE, ERR_PROTOCOL, "end, squeezed"},
		{{FRAME_END, 0, 0, 0, 0}, FRAME_END_SIZE, ERR_CORRUPT, "end of something else"},
		{{FRAME_DATA, FRAME_ZSTD, 0, 0, 0}, 5, ERR_CORRUPT, "not zstd"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct stream *s;
		struct err err = ERR_INIT;
		char got[64];
		size_t k;

		open_pair(false);
		s = reader(&(struct frame_opts){.idle = 60 * USEC_PER_SEC});
		put(rows[i].h, zeros, rows[i].n);
		assert_row(read_all(s, got, sizeof(got), &k, &err) == -(int)rows[i].code,
			rows[i].what);
		assert_row(k == 0, rows[i].what);
		stream_free(s);
		drop(state);
	}
}

/* More than a frame may hold, in a few bytes. */
static void test_bomb(void **state)
{
	_cleanup_stream_ struct stream *s = reader(&(struct frame_opts){.idle = USEC_PER_SEC});
	_cleanup_free_ char *zeros = xcalloc(2, FRAME_PAYLOAD_MAX);
	unsigned char small[4096];
	struct frame_head h = {.type = FRAME_DATA, .flags = FRAME_ZSTD};

	size_t n = ZSTD_compress(small, sizeof(small), zeros, FRAME_PAYLOAD_MAX + 1, 1);
	struct err err = ERR_INIT;
	char got[64];

	put(h, small, n);
	assert_fails(stream_read(s, got, sizeof(got), &err), ERR_CORRUPT, &err);
}

static void test_silent_writer(void **state)
{
	_cleanup_stream_ struct stream *s = reader(&(struct frame_opts){.idle = QUICK});
	struct err err = ERR_INIT;
	char c;

	feed("WFRM", 4);
	assert_fails(stream_read(s, &c, 1, &err), ERR_TIMEOUT, &err);
	cancel_install();
	cancel_request();
	assert_fails(stream_read(s, &c, 1, &err), ERR_CANCELLED, &err);
	cancel_reset();
}

/* Nobody takes the acknowledgements: the reader goes on, and the newest arrives in the end. */
static void test_ack_backlog(void **state)
{
	enum { N = 100000 };
	_cleanup_stream_ struct stream *s = reader(&(struct frame_opts){.idle = QUICK});
	_cleanup_stream_ struct stream *w = writer(&(struct frame_opts){0});
	_cleanup_free_ char *buf = xcalloc(N, 1);
	uint64_t applied = 0, synced = 0;
	struct err err = ERR_INIT;

	assert_ok(stream_write(w, buf, N, &err), &err);
	assert_ok(stream_flush(w, &err), &err);
	assert_ok(stream_read_full(s, buf, N, &err), &err);
	for (uint64_t i = 1; i < N; i++)
		assert_ok(stream_ack(s, i, i % 3 == 0, &err), &err);
	assert_fails(stream_ack(s, N + 1, false, &err), ERR_INTERNAL, &err);
	assert_fails(stream_flush(s, &err), ERR_TIMEOUT, &err); /* full */
	while (applied < N - 1) {
		assert_ok(stream_acked(w, &applied, &synced, &err), &err);
		assert_ok(stream_flush(s, &err), &err);
	}
	assert_int_equal(applied, N - 1);
	assert_int_equal(synced, N - 1);
}

/* A writer and a peer that says this and reads nothing: its queue is filled first. */

static int write_until_failure(struct stream *s, struct err *err)
{
	static const char buf[65536];
	int r = 0;

	for (int i = 0; i < 1000 && r >= 0; i++)
		r = stream_write(s, buf, sizeof(buf), err);
	return r;
}

static int lost(void *ctx, struct err *err)
{
	return err_set(err, ERR_UNREACHABLE, "%s", (const char *)ctx);
}

static void test_peers_that_lie(void **state)
{
	static const struct {
		const char *say;
		bool hang_up;
		enum err_code code;
		const char *text;
	} rows[] = {
		{"{\"error\":{\"code\":\"no-space\",\"text\":\"pool full\"}}\n", false,
			ERR_NO_SPACE, "b: pool full"},
		{"{\"error\":{\"code\":\"no-space\",\"text\":\"pool full\"}}\n", true, ERR_NO_SPACE,
			"b: pool full"},
		{"{\"wait\":{}}\n{\"error\":{\"code\":\"none\"}}\n", true, ERR_INTERNAL, "b: "},
		{"", true, ERR_UNREACHABLE, "gone"},
		{"{\"error\":{\"code\":\"no-sp", true, ERR_UNREACHABLE, "gone"},
		{"", false, ERR_TIMEOUT, "b took no data"},
		{"{\"ok\":{}}\n", false, ERR_PROTOCOL, "b answered before"},
		{"{\"ok\":{}}\n", true, ERR_PROTOCOL, "b answered before"},
		{"{}\n", false, ERR_PROTOCOL, "b answered before"},
		{"{\"ack\":1000000000,\"synced\":0}\n", false, ERR_PROTOCOL, "b acknowledged"},
		{"{\"ack\":0,\"synced\":1}\n", false, ERR_PROTOCOL, "b acknowledged"},
		{"{\"ack\":-1,\"synced\":0}\n", false, ERR_PROTOCOL, "b acknowledged"},
		{"{\"ack\":0}\n", false, ERR_PROTOCOL, "b acknowledged"},
		{"garbage\n", false, ERR_PROTOCOL, "garbage"},
		{"garbage\n", true, ERR_PROTOCOL, "garbage"},
	};

	for (int pipes = 0; pipes < 2; pipes++)
		for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
			struct frame_opts o = {
				.idle = QUICK, .peer = "b", .lost = lost, .ctx = (char *)"gone"};
			struct err err = ERR_INIT;
			struct stream *s;

			open_pair(pipes);
			s = writer(&o);
			say(rows[i].say);
			if (rows[i].hang_up)
				close_theirs();
			assert_row(write_until_failure(s, &err) == -(int)rows[i].code, rows[i].say);
			assert_row(strstr(err.text, rows[i].text), err.text);
			assert_fails(stream_end(s, &err), ERR_INTERNAL, &err);
			stream_free(s);
			close_ours();
			if (!rows[i].hang_up)
				close_theirs();
		}
}

struct flood {
	const char *line;
	bool reads;
	bool stop;
};

static void *flood_thread(void *arg)
{
	struct flood *f = arg;
	char sink[65536];

	while (!__atomic_load_n(&f->stop, __ATOMIC_RELAXED)) {
		if (send(their_out, f->line, strlen(f->line), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 &&
			errno != EAGAIN)
			break;
		if (f->reads)
			(void)!recv(their_in, sink, sizeof(sink), MSG_DONTWAIT);
	}
	return NULL;
}

/* Neither does a flood of lines keep the writer busy for ever, nor does it count as progress. */
static void test_floods(void **state)
{
	static const char *const lines[] = {"{\"ack\":0,\"synced\":0}\n", "{\"wait\":{}}\n"};

	for (int i = 0; i < 4; i++) {
		struct frame_opts o = {.idle = 60 * USEC_PER_SEC, .peer = "b"};
		struct flood f = {lines[i / 2], i % 2, false};
		struct err err = ERR_INIT;
		struct stream *s;
		pthread_t t;
		int r = 0;

		open_pair(false);
		s = writer(&o);
		pthread_create(&t, NULL, flood_thread, &f);
		while (r >= 0)
			r = write_until_failure(s, &err);
		assert_fails(r, ERR_PROTOCOL, &err);
		__atomic_store_n(&f.stop, true, __ATOMIC_RELAXED);
		pthread_join(t, NULL);
		stream_free(s);
		drop(state);
	}
}

static void test_oversized_line(void **state)
{
	_cleanup_stream_ struct stream *s = writer(&(struct frame_opts){.idle = USEC_PER_SEC});
	_cleanup_free_ char *big = xmalloc(LINES_MAX + 1);
	struct err err = ERR_INIT;
	uint64_t a, b;
	int r = 0;

	memset(big, 'x', LINES_MAX);
	big[LINES_MAX] = '\0';
	say(big);
	while (r >= 0)
		r = stream_acked(s, &a, &b, &err);
	assert_fails(r, ERR_PROTOCOL, &err);
}

static void *still_thread(void *arg)
{
	struct frame_head h = {.type = FRAME_STILL, .sequence = *(uint32_t *)arg};
	unsigned char wire[FRAME_HEAD_SIZE + FRAME_DIGEST_SIZE];
	struct frame f;

	frame_init(&f, NULL, &(struct frame_opts){0});
	do {
		frame_put_head(&h, wire);
		frame_sum(&f, wire, "", 0, wire + FRAME_HEAD_SIZE);
		h.sequence++;
	} while (send(our_out, wire, sizeof(wire), MSG_NOSIGNAL) > 0);
	frame_done(&f);
	return NULL;
}

/* Frames that say nothing are read over, but not for ever. */
static void test_still(void **state)
{
	_cleanup_stream_ struct stream *s = reader(&(struct frame_opts){0});
	uint32_t sequence = 0;
	struct err err = ERR_INIT;
	char got[8];
	pthread_t t;

	for (; sequence < 3; sequence++)
		put((struct frame_head){FRAME_STILL, .sequence = sequence}, "", 0);
	put((struct frame_head){FRAME_DATA, .sequence = sequence++}, "hello", 5);
	assert_int_equal(stream_read(s, got, sizeof(got), &err), 5);
	assert_memory_equal(got, "hello", 5);
	pthread_create(&t, NULL, still_thread, &sequence);
	assert_fails(stream_read(s, got, sizeof(got), &err), ERR_PROTOCOL, &err);
	shutdown(their_in, SHUT_RDWR);
	pthread_join(t, NULL);
}

/* A writer with nothing to write speaks up, and notices an answer, when it is asked to flush. */
static void test_keep_alive(void **state)
{
	_cleanup_stream_ struct stream *s = writer(
		&(struct frame_opts){.idle = USEC_PER_SEC, .peer = "b"});
	struct err err = ERR_INIT;
	struct frame_head h;
	unsigned char wire[256];

	assert_ok(stream_flush(s, &err), &err);
	usleep(1100000);
	assert_ok(stream_flush(s, &err), &err);
	assert_ok(stream_flush(s, &err), &err);
	assert_int_equal(read(their_in, wire, sizeof(wire)), FRAME_HEAD_SIZE + FRAME_DIGEST_SIZE);
	assert_true(frame_get_head(wire, &h));
	assert_int_equal(h.type, FRAME_STILL);
	say("{\"error\":{\"code\":\"no-space\",\"text\":\"full\"}}\n");
	usleep(1100000);
	assert_fails(stream_flush(s, &err), ERR_NO_SPACE, &err);
}

/* After the end the answer is frame_await's, with acknowledgements before it taken in. */
static void test_answer(void **state)
{
	_cleanup_stream_ struct stream *s = writer(&(struct frame_opts){0});
	_cleanup_json_ json_t *wait = NULL, *ok = NULL, *none = NULL;
	struct err err = ERR_INIT;
	uint64_t applied, synced;

	assert_ok(stream_write(s, "hello", 5, &err), &err);
	assert_ok(stream_end(s, &err), &err);
	assert_fails(stream_end(s, &err), ERR_INTERNAL, &err);
	assert_fails(frame_await(s, clock_deadline(QUICK), &none, &err), ERR_TIMEOUT, &err);
	say("{\"ack\":3,\"synced\":2}\n{\"wait\":{}}\n{\"ack\":5,\"synced\":5}\n{\"ok\":{}}\n");
	assert_int_equal(frame_await(s, CLOCK_NEVER, &wait, &err), 1);
	assert_non_null(json_object_get(wait, "wait"));
	assert_ok(stream_acked(s, &applied, &synced, &err), &err);
	assert_int_equal(applied, 5);
	assert_int_equal(frame_await(s, CLOCK_NEVER, &ok, &err), 1);
	assert_non_null(json_object_get(ok, "ok"));
	close_theirs();
	assert_int_equal(frame_await(s, CLOCK_NEVER, &none, &err), 0);
	their_in = their_out = dup(our_out);
}

static void test_cancelled_writer(void **state)
{
	_cleanup_stream_ struct stream *s = writer(&(struct frame_opts){0});
	struct err err = ERR_INIT;

	cancel_install();
	cancel_request();
	assert_fails(write_until_failure(s, &err), ERR_CANCELLED, &err);
	cancel_reset();
}

/* Slow links get smaller frames; the limit counts what is on the wire. */
static void test_rate(void **state)
{
	struct rate rate;
	_cleanup_stream_ struct stream *s = NULL;
	_cleanup_free_ char *buf = xcalloc(1, 100000);
	struct err err = ERR_INIT;
	usec_t begin = clock_now();

	rate_init(&rate, 1000000);
	s = writer(&(struct frame_opts){.rate = &rate});
	assert_ok(stream_write(s, buf, 100000, &err), &err);
	assert_ok(stream_write(s, buf, 100000, &err), &err);
	assert_ok(stream_end(s, &err), &err);
	assert_true(clock_now() - begin >= 95 * USEC_PER_MSEC);
	assert_true(frame_wire_bytes(s) > 200000 + 3 * 24);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_round_trips, make, drop),
		cmocka_unit_test_prestate_setup_teardown(
			test_round_trips, make, drop, (void *)"pipes"),
		cmocka_unit_test(test_flips),
		cmocka_unit_test(test_broken_off),
		cmocka_unit_test(test_bad_frames),
		cmocka_unit_test_setup_teardown(test_bomb, make, drop),
		cmocka_unit_test_setup_teardown(test_silent_writer, make, drop),
		cmocka_unit_test_setup_teardown(test_ack_backlog, make, drop),
		cmocka_unit_test(test_peers_that_lie),
		cmocka_unit_test(test_floods),
		cmocka_unit_test_setup_teardown(test_oversized_line, make, drop),
		cmocka_unit_test_setup_teardown(test_still, make, drop),
		cmocka_unit_test_setup_teardown(test_keep_alive, make, drop),
		cmocka_unit_test_setup_teardown(test_answer, make, drop),
		cmocka_unit_test_setup_teardown(test_cancelled_writer, make, drop),
		cmocka_unit_test_setup_teardown(test_rate, make, drop),
	};

	return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
