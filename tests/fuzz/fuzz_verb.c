/* SSH_ORIGINAL_COMMAND of anybody who holds a key. */
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "fuzz.h"
#include "link/verbs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	_cleanup_free_ char *command = xstrndup((const char *)data, n);
	_cleanup_strv_ char **words = NULL;
	const struct verb_spec *spec;
	struct err err = ERR_INIT;
	size_t count;

	if (verb_parse(command, &words, &err) < 0) {
		fuzz_must(!words && err.code == ERR_INVALID && err.text[0]);
		return 0;
	}
	count = strv_len(words);
	fuzz_must(count >= 1 && count <= SSH_WORDS_MAX);
	spec = verb_find(words[0]);
	fuzz_must(spec && count - 1 >= spec->min_words && count - 1 <= spec->max_words);
	for (size_t i = 0; i < count; i++) {
		fuzz_must(ssh_word_ok(words[i]));
		fuzz_must(!strpbrk(words[i], " \t\n;&|<>$`'\"\\*?~#(){}[]!%"));
	}
	return 0;
}
