#include "convert/files.h"

#include <string.h>

#include "base/file.h"
#include "base/str.h"
#include "convert/veconf.h"

#define GLOBAL "/etc/vz/vz.conf"

/* The same folder under its names; the last is of Proxmox before version 4. */
static const char *const folders[] = {
	"/etc/vz/conf", "/etc/sysconfig/vz-scripts", "/etc/pve/openvz"};

void ve_files_done(struct ve_files *f)
{
	free(f->name);
	free(f->path);
	free((char *)(uintptr_t)f->source.conf);
	free((char *)(uintptr_t)f->source.global);
	*f = (struct ve_files){0};
}

static bool is_file(const char *ct)
{
	return strpbrk(ct, "/.") || file_exists(ct);
}

/* "101" of "/etc/vz/conf/101.conf"; "ct" where that would be no name. */
static char *name_of(const char *path)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	_cleanup_free_ char *name = xstrndup(base, strcspn(base, "."));

	return container_name_ok(name) ? TAKE_PTR(name) : xstrdup("ct");
}

static int find(const char *ct, char **ret, struct err *err)
{
	_cleanup_free_ char *path = NULL;

	if (!container_name_ok(ct))
		return err_set(err, ERR_INVALID, "\"%.64s\" is not the number of a container", ct);
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		free(path);
		path = xasprintf("%s/%s.conf", folders[i], ct);
		if (file_exists(path)) {
			*ret = TAKE_PTR(path);
			return 0;
		}
	}
	return err_set(err, ERR_NOT_FOUND,
		"there is no container %s of OpenVZ here (%s/%s.conf): run this on its node, or "
		"name a "
		"copy of that file",
		ct, folders[0], ct);
}

static int read_text(const char *path, const char **text, size_t *n, struct err *err)
{
	char *buf = NULL;
	int r = file_read(path, VECONF_MAX, &buf, n, err);

	if (r >= 0)
		*text = buf;
	return r;
}

int ve_files_load(const char *ct, const char *global, struct ve_files *ret, struct err *err)
{
	_cleanup_(ve_files_done) struct ve_files f = {0};
	int r;

	if (is_file(ct)) {
		f.path = xstrdup(ct);
		f.name = name_of(ct);
	} else {
		f.name = xstrdup(ct);
		r = find(ct, &f.path, err);
		if (r < 0)
			return r;
		global = !global && file_exists(GLOBAL) ? GLOBAL : global;
	}
	r = read_text(f.path, &f.source.conf, &f.source.conf_n, err);
	if (r >= 0 && global)
		r = read_text(global, &f.source.global, &f.source.global_n, err);
	if (r < 0)
		return r;
	*ret = f;
	f = (struct ve_files){0};
	return 0;
}
