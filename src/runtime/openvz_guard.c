#include "runtime/openvz_guard.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/dirs.h"
#include "base/err.h"
#include "base/file.h"
#include "base/str.h"

#define MARK	   "# Wherry guards this container"
#define SCRIPT_MAX (1u << 20)

static const char *conf_dir(void)
{
	const char *v = getenv("WHERRY_VZ_CONF");

	return v && v[0] == '/' ? v : OPENVZ_CONF;
}

char *openvz_start_token_path(const char *ctid)
{
	return xasprintf("%s/start-allowed.%s", dirs_run(), ctid);
}

/* The program that is running, as the script is to call it. */
static int own_path(char **ret, struct err *err)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (n < 0)
		return err_errno(err, "find this program");
	path[n] = '\0';
	/* Another version lies there by now: that one will do. */
	if (str_ends(path, " (deleted)"))
		path[strlen(path) - strlen(" (deleted)")] = '\0';
	if (strpbrk(path, "'\n") || strpbrk(dirs_state(), "'\n") || strpbrk(dirs_run(), "'\n"))
		return err_set(err, ERR_INVALID,
			"this program lies at %s, whose name cannot stand in a script", path);
	*ret = xstrdup(path);
	return 0;
}

static int render(const char *ctid, const char *before, char **ret, struct err *err)
{
	_cleanup_free_ char *program = NULL;
	int r = own_path(&program, err);

	if (r < 0)
		return r;
	*ret = xasprintf(
		"#!/bin/sh\n" MARK " while it is being sent: it starts only where it belongs.\n"
		"WHERRY_STATE_DIR='%s' WHERRY_RUN_DIR='%s' '%s' vz6 may-start %s </dev/null || "
		"exit 1\n"
		"[ ! -x '%s' ] || exec '%s'\n"
		"exit 0\n",
		dirs_state(), dirs_run(), program, ctid, before, before);
	return 0;
}

/* 1: it is ours, 0: it is not, or not there. */
static int is_ours(const char *path, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	int r = file_read(path, SCRIPT_MAX, &text, NULL, err);

	if (r == -ERR_NOT_FOUND) {
		err_clear(err);
		return 0;
	}
	return r < 0 ? r : strstr(text, MARK) != NULL;
}

/* Both names of one file: it broke off when it had the second and not yet ours. */
static bool same_file(const char *a, const char *b)
{
	struct stat x, y;

	return stat(a, &x) >= 0 && stat(b, &y) >= 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* Under a second name first, so that at each moment one of both is what runs. */
static int keep(const char *script, const char *before, struct err *err)
{
	if (!file_exists(script) || link(script, before) >= 0 || same_file(script, before))
		return 0;
	if (errno == EEXIST)
		return err_set(err, ERR_EXISTS,
			"there is a %s, and %s is another script than Wherry's: which of both is "
			"to "
			"run? Remove one",
			before, script);
	return err_errno(err, "keep %s", script);
}

static int put(const char *ctid, const char *script, const char *before, struct err *err)
{
	_cleanup_free_ char *text = NULL, *is = NULL;
	struct err ignored = ERR_INIT;
	int r = is_ours(script, err);

	if (r < 0)
		return r;
	if (r == 0) {
		r = keep(script, before, err);
		if (r < 0)
			return r;
	}
	r = render(ctid, before, &text, err);
	if (r < 0)
		return r;
	if (file_read(script, SCRIPT_MAX, &is, NULL, &ignored) >= 0 && str_eq(is, text))
		return 0;
	return file_replace(script, text, strlen(text), 0755, err);
}

static int sync_folder(const char *script, struct err *err)
{
	_cleanup_free_ char *dir = xstrndup(script, (size_t)(strrchr(script, '/') - script));

	return file_sync_dir(dir, err);
}

static int take_away(const char *script, const char *before, struct err *err)
{
	int r = is_ours(script, err);

	if (r < 0)
		return r;
	if (r == 0)
		return same_file(script, before) ? file_remove(before, err) : 0;
	if (rename(before, script) >= 0)
		return sync_folder(script, err);
	if (errno != ENOENT)
		return err_errno(err, "put back %s", script);
	r = file_remove(script, err);
	return r < 0 ? r : sync_folder(script, err);
}

static int guard(const char *ctid, const char *script, bool on, struct err *err)
{
	_cleanup_free_ char *before = xasprintf("%s.before-wherry", script);

	return on ? put(ctid, script, before, err) : take_away(script, before, err);
}

int openvz_guard(const char *ctid, bool on, struct err *err)
{
	_cleanup_free_ char *script = xasprintf("%s/%s.mount", conf_dir(), ctid);

	return guard(ctid, script, on, err);
}

int openvz_guard_disk(const char *ctid, const char *private, bool on, struct err *err)
{
	_cleanup_free_ char *dir = xasprintf("%s/scripts", private);
	_cleanup_free_ char *script = xasprintf("%s/mount", dir);
	_cleanup_free_ char *layout = xasprintf("%s/.ve.layout", private);
	struct stat st;
	int r;

	if (!on && !file_exists(dir))
		return 0;
	r = on ? file_mkdirs(dir, 0755, err) : 0;
	if (r >= 0)
		r = guard(ctid, script, on, err);
	/* Where the older vzctl is there was none before. */
	if (r >= 0 && !on && lstat(layout, &st) < 0)
		(void)rmdir(dir);
	return r;
}
