#include "runtime/lxc_log.h"

#include <fcntl.h>
#include <lxc/lxccontainer.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/str.h"

#define LOG_MAX	   65536 /* of one call: no more is looked at */
#define USUAL_PATH "/var/lib/lxc"
#define USUAL_LOGS "/var/log/lxc"
#define NO_REASON  "LXC does not say why"

/* Errors to LXC that are none: features it was built without, and what follows from another line
 * that says more. */
static const char *const harmless[] = {
	"Unsupported config key",
	"Ignoring cgroup2 limits",
	"Ignoring legacy cgroup limits",
	"There is no useable memory controller",
	"Failed to fchownat(",
	"Script exited with status",
};

static bool is_harmless(const char *message)
{
	for (size_t i = 0; i < ARRAY_SIZE(harmless); i++)
		if (strstr(message, harmless[i]))
			return true;
	return false;
}

/* "lxc web 20260101000000.000 ERROR    conf - ../src/lxc/conf.c:func:123 - The message" */
static char *message_of(const char *line, size_t n)
{
	_cleanup_free_ char *copy = xstrndup(line, n);
	char *level = strstr(copy, " ERROR "), *text;

	if (!level)
		return NULL;
	text = strstr(level, " - ");
	text = text ? strstr(text + 3, " - ") : NULL;
	if (!text || is_harmless(text))
		return NULL;
	return str_escape(text + 3, strlen(text + 3));
}

char *lxc_log_reason(const char *text)
{
	while (*text) {
		size_t n = strcspn(text, "\n");
		char *message = message_of(text, n);

		if (message)
			return message;
		text += n + (text[n] == '\n');
	}
	return NULL;
}

static char *reason_from(int fd, off_t offset)
{
	_cleanup_free_ char *text = xmalloc(LOG_MAX + 1);
	ssize_t n = fd >= 0 ? pread(fd, text, LOG_MAX, offset) : -1;
	char *reason;

	text[n > 0 ? n : 0] = '\0';
	reason = lxc_log_reason(text);
	return reason ? reason : xstrdup(NO_REASON);
}

static off_t size_of(int fd)
{
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 ? st.st_size : 0;
}

static int log_fd = -1;

static void open_log(const char *path)
{
	struct lxc_log log = {.file = path, .level = "ERROR", .prefix = "wherry", .quiet = true};

	lxc_log_init(&log);
}

struct lxc_log_mark lxc_log_mark(void)
{
	if (log_fd < 0) {
		_cleanup_free_ char *path = NULL;

		log_fd = memfd_create("lxc.log", MFD_CLOEXEC);
		path = xasprintf("/proc/self/fd/%d", log_fd);
		if (log_fd >= 0)
			open_log(path);
	}
	if (size_of(log_fd) > LOG_MAX) /* a worker is short-lived, but not that short */
		(void)!ftruncate(log_fd, 0);
	return (struct lxc_log_mark){size_of(log_fd)};
}

char *lxc_log_since(const struct lxc_log_mark *mark)
{
	return reason_from(log_fd, mark->offset);
}

char *lxc_log_path(const char *lxcpath, const char *name, const char *configured)
{
	if (configured && configured[0])
		return xstrdup(configured);
	if (strcmp(lxcpath, USUAL_PATH) == 0)
		return xasprintf(USUAL_LOGS "/%s.log", name);
	return xasprintf("%s/%s/%s.log", lxcpath, name, name);
}

struct lxc_log_mark lxc_log_file_mark(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	return (struct lxc_log_mark){size_of(fd)};
}

char *lxc_log_file_since(const char *path, const struct lxc_log_mark *mark)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	return reason_from(fd, mark->offset);
}
