#include "base/identity.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/kernel.h"
#include "base/str.h"

char *identity_of(pid_t pid)
{
	_cleanup_free_ char *path = xasprintf("/proc/%d/stat", (int)pid), *text = NULL;
	_cleanup_strv_ char **fields = NULL;
	struct err err = ERR_INIT;
	const char *after_name;

	if (file_read(path, 4096, &text, NULL, &err) < 0)
		return NULL;
	after_name = strrchr(text, ')');
	fields = str_words(after_name ? after_name + 1 : "");
	return strv_len(fields) > 19 ? xasprintf("%d %s", (int)pid, fields[19]) : NULL;
}

/* The descriptor holds on to whoever has the number now; then it is looked at who that is. (Before
 * Linux 5.3 there is none, and a moment in between.) */
void identity_signal(const char *identity, int sig)
{
	_cleanup_close_ int pidfd = -1;
	_cleanup_free_ char *now = NULL;
	long pid = strtol(identity, NULL, 10);

	if (pid <= 1 || pid > INT_MAX)
		return;
	pidfd = kernel_pidfd((pid_t)pid);
	if (pidfd < 0 && errno != ENOSYS)
		return;
	now = identity_of((pid_t)pid);
	if (str_eq(now, identity))
		(void)(pidfd < 0 ? kill((pid_t)pid, sig) : kernel_pidfd_signal(pidfd, sig));
}
