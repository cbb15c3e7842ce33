#include "base/fault.h"

#ifdef WHERRY_FAULTS

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "base/num.h"
#include "base/str.h"
#include "base/vec.h"

struct pass {
	char *name;
	uint64_t count;
};
VEC(pass_vec, struct pass);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct pass_vec passes;

static uint64_t count_pass(const char *name)
{
	uint64_t n = 0;

	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < passes.n && !n; i++)
		if (strcmp(passes.v[i].name, name) == 0)
			n = ++passes.v[i].count;
	if (!n) {
		*pass_vec_push(&passes) = (struct pass){xstrdup(name), 1};
		n = 1;
	}
	pthread_mutex_unlock(&lock);
	return n;
}

/* So that a test can list the points that an operation passes. */
static void trace(const char *name)
{
	const char *path = getenv("WHERRY_FAULT_TRACE");
	_cleanup_free_ char *line = NULL;
	_cleanup_close_ int fd = -1;

	if (!path)
		return;
	line = xasprintf("%s\n", name);
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
	if (fd >= 0)
		(void)!write(fd, line, strlen(line));
}

/* How often all processes together have passed it. */
static uint64_t count_traced(const char *name)
{
	const char *path = getenv("WHERRY_FAULT_TRACE");
	_cleanup_strv_ char **lines = NULL;
	_cleanup_free_ char *text = NULL;
	struct err ignored = ERR_INIT;
	uint64_t n = 0;

	if (!path || file_read(path, 16 << 20, &text, NULL, &ignored) < 0)
		return 0;
	lines = str_split(text, "\n", false);
	for (size_t i = 0; lines[i]; i++)
		n += str_eq(lines[i], name);
	return n;
}

static int fail_with(int errnum, const char *name, struct err *err)
{
	errno = errnum;
	return err_errno(err, "fault point %s", name);
}

/* Until a test that has meanwhile done something from outside makes the file again; that it is gone
 * then tells the test. Nothing else ends it, no cancel either. */
static void hold(const char *path)
{
	while (!path || unlink(path) < 0)
		usleep(10000);
}

static int act(const char *name, const char *action, const char *path, struct err *err)
{
	log_info("fault point %s: %s", name, action);
	if (str_eq(action, "kill"))
		raise(SIGKILL);
	if (str_eq(action, "exit"))
		_exit(1);
	while (str_eq(action, "stall"))
		pause();
	if (str_eq(action, "hold")) {
		hold(path);
		return 0;
	}
	if (str_eq(action, "eio"))
		return fail_with(EIO, name, err);
	if (str_eq(action, "enospc"))
		return fail_with(ENOSPC, name, err);
	if (str_eq(action, "cut"))
		return err_set(err, ERR_UNREACHABLE, "connection lost (fault point %s)", name);
	/* A test with a typing error must not look like one that passed. */
	log_error("fault point %s: unknown action \"%s\"", name, action);
	abort();
}

/* One "name:action", "name:action@pass" or "name:action#pass", and "!" behind it. */
static int apply(char *entry, const char *name, uint64_t pass, const char *path, struct err *err)
{
	char *colon = strchr(entry, ':'), *at = strpbrk(entry, "@#"), *once = strchr(entry, '!');
	bool of_all = at && *at == '#';
	uint64_t wanted = 0;

	if (once)
		*once = '\0';
	if (at)
		*at++ = '\0';
	if (!colon || (at && num_u64(at, UINT64_MAX, &wanted, err) < 0)) {
		log_error("bad fault \"%s\"", entry);
		abort();
	}
	*colon = '\0';
	if (strcmp(entry, name) != 0)
		return 0;
	if (wanted && wanted != (of_all ? count_traced(name) : pass))
		return 0;
	/* Of all processes the one that removes the file. */
	if (once && (!path || unlink(path) < 0))
		return 0;
	return act(name, colon + 1, path, err);
}

static int apply_list(
	const char *list, const char *name, uint64_t pass, const char *path, struct err *err)
{
	_cleanup_strv_ char **entries = str_split(list, ", \n\t", false);

	for (size_t i = 0; entries[i]; i++) {
		int r = apply(entries[i], name, pass, path, err);

		if (r < 0)
			return r;
	}
	return 0;
}

int fault_point(const char *name, struct err *err)
{
	const char *list = getenv("WHERRY_FAULT"), *path = getenv("WHERRY_FAULT_FILE");
	uint64_t pass = count_pass(name);
	_cleanup_free_ char *text = NULL;
	struct err ignored = ERR_INIT;
	int r;

	trace(name);
	r = list ? apply_list(list, name, pass, NULL, err) : 0;
	if (r < 0 || !path || file_read(path, 65536, &text, NULL, &ignored) < 0)
		return r;
	return apply_list(text, name, pass, path, err);
}

#endif
