#include "runtime/lxc_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"
#include "runtime/lxc_config.h"
#include "runtime/lxc_render.h"
#include "runtime/lxc_volume.h"

#define CONFIG	    "config"
#define STAGED	    "config.staged"
#define CONFIG_MODE 0640

static char *path_of(const char *lxcpath, const char *name, const char *file)
{
	return xasprintf("%s/%s/%s", lxcpath, name, file);
}

/* The configuration that is there: config, else config.staged; NULL for neither. */
static char *config_path(const char *lxcpath, const char *name)
{
	char *path = path_of(lxcpath, name, CONFIG);

	if (file_exists(path))
		return path;
	free(path);
	path = path_of(lxcpath, name, STAGED);
	if (file_exists(path))
		return path;
	free(path);
	return NULL;
}

bool lxc_folder_exists(const char *lxcpath, const char *name)
{
	_cleanup_free_ char *path = config_path(lxcpath, name);

	return path != NULL;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int lxc_folder_list(const char *lxcpath, char ***ret, struct err *err)
{
	_cleanup_closedir_ DIR *dir = opendir(lxcpath);
	_cleanup_strv_ char **names = str_split("", "/", false);
	struct dirent *e;

	if (!dir && errno != ENOENT)
		return err_errno(err, "open %s", lxcpath);
	while (dir && (e = readdir(dir))) {
		_cleanup_free_ char *config = path_of(lxcpath, e->d_name, CONFIG);

		if (container_name_ok(e->d_name) && file_exists(config))
			strv_push(&names, e->d_name);
	}
	qsort(names, strv_len(names), sizeof(names[0]), compare_names);
	*ret = TAKE_PTR(names);
	return 0;
}

static int read_config(const char *lxcpath, const char *name, char **ret_path, char **ret_text,
	size_t *ret_n, struct err *err)
{
	_cleanup_free_ char *path = config_path(lxcpath, name);
	int r;

	if (!path)
		return err_set(err, ERR_NOT_FOUND, "there is no container %s in %s", name, lxcpath);
	r = file_read(path, LXC_CONFIG_MAX, ret_text, ret_n, err);
	if (r < 0)
		return r;
	*ret_path = TAKE_PTR(path);
	return 0;
}

static bool is_other_than_folder(const char *path)
{
	struct stat st;

	return path && stat(path, &st) == 0 && !S_ISDIR(st.st_mode);
}

/* The text does not tell a folder from a file: a disk image for a root, a single file bound in. */
static void refuse_files(struct container *c)
{
	size_t kept = 1;

	if (is_other_than_folder(c->volumes.v[0].path)) {
		option_add(&c->refused, "lxc.rootfs.path", c->volumes.v[0].path,
			"is no folder, and Wherry cannot move it");
		free(c->volumes.v[0].path);
		c->volumes.v[0].path = NULL;
	}
	for (size_t i = 1; i < c->volumes.n; i++) {
		struct ct_volume *v = &c->volumes.v[i];

		if (!is_other_than_folder(v->path)) {
			c->volumes.v[kept++] = *v;
			continue;
		}
		option_add(&c->refused, "lxc.mount.entry", v->path, "is a single file of the host");
		free(v->name);
		free(v->mountpoint);
		free(v->path);
		free(v->options);
	}
	c->volumes.n = kept;
}

int lxc_folder_load(const char *lxcpath, const char *name, bool unified, struct container **ret,
	struct err *err)
{
	const struct lxc_place place = {lxcpath, name, unified};
	_cleanup_free_ char *path = NULL, *text = NULL;
	size_t n;
	int r = read_config(lxcpath, name, &path, &text, &n, err);

	if (r < 0)
		return r;
	r = lxc_config_parse(text, n, &place, ret, err);
	if (r < 0)
		return err_prefix(err, "%s", path);
	refuse_files(*ret);
	return 0;
}

/* Lets only the right ones pass. */
static int seal_folder(const char *path, const struct container *c, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	gid_t group = 0;
	mode_t mode = 0770;

	if (fd < 0)
		return errno == ENOENT ? 0 : err_errno(err, "open %s", path);
	if (!container_privileged(c))
		mode = idmap_to_host(&c->idmap, true, 0, &group) == 0 ? 0750 : 0711;
	if (fchown(fd, 0, group) < 0 || fchmod(fd, mode) < 0)
		return err_errno(err, "set owner and mode of %s", path);
	return 0;
}

/* The same for POOL/NAME, where a volume lies in another pool. Not there yet: see publish. */
static int seal_pools(const struct container *c, struct err *err)
{
	for (size_t i = 0; i < c->volumes.n; i++) {
		_cleanup_free_ char *folder = xstrdup(c->volumes.v[i].path);
		char *slash = folder ? strrchr(folder, '/') : NULL, *last;
		int r;

		if (!slash || slash == folder)
			continue;
		*slash = '\0';
		last = strrchr(folder, '/');
		if (!last || strcmp(last + 1, c->name) != 0)
			continue;
		r = seal_folder(folder, c, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int lxc_folder_define(const char *lxcpath, const struct container *c, bool staged, struct err *err)
{
	_cleanup_free_ char *folder = xasprintf("%s/%s", lxcpath, c->name);
	_cleanup_free_ char *config = path_of(lxcpath, c->name, CONFIG);
	_cleanup_free_ char *path = staged ? path_of(lxcpath, c->name, STAGED) : xstrdup(config);
	_cleanup_free_ char *text = lxc_render(c);
	int r;

	if (staged && file_exists(config))
		return err_set(err, ERR_EXISTS, "there is a container %s already", c->name);
	if ((r = file_mkdirs(folder, 0700, err)) < 0 || (r = seal_folder(folder, c, err)) < 0 ||
		(r = seal_pools(c, err)) < 0)
		return r;
	return file_replace(path, text, strlen(text), CONFIG_MODE, err);
}

/* Renames from to to, durably. Done already is fine. */
static int rename_config(const char *lxcpath, const char *name, const char *from, const char *to,
	bool must_exist, struct err *err)
{
	_cleanup_free_ char *folder = xasprintf("%s/%s", lxcpath, name);
	_cleanup_free_ char *a = path_of(lxcpath, name, from);
	_cleanup_free_ char *b = path_of(lxcpath, name, to);

	if (rename(a, b) == 0)
		return file_sync_dir(folder, err);
	if (errno != ENOENT)
		return err_errno(err, "rename %s to %s", a, b);
	if (file_exists(b)) /* perhaps renamed just before a crash */
		return file_sync_dir(folder, err);
	if (must_exist)
		return err_set(err, ERR_NOT_FOUND, "there is no container %s in %s", name, lxcpath);
	return 0;
}

int lxc_folder_publish(const char *lxcpath, const char *name, struct err *err)
{
	_cleanup_container_ struct container *c = NULL;
	int r = lxc_folder_load(lxcpath, name, false, &c, err);

	if (r < 0 || (r = seal_pools(c, err)) < 0)
		return r;
	return rename_config(lxcpath, name, STAGED, CONFIG, true, err);
}

int lxc_folder_withdraw(const char *lxcpath, const char *name, struct err *err)
{
	return rename_config(lxcpath, name, CONFIG, STAGED, false, err);
}

/* What we and LXC leave beside the configuration: halves of replaced files, and the log that LXC
 * writes here when the containers' folder is not the usual one. */
static bool is_remnant(const char *file, const char *name)
{
	_cleanup_free_ char *log = xasprintf("%s.log", name);

	return str_starts(file, "." CONFIG ".") || strcmp(file, log) == 0;
}

static int remove_remnants(const char *folder, const char *name, struct err *err)
{
	_cleanup_closedir_ DIR *dir = opendir(folder);
	struct dirent *e;

	if (!dir)
		return errno == ENOENT ? 0 : err_errno(err, "open %s", folder);
	while ((e = readdir(dir))) {
		_cleanup_free_ char *path = xasprintf("%s/%s", folder, e->d_name);
		int r;

		if (!is_remnant(e->d_name, name))
			continue;
		r = file_remove(path, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int lxc_folder_undefine(const char *lxcpath, const char *name, struct err *err)
{
	_cleanup_free_ char *folder = xasprintf("%s/%s", lxcpath, name);
	_cleanup_free_ char *config = path_of(lxcpath, name, CONFIG);
	_cleanup_free_ char *staged = path_of(lxcpath, name, STAGED);
	int r;

	if (!file_exists(folder))
		return 0;
	if ((r = file_remove(config, err)) < 0 || (r = file_remove(staged, err)) < 0 ||
		(r = remove_remnants(folder, name, err)) < 0 ||
		(r = file_sync_dir(folder, err)) < 0)
		return r;
	/* The container's files may lie in it, or things of the administrator. */
	if (rmdir(folder) < 0 && errno != ENOENT && errno != ENOTEMPTY && errno != EEXIST &&
		errno != EBUSY)
		return err_errno(err, "remove %s", folder);
	return file_sync_dir(lxcpath, err);
}

/* Puts text where the configuration at path was, which may be a symlink of a user's. */
static int replace_config(const char *path, const char *text, size_t n, struct err *err)
{
	_cleanup_free_ char *real = realpath(path, NULL);
	struct stat st;
	int r;

	if (!real || stat(real, &st) < 0)
		return err_errno(err, "look at %s", path);
	r = file_replace(real, text, n, st.st_mode & 07777, err);
	if (r < 0)
		return r;
	if ((st.st_uid || st.st_gid) && lchown(real, st.st_uid, st.st_gid) < 0)
		return err_errno(err, "set owner of %s", real);
	return 0;
}

int lxc_folder_mounter(const char *lxcpath, const char *name, struct err *err)
{
	_cleanup_container_ struct container *c = NULL;
	_cleanup_free_ char *path = NULL, *text = NULL, *line = NULL, *want = NULL;
	size_t n;
	int r = lxc_folder_load(lxcpath, name, false, &c, err);

	if (r < 0 || c->volumes.v[0].mounted || !c->volumes.v[0].path)
		return r;
	r = read_config(lxcpath, name, &path, &text, &n, err);
	if (r < 0)
		return r;
	line = lxc_volume_mounter(&c->volumes.v[0]);
	want = xasprintf(
		"%s%s" LXC_GUARD_KEY " = %s\n", text, n && text[n - 1] != '\n' ? "\n" : "", line);
	return replace_config(path, want, strlen(want), err);
}

int lxc_folder_guard(const char *lxcpath, const char *name, bool on, struct err *err)
{
	_cleanup_free_ char *path = NULL, *text = NULL, *want = NULL;
	_cleanup_free_ char *folder = xasprintf("%s/%s", lxcpath, name);
	size_t n, want_n;
	int r = read_config(lxcpath, name, &path, &text, &n, err);

	if (r < 0)
		return r;
	want = lxc_render_guard(text, n, on, &want_n);
	if (want_n == n && memcmp(want, text, n) == 0)
		return file_sync_dir(folder, err); /* perhaps replaced just before a crash */
	return replace_config(path, want, want_n, err);
}

bool lxc_folder_guarded(const char *lxcpath, const char *name)
{
	_cleanup_free_ char *path = NULL, *text = NULL, *without = NULL;
	struct err err = ERR_INIT;
	size_t n, without_n;

	if (read_config(lxcpath, name, &path, &text, &n, &err) < 0)
		return false;
	without = lxc_render_guard(text, n, false, &without_n);
	return without_n != n;
}
