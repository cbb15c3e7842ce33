#include "node/room.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "node/state.h"

#define SIZE   ((size_t)1 << 20)
#define SHORT  ((uint64_t)512 << 10) /* less is as good as nothing */
#define PLENTY (16 * (uint64_t)SIZE) /* taking a MiB of less would do harm */

static char *room_path(void)
{
	return xasprintf("%s/room", state_dir());
}

/* For root; UINT64_MAX if it can't be told. */
static uint64_t free_bytes(void)
{
	struct statvfs v;

	return statvfs(state_dir(), &v) < 0 ? UINT64_MAX : (uint64_t)v.f_bfree * v.f_frsize;
}

/* Noise, not fallocate: file systems that compress, or that write elsewhere, keep nothing for that.
 */
static int fill(int fd)
{
	unsigned char buf[4096];

	for (size_t done = 0; done < SIZE; done += sizeof(buf)) {
		for (size_t got = 0; got < sizeof(buf); got += 256)
			if (getrandom(buf + got, 256, 0) != 256)
				return -1;
		if (write(fd, buf, sizeof(buf)) != (ssize_t)sizeof(buf))
			return -1;
	}
	return fsync(fd);
}

void room_keep(void)
{
	_cleanup_free_ char *path = room_path();
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (lstat(path, &st) == 0 && (size_t)st.st_size >= SIZE)
		return;
	if (free_bytes() < PLENTY)
		return;
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd >= 0 && fill(fd) >= 0)
		return;
	log_debug("%s: %s", path, strerror(errno));
	if (fd >= 0)
		(void)unlink(path);
}

bool room_use(void)
{
	_cleanup_free_ char *path = room_path();
	struct err e = ERR_INIT;

	if (unlink(path) < 0)
		return false;
	if (file_sync_dir(state_dir(), &e) < 0)
		log_debug("%s", e.text);
	log_warning(
		"the disk of %s is full: the MiB kept there for the end of a hand-over is used, "
		"and there is none for the next: make room",
		state_dir());
	return true;
}

bool room_is_short(void)
{
	return free_bytes() < SHORT;
}
