#include "vz6/watchdog.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/dirs.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/str.h"

#define FD_EXTRA    3
#define CRON_FOLDER "/etc/cron.d"
#define CRON_FILE   CRON_FOLDER "/wherry-vz6"
#define ALONE_WAIT  (500 * USEC_PER_MSEC)
#define ALONE_LOOK  (20 * USEC_PER_MSEC)

/* Shared by all commands that change something, for as long as they run. */
static int busy = -1;

static int own_path(char ret[4096], struct err *err)
{
	ssize_t n = readlink("/proc/self/exe", ret, 4095);

	if (n < 0)
		return err_errno(err, "find this program");
	ret[n] = '\0';
	/* Another version lies there by now: that one will do. */
	if (str_ends(ret, " (deleted)"))
		ret[strlen(ret) - strlen(" (deleted)")] = '\0';
	return 0;
}

static int open_busy(struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/busy", dirs_run());
	int fd, r = file_mkdirs(dirs_run(), 0700, err);

	if (r < 0)
		return r;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
	return fd < 0 ? err_errno(err, "open %s", path) : fd;
}

/* From now on nobody takes the line for cron away. Held alone it is for a moment only. */
static int begin(struct err *err)
{
	busy = open_busy(err);
	while (busy >= 0 && flock(busy, LOCK_SH) < 0)
		if (errno != EINTR)
			return err_errno(err, "lock %s/busy", dirs_run());
	if (busy >= 0)
		watchdog_at_boot(true);
	return busy < 0 ? busy : 0;
}

/* Our end of the pipe stays open until we are gone, for whatever reason: nobody else has it. */
int watchdog_start(struct err *err)
{
	_cleanup_free_ char *state = xasprintf("WHERRY_STATE_DIR=%s", dirs_state());
	_cleanup_free_ char *run = xasprintf("WHERRY_RUN_DIR=%s", dirs_run());
	const char *env[] = {state, run, NULL};
	_cleanup_(proc_done) struct proc p = PROC_INIT;
	char path[4096];
	const char *argv[] = {path, "--quiet", "vz6", "recover", "--after", NULL};
	int pipe_fds[2], r = own_path(path, err);

	if (r >= 0)
		r = begin(err);
	if (r < 0)
		return r;
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return err_errno(err, "make a pipe");
	p.argv = argv;
	p.env = env;
	p.fd_extra = pipe_fds[0];
	p.detach = true;
	r = proc_spawn(&p, err);
	close(pipe_fds[0]);
	if (r < 0)
		close(pipe_fds[1]);
	return r;
}

void watchdog_wait(void)
{
	char byte;

	while (read(FD_EXTRA, &byte, 1) < 0 && errno == EINTR)
		;
	close(FD_EXTRA);
}

/* Unless another command runs: that may be about to write what a reboot would leave half done. */
static void forget_boot(void)
{
	usec_t deadline = clock_deadline(ALONE_WAIT);
	struct err ignored = ERR_INIT;
	int fd;

	if (busy >= 0)
		close(TAKE_FD(busy));
	if (!file_exists(CRON_FILE))
		return;
	fd = open_busy(&ignored);
	/* One that was killed a moment ago may still be on its way out. */
	while (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (clock_now() >= deadline) {
			close(fd);
			return;
		}
		clock_sleep(ALONE_LOOK);
	}
	if (fd < 0)
		return;
	(void)unlink(CRON_FILE);
	close(fd);
}

void watchdog_at_boot(bool needed)
{
	_cleanup_free_ char *text = NULL;
	struct err e = ERR_INIT;
	char path[4096];
	int r;

	if (!needed) {
		forget_boot();
		return;
	}
	if (!file_exists(CRON_FOLDER) || file_exists(CRON_FILE))
		return;
	r = own_path(path, &e);
	if (r < 0 || strpbrk(path, "'%\n"))
		return;
	text = xasprintf(
		"# Written by Wherry while containers are being sent, removed after that: what "
		"a reboot broke off\n# is brought to its end.\n"
		"@reboot root '%s' --quiet vz6 recover\n"
		"*/5 * * * * root '%s' --quiet vz6 recover\n",
		path, path);
	if (file_replace(CRON_FILE, text, strlen(text), 0644, &e) < 0)
		log_warning("%s", e.text);
}
