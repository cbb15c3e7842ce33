#include "tree/watch_trust.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/attr.h"

/* Since 6.5 overlayfs lets go of FMODE_NONOTIFY on the files beneath it. Before, what is written
 * through an overlay, and Docker in a container has one, makes no event at all. */
#define OVERLAY_TELLS_MAJOR 6
#define OVERLAY_TELLS_MINOR 5

bool watch_trust_release(const char *release)
{
	unsigned major, minor;

	if (sscanf(release, "%u.%u", &major, &minor) != 2)
		return false;
	return major > OVERLAY_TELLS_MAJOR ||
	       (major == OVERLAY_TELLS_MAJOR && minor >= OVERLAY_TELLS_MINOR);
}

/* One that is not registered was never mounted. */
static bool has_overlay(void)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/filesystems", "re");
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		if (strstr(line, "\toverlay\n"))
			return true;
	return !f;
}

/* A loop device writes to its file without an event, until it lets go of it: of one that lies on
 * this file system nothing is known. One that can't be asked may be such a one. */
static bool writes_here(const char *loop, dev_t dev)
{
	char path[64];
	struct loop_info64 info;
	_cleanup_close_ int fd = -1;

	if (snprintf(path, sizeof(path), "/sys/block/%.20s/loop/backing_file", loop) < 0 ||
		access(path, F_OK) < 0)
		return false; /* nothing is attached */
	snprintf(path, sizeof(path), "/dev/%.20s", loop);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return true;
	if (ioctl(fd, LOOP_GET_STATUS64, &info) < 0)
		return errno != ENXIO;
	return info.lo_device == dev;
}

static bool has_loop(int rootfd)
{
	_cleanup_closedir_ DIR *d = opendir("/sys/block");
	struct dirent *e;
	struct stat st;

	if (fstat(rootfd, &st) < 0)
		return true;
	while (d && (e = readdir(d)))
		if (!strncmp(e->d_name, "loop", 4) && writes_here(e->d_name, st.st_dev))
			return true;
	return !d;
}

bool watch_trusted(int rootfd)
{
	struct utsname u;

	if (uname(&u) < 0 || (!watch_trust_release(u.release) && has_overlay()))
		return false;
	return !has_loop(rootfd);
}
