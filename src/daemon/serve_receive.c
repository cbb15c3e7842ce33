/*
 * receive: one verb of another node, whose ssh session's descriptors are ours.
 */
#include <string.h>

#include "base/str.h"
#include "daemon/serve.h"
#include "link/verbs.h"
#include "move/receive.h"

#define WORDS_MAX 17

static struct {
	char *key, *address;
	json_t *words;
} args;

static const struct json_field fields[] = {
	JSON_STR(__typeof__(args), key, "key", JSON_REQUIRED, 64),
	JSON_STR(__typeof__(args), address, "address", 0, 64),
	JSON_ANY(__typeof__(args), words, "words", JSON_REQUIRED),
	JSON_END,
};

/* The shim has checked them, but it runs as another user. */
static int check_words(char ***ret, struct err *err)
{
	_cleanup_(str_done) struct str command = STR_INIT;
	size_t n = json_array_size(args.words);

	str_add(&command, "receive");
	for (size_t i = 0; i < n && i < WORDS_MAX; i++) {
		const char *word = json_string_value(json_array_get(args.words, i));

		if (!word)
			return err_set(err, ERR_INVALID, "receive: a word that is no text");
		str_addf(&command, " %s", word);
	}
	return verb_parse(command.buf, ret, err);
}

int serve_receive(struct serve *s, json_t **ret, struct err *err)
{
	_cleanup_strv_ char **words = NULL;
	struct receive_request request;
	int r;

	if (s->n_fds < 2)
		return err_set(err, ERR_INVALID, "receive: without its descriptors");
	r = serve_args(s, fields, &args, err);
	if (r >= 0)
		r = check_words(&words, err);
	if (r < 0)
		return r;
	request = (struct receive_request){
		.key = args.key,
		.address = args.address ? args.address : "",
		.words = words,
		.fd_in = s->fds[0],
		.fd_out = s->fds[1],
	};
	s->answered = true;
	return receive_serve(&s->move, &request, ret, err);
}
