/* The pieces of Wherry's own archives. */
#include "archive/piece.h"
#include "base/json.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	_cleanup_stream_ struct stream *s = stream_mem_new(data, n);
	struct err err = ERR_INIT;
	int r = 0;

	while (r >= 0) {
		_cleanup_stream_ struct stream *d = piece_reader_new(s, NULL, NULL);
		_cleanup_json_ json_t *v = NULL;
		enum piece_type type;
		char buf[64];
		ssize_t k = 1;

		r = piece_read(s, &type, &v, &err);
		fuzz_must(r < 0 || json_is_object(v));
		while (r >= 0 && type == PIECE_PASS && k > 0)
			k = stream_read(d, buf, sizeof(buf), &err);
		if (k < 0)
			r = (int)k;
	}
	fuzz_must(err.code != ERR_NONE && err.text[0]);
	return 0;
}
