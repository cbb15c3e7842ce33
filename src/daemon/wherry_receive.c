/*
 * wherry-receive KEY: the forced command of an authorised key, run by sshd as the receive user. It
 * looks at the verb and its number of words and nothing else, and gives the session's descriptors
 * to wherryd, so that no data ever passes through here. Its standard output belongs to the protocol
 * (docs/protocol.md), its exit status and standard error are for people.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/str.h"
#include "link/local.h"
#include "link/verbs.h"

/* Told in the protocol's way only while it is sure that nobody else has answered. */
static int fail(const struct err *e, bool on_the_wire)
{
	if (on_the_wire) {
		_cleanup_json_ json_t *msg = json_object();
		_cleanup_free_ char *text = NULL;

		json_object_set_new(msg, "error", local_error_json(e));
		text = json_text(msg);
		printf("%s\n", text);
		fflush(stdout);
	}
	fprintf(stderr, "wherry-receive: %s\n", e->text);
	return err_exit_status(e->code);
}

/* The first word of SSH_CONNECTION; "" when it is unusable. */
static const char *client_address(void)
{
	static char address[64];
	const char *connection = getenv("SSH_CONNECTION");
	size_t n = connection ? strcspn(connection, " ") : 0;

	if (n < sizeof(address))
		snprintf(address, sizeof(address), "%.*s", (int)n, connection ? connection : "");
	return address;
}

static json_t *request(const char *key, char *const *words)
{
	json_t *args = json_object(), *list = json_array();

	for (size_t i = 0; words[i]; i++)
		json_array_append_new(list, json_string(words[i]));
	json_put_str(args, "key", key);
	json_put_str(args, "address", client_address());
	json_object_set_new(args, "words", list);
	return args;
}

/*
 * If the daemon dies the worker goes on with the session's descriptors; but sshd closes the session
 * when we end. So we stay until the worker has closed its end of a pipe.
 */
static void await_worker(int fd)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};

	while (poll(&pfd, 1, -1) < 0)
		;
}

static int call(const char *key, char *const *words, json_t **ret, int *ret_alive, struct err *err)
{
	_cleanup_close_ int sock = -1, alive_w = -1;
	int alive[2], r;

	r = local_connect(receive_socket(), &sock, err);
	if (r < 0)
		return err_set(err, ERR_UNREACHABLE,
			"wherryd is not running on the destination, or does not receive: "
			"systemctl start wherryd there");
	r = fd_pipe(alive, err);
	if (r < 0)
		return r;
	*ret_alive = alive[0];
	alive_w = alive[1];
	return local_call(sock, "receive", request(key, words),
		(int[]){STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO, alive_w}, 4, NULL, ret, err);
}

int main(int argc, char **argv)
{
	const char *command = getenv("SSH_ORIGINAL_COMMAND");
	_cleanup_json_ json_t *result = NULL;
	_cleanup_strv_ char **words = NULL;
	_cleanup_close_ int alive = -1;
	struct err err = ERR_INIT;
	const char *text;
	int r;

	if (argc != 2) {
		fprintf(stderr, "wherry-receive: sshd runs this, with the name of a key\n");
		return err_exit_status(ERR_INVALID);
	}
	if (!command || !*command) {
		_cleanup_free_ char *usage = verb_usage();

		fputs(usage, stdout);
		return 1;
	}
	if (verb_parse(command, &words, &err) < 0)
		return fail(&err, true);
	r = call(argv[1], words, &result, &alive, &err);
	if (r == -ERR_UNKNOWN && alive >= 0)
		await_worker(alive);
	if (r < 0)
		return fail(&err, r != -ERR_UNKNOWN);
	text = json_get_str(result, "text");
	if (text)
		fprintf(stderr, "wherry-receive: %s\n", text);
	return (int)json_get_u64(result, "exit", 1);
}
