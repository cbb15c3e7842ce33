/* What a peer says on the way back, to somebody who reads lines and to a writer of frames. */
#include <string.h>
#include <sys/socket.h>

#include "base/str.h"
#include "fuzz.h"
#include "link/frame.h"
#include "link/local.h"

#define INPUT_MAX 65536

static void pair_with(const uint8_t *data, size_t n, int sv[2])
{
	fuzz_must(socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == 0);
	fuzz_must(n == 0 || write(sv[1], data, n) == (ssize_t)n);
	shutdown(sv[1], SHUT_WR);
}

static void read_lines(const uint8_t *data, size_t n)
{
	_cleanup_(lines_done) struct lines l = LINES_INIT(-1);
	struct err err = ERR_INIT;
	size_t count = 0;
	int sv[2], r = 1;

	pair_with(data, n, sv);
	l.fd = sv[0];
	while (r > 0) {
		_cleanup_json_ json_t *v = NULL;
		struct err said = ERR_INIT;

		r = lines_next(&l, CLOCK_NEVER, &v, &err);
		fuzz_must(r <= 0 || json_is_object(v));
		if (r > 0) {
			local_error_from(v, &said);
			fuzz_must(said.code != ERR_NONE && said.text[0]);
			fuzz_must(!strpbrk(said.text, "\n\033"));
		}
		fuzz_must(count++ <= n);
	}
	fuzz_must(r == 0 || err.code == ERR_PROTOCOL);
	fuzz_must(!strpbrk(err.text, "\n\033"));
	close(sv[0]);
	close(sv[1]);
}

static void write_frames(const uint8_t *data, size_t n)
{
	struct frame_opts o = {.peer = "b", .idle = USEC_PER_SEC};
	uint64_t applied = 0, synced = 0;
	_cleanup_stream_ struct stream *s = NULL;
	struct err err = ERR_INIT;
	int sv[2], r;

	pair_with(data, n, sv);
	s = frame_writer_new(sv[0], sv[0], &o);
	r = stream_write(s, "hello", 5, &err);
	if (r >= 0)
		r = stream_flush(s, &err);
	if (r >= 0)
		r = stream_acked(s, &applied, &synced, &err);
	fuzz_must(applied <= 5 && synced <= applied);
	if (r >= 0)
		r = stream_end(s, &err);
	fuzz_must(r >= 0 || (err.code != ERR_NONE && err.text[0]));
	close(sv[0]);
	close(sv[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n > INPUT_MAX)
		return 0;
	read_lines(data, n);
	write_frames(data, n);
	return 0;
}
