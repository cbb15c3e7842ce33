/* Numbers of a user and texts of a peer: every reader of a word, every maker of text. */
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/num.h"
#include "base/str.h"
#include "fuzz.h"

static void numbers(const char *s)
{
	struct err err = ERR_INIT;
	char human[NUM_HUMAN_MAX];
	uint64_t v = 1;
	uint32_t small = 1;
	uint16_t port = 1;

	if (num_u64(s, 1000, &v, &err) == 0)
		fuzz_must(v <= 1000 && strtoull(s, NULL, 10) == v);
	if (num_u32(s, 77, &small, &err) == 0)
		fuzz_must(small <= 77);
	if (num_port(s, &port, &err) == 0)
		fuzz_must(port >= 1);
	if (num_size(s, &v, &err) == 0)
		fuzz_must(strlen(num_human_size(v, human)) < sizeof(human));
	if (num_duration(s, &v, &err) == 0)
		fuzz_must(strlen(num_human_usec(v, human)) < sizeof(human));
}

static void errors(const char *s)
{
	struct err err = ERR_INIT;

	errno = ENOENT;
	fuzz_must(err_errno(&err, "open %s", s) == -ERR_NOT_FOUND);
	fuzz_must(err_prefix(&err, "%s", s) == -ERR_NOT_FOUND);
	fuzz_must(strlen(err.text) < sizeof(err.text));
	for (const char *p = err.text; *p; p++)
		fuzz_must((unsigned char)*p >= 0x20 && *p != 0x7f);
	fuzz_must(err_from_name(err_name(err_from_name(s))) == err_from_name(s));
}

static void strings(const char *s, size_t n)
{
	_cleanup_free_ char *escaped = str_escape(s, n),
			    *twice = str_escape(escaped, strlen(escaped));
	_cleanup_strv_ char **fields = str_split(s, ":", true), **words = str_words(s);
	_cleanup_free_ char *joined = str_join(fields, ":");

	/* What is escaped once is printable, and joining undoes splitting. */
	fuzz_must(str_eq(escaped, twice));
	fuzz_must(str_eq(joined, s));
	for (size_t i = 0; words[i]; i++)
		fuzz_must(words[i][0] && str_eq(str_trim(words[i]), words[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	_cleanup_free_ char *s = xmalloc(n + 1);

	memcpy(s, data, n);
	s[n] = '\0';
	numbers(s);
	errors(s);
	strings(s, n);
	return 0;
}
