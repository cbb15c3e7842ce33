/* One message of the daemon's socket: to the daemon as a request, to a caller as an answer. */
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/str.h"
#include "fuzz.h"
#include "link/local.h"
#include "link/ssh_refusal.h"

static void on_progress(void *ctx, const struct progress_event *ev)
{
	fuzz_must(ev->phase && strlen(ev->phase) < 64);
}

static void on_line(void *ctx, const char *text)
{
	fuzz_must(!strpbrk(text, "\n\033"));
}

static void on_job(void *ctx, uint64_t id)
{
	fuzz_must(id > 0);
}

static void on_item(void *ctx, const json_t *item)
{
	fuzz_must(item);
}

static void answer(const uint8_t *data, size_t n)
{
	const struct local_handler h = {on_progress, on_line, on_job, on_item, NULL};
	_cleanup_json_ json_t *result = NULL, *request = NULL;
	struct err err = ERR_INIT;
	int sv[2], r;

	fuzz_must(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv) == 0);
	fuzz_must(send(sv[1], data, n, 0) == (ssize_t)n);
	shutdown(sv[1], SHUT_WR);
	r = local_call(sv[0], "x", NULL, NULL, 0, &h, &result, &err);
	fuzz_must(r < 0 ? err.code != ERR_NONE && err.text[0] && !result : result != NULL);
	fuzz_must(!strpbrk(err.text, "\n\033"));
	fuzz_must(send(sv[0], data, n, 0) == (ssize_t)n);
	fuzz_must(local_recv(sv[1], &request, NULL, NULL, &err) == 0 && request);
	close(sv[0]);
	close(sv[1]);
}

/* And ssh's stderr, which the other side writes to. */
static void refusal(const uint8_t *data, size_t n)
{
	_cleanup_free_ char *text = xstrndup((const char *)data, n);
	_cleanup_free_ char *print = ssh_refusal_fingerprint(text);
	struct err err = ERR_INIT;

	fuzz_must(ssh_refusal(text, "b", print, &err) < 0 && err.code != ERR_NONE);
	fuzz_must(strstr(err.text, "b") && !strpbrk(err.text, "\n\033"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n == 0 || n > 65536)
		return 0;
	answer(data, n);
	refusal(data, n);
	return 0;
}
