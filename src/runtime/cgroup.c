#include "runtime/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"

#define CGROUP_ROOT   "/sys/fs/cgroup"
#define CGROUP2_MAGIC 0x63677270
#define DEPTH_MAX     64    /* a container can nest its own groups */
#define FOLDERS_MAX   20000 /* and make many */

bool cgroup_unified(void)
{
	struct statfs fs;

	return statfs(CGROUP_ROOT, &fs) == 0 && fs.f_type == CGROUP2_MAGIC;
}

/* Lines "ID:CONTROLLERS:PATH" of a process; empty when it is gone. */
static char **memberships(const char *pid)
{
	_cleanup_free_ char *path = xasprintf("/proc/%s/cgroup", pid), *text = NULL;
	struct err err = ERR_INIT;

	if (file_read(path, 1 << 20, &text, NULL, &err) < 0)
		return str_split("", "\n", false);
	return str_split(text, "\n", false);
}

/* Splits a line; the folder is where the hierarchy is mounted by convention, NULL for none that LXC
 * would use. */
static char *split_line(char *line, char **ret_controllers, char **ret_path)
{
	char *controllers = strchr(line, ':');
	char *path = controllers ? strchr(controllers + 1, ':') : NULL;
	const char *name;

	if (!path)
		return NULL;
	*path++ = '\0';
	*ret_controllers = ++controllers;
	*ret_path = path;
	name = str_starts(controllers, "name=") ? controllers + strlen("name=") : controllers;
	if (name[0])
		return xasprintf(CGROUP_ROOT "/%s", name);
	return xstrdup(cgroup_unified() ? CGROUP_ROOT : CGROUP_ROOT "/unified");
}

static bool has_controller_v1(const char *name)
{
	_cleanup_strv_ char **lines = memberships("self");

	for (size_t i = 0; lines[i]; i++) {
		char *controllers, *path;
		_cleanup_free_ char *folder = split_line(lines[i], &controllers, &path);
		_cleanup_strv_ char **names = str_split(folder ? controllers : "", ",", false);

		if (strv_has(names, name) && file_exists(folder))
			return true;
	}
	return false;
}

bool cgroup_has_controller(const char *name)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_strv_ char **names = NULL;
	struct err err = ERR_INIT;

	if (!cgroup_unified())
		return has_controller_v1(name);
	if (file_read(CGROUP_ROOT "/cgroup.controllers", 1 << 16, &text, NULL, &err) < 0)
		return false;
	names = str_words(text);
	return strv_has(names, name);
}

bool cgroup_accounts_swap(void)
{
	/* The root group of version 2 has no limits of its own to look for. */
	return cgroup_unified() ? file_exists("/proc/swaps")
				: file_exists(CGROUP_ROOT "/memory/memory.memsw.limit_in_bytes");
}

/* Cuts the path after the group that LXC made: an init such as systemd moves itself further down.
 */
static void cut_at_payload(char *path)
{
	char *last = NULL, *p = path;

	while ((p = strstr(p, "/lxc.payload")))
		last = p++;
	if (last)
		last[1 + strcspn(last + 1, "/")] = '\0';
}

char **cgroup_folders(pid_t pid)
{
	_cleanup_free_ char *id = xasprintf("%d", pid);
	_cleanup_strv_ char **lines = memberships(id);
	char **folders = NULL;

	for (size_t i = 0; lines[i]; i++) {
		char *controllers, *path;
		_cleanup_free_ char *mount = split_line(lines[i], &controllers, &path);
		_cleanup_free_ char *folder = NULL;

		/* "/" is everybody's: LXC made no group there. */
		if (!mount || strcmp(path, "/") == 0 || str_starts(path, "/.."))
			continue;
		cut_at_payload(path);
		folder = xasprintf("%s%s", mount, path);
		strv_push(&folders, folder);
	}
	return folders ? folders : str_split("", "\n", false);
}

/* The first process of this very group. */
static pid_t first_process(int dirfd)
{
	_cleanup_fclose_ FILE *f = NULL;
	int fd = openat(dirfd, "cgroup.procs", O_RDONLY | O_CLOEXEC), pid = 0;

	if (fd < 0)
		return errno == ENOENT || errno == ENODEV ? 0 : -1;
	f = fdopen(fd, "re");
	if (!f) {
		close(fd);
		return -1;
	}
	if (fscanf(f, "%d", &pid) != 1)
		return errno == ENODEV || feof(f) ? 0 : -1;
	return pid > 0 ? pid : 1; /* 0: a process of another pid namespace */
}

static pid_t walk(int at, const char *name, unsigned depth, unsigned *budget)
{
	_cleanup_closedir_ DIR *dir = NULL;
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	struct dirent *e;
	pid_t pid;

	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -1;
	}
	errno = 0;
	pid = first_process(fd);
	if (pid)
		return pid;
	if (depth == DEPTH_MAX || --*budget == 0)
		return -1;
	while (!pid && (e = readdir(dir)))
		if (e->d_type == DT_DIR && e->d_name[0] != '.')
			pid = walk(fd, e->d_name, depth + 1, budget);
	return pid;
}

pid_t cgroup_process(char *const *folders)
{
	unsigned budget = FOLDERS_MAX;
	pid_t unsure = 0;

	for (size_t i = 0; folders[i]; i++) {
		pid_t pid = walk(AT_FDCWD, folders[i], 0, &budget);

		if (pid > 0)
			return pid;
		if (pid < 0)
			unsure = -1;
	}
	return unsure;
}
