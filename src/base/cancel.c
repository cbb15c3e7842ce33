#include "base/cancel.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/eventfd.h>

static atomic_bool requested;
static atomic_int shields;
static atomic_int event = -1;

static void notify(void)
{
	uint64_t one = 1;

	if (event >= 0)
		(void)!write(event, &one, sizeof(one));
}

static void drain(void)
{
	uint64_t n;

	if (event >= 0)
		(void)!read(event, &n, sizeof(n));
}

void cancel_request(void)
{
	int saved = errno; /* runs as a signal handler too */

	requested = true;
	if (shields == 0)
		notify();
	errno = saved;
}

static void on_signal(int sig)
{
	(void)sig;
	cancel_request();
}

void cancel_install(void)
{
	/* Restarted, because libraries do not expect EINTR; our own waits watch the descriptor. */
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

	if (event < 0)
		event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (event < 0)
		abort();
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
}

bool cancel_requested(void)
{
	return requested && shields == 0;
}

int cancel_check(struct err *err)
{
	return cancel_requested() ? err_set(err, ERR_CANCELLED, "cancelled") : 0;
}

int cancel_fd(void)
{
	return event;
}

void cancel_reset(void)
{
	requested = false;
	drain();
}

void cancel_shield(void)
{
	/* In this order: a signal in between sees the shield and leaves the descriptor alone. */
	shields++;
	drain();
}

void cancel_unshield(void)
{
	if (--shields == 0 && requested)
		notify();
}

void cancel_forget(void)
{
	if (event >= 0)
		close(event);
	event = -1;
	requested = false;
	shields = 0;
}
