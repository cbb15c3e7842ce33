/* The line of `receive authorized-keys add`: what passes goes into a file of sshd's. */
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "fuzz.h"
#include "node/pubkey.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	_cleanup_(pubkey_done) struct pubkey k = {0}, again = {0};
	_cleanup_free_ char *line = NULL, *shown = NULL;
	struct err err = ERR_INIT;

	if (pubkey_parse((const char *)data, n, &k, &err) < 0) {
		fuzz_must(!k.blob && err.code == ERR_INVALID);
		return 0;
	}
	/* One line of printable words, and read again it is the same key. */
	line = xasprintf("%s %s %s", k.type, k.blob, k.comment);
	shown = str_escape(line, strlen(line));
	fuzz_must(str_eq(shown, line) && !strchr(k.blob, ' ') && !strchr(k.type, ' '));
	fuzz_must(strlen(k.comment) <= PUBKEY_COMMENT_MAX && strlen(line) <= PUBKEY_LINE_MAX);
	fuzz_must(k.bits >= 256);
	fuzz_must(pubkey_parse(line, strlen(line), &again, &err) >= 0);
	fuzz_must(again.type == k.type && str_eq(again.blob, k.blob));
	fuzz_must(str_eq(again.comment, k.comment) && again.bits == k.bits);
	return 0;
}
