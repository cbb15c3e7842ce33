/*
 * A peer's stream. Read as it comes, which tries the checks of the head; and with the digests put
 * right, so that what lies behind them is reached too: each frame's, and that of the end.
 */
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "fuzz.h"
#include "link/frame.h"
#include "link/frame_wire.h"

#define INPUT_MAX 65536 /* fits into the socket at once */

static void must_be_ours(const struct err *err)
{
	fuzz_must(err->code == ERR_PROTOCOL || err->code == ERR_CORRUPT ||
		  err->code == ERR_UNREACHABLE);
	fuzz_must(err->text[0] && !strpbrk(err->text, "\n\033"));
}

static void read_stream(const uint8_t *data, size_t n)
{
	struct frame_opts o = {.peer = "b"};
	uint64_t content = 0;
	struct err err = ERR_INIT;
	struct stream *s;
	char buf[3000];
	ssize_t k;
	int sv[2];

	fuzz_must(socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == 0);
	fuzz_must(n == 0 || write(sv[1], data, n) == (ssize_t)n);
	shutdown(sv[1], SHUT_WR);
	s = frame_reader_new(sv[0], -1, &o);
	while ((k = stream_read(s, buf, sizeof(buf), &err)) > 0)
		content += (uint64_t)k;
	fuzz_must(content <= (uint64_t)n * FRAME_PAYLOAD_MAX);
	if (k < 0)
		must_be_ours(&err);
	stream_free(s);
	close(sv[0]);
	close(sv[1]);
}

/* The same frames with right magic, sequence and digests. */
static void put_right(uint8_t *data, size_t n)
{
	struct frame f;
	size_t at = 0;

	frame_init(&f, NULL, &(struct frame_opts){0});
	for (uint32_t i = 0; at + FRAME_HEAD_SIZE + FRAME_DIGEST_SIZE <= n; i++) {
		size_t most = n - at - FRAME_HEAD_SIZE - FRAME_DIGEST_SIZE;
		uint8_t *head = data + at, *payload = head + FRAME_HEAD_SIZE;
		struct frame_head h;

		(void)frame_get_head(head, &h);
		h.sequence = i;
		h.length = (uint32_t)MIN((size_t)h.length % 4096, most);
		if (h.type == FRAME_END && h.length == FRAME_END_SIZE && !(h.flags & 0x80))
			frame_put_end(&f, payload);
		frame_put_head(&h, head);
		frame_sum(&f, head, payload, h.length, payload + h.length);
		if (h.type == FRAME_DATA && h.flags == 0) {
			XXH3_128bits_update(f.digest, payload, h.length);
			f.content += h.length;
		}
		at += FRAME_HEAD_SIZE + h.length + FRAME_DIGEST_SIZE;
	}
	frame_done(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	_cleanup_free_ uint8_t *copy = NULL;

	if (n > INPUT_MAX)
		return 0;
	read_stream(data, n);
	copy = xmemdup(data, n);
	put_right(copy, n);
	read_stream(copy, n);
	return 0;
}
