#include "daemon/job_lock.h"

#include <fcntl.h>
#include <sys/file.h>

#include "base/alloc.h"
#include "base/dirs.h"
#include "base/file.h"

static char *path_of(pid_t pid)
{
	return xasprintf("%s/job/%d", dirs_run(), (int)pid);
}

int job_lock_take(int *ret_fd, struct err *err)
{
	_cleanup_free_ char *folder = xasprintf("%s/job", dirs_run()), *path = path_of(getpid());
	int r = file_mkdirs(folder, 0700, err);

	return r < 0 ? r : file_lock(path, true, ret_fd, err);
}

/* What a dead one left is removed. */
bool job_lock_held(pid_t pid)
{
	_cleanup_free_ char *path = path_of(pid);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return false;
	if (flock(fd, LOCK_SH | LOCK_NB) < 0) /* shared: two may ask at once */
		return true;
	unlink(path);
	return false;
}
