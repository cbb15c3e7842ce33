#include "storage/zfs_dataset.h"

#include <libmount/libmount.h>
#include <string.h>

#include "base/alloc.h"
#include "base/beneath.h"
#include "base/log.h"
#include "base/num.h"
#include "base/proc.h"
#include "storage/place.h"

static bool char_ok(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       strchr("_-.:", c);
}

bool zfs_relative_ok(const char *name)
{
	size_t n = strlen(name);

	if (n >= ZFS_NAME_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		if (name[i] != '/' && !char_ok(name[i]))
			return false;
	return n == 0 || beneath_path_ok(name);
}

bool zfs_name_ok(const char *dataset)
{
	bool letter = (dataset[0] >= 'a' && dataset[0] <= 'z') ||
		      (dataset[0] >= 'A' && dataset[0] <= 'Z');

	return letter && zfs_relative_ok(dataset);
}

char *zfs_join(const char *dataset, const char *relative)
{
	return *relative ? xasprintf("%s/%s", dataset, relative) : xstrdup(dataset);
}

char *zfs_at(const char *dataset, const char *snap)
{
	return xasprintf("%s@%s", dataset, snap);
}

/* What is mounted: by its place, or by its name. The uppermost of several counts. */
static int look_up(const char *path, const char *dataset, char **ret, struct err *err)
{
	struct libmnt_table *table = mnt_new_table_from_file("/proc/self/mountinfo");
	struct libmnt_fs *fs = NULL;
	const char *type, *found = NULL;

	if (!table)
		return err_errno(err, "read the table of mounts");
	if (path)
		fs = mnt_table_find_target(table, path, MNT_ITER_BACKWARD);
	else
		fs = mnt_table_find_srcpath(table, dataset, MNT_ITER_BACKWARD);
	type = fs ? mnt_fs_get_fstype(fs) : NULL;
	if (type && strcmp(type, "zfs") == 0)
		found = path ? mnt_fs_get_source(fs) : mnt_fs_get_target(fs);
	/* A snapshot under .zfs is mounted too. */
	if (found && path && !zfs_name_ok(found))
		found = NULL;
	if (found)
		*ret = xstrdup(found);
	mnt_unref_table(table);
	return found != NULL;
}

int zfs_mounted_at(const char *path, char **ret, struct err *err)
{
	return look_up(path, NULL, ret, err);
}

int zfs_mounted_where(const char *dataset, char **ret, struct err *err)
{
	char *path = NULL;
	int r = look_up(NULL, dataset, &path, err);

	if (r >= 0)
		*ret = path;
	return r < 0 ? r : 0;
}

/* "/pool/ct/rootfs" in the pool at "/pool": "ct/rootfs". */
static const char *below(const char *pool_path, const char *path)
{
	size_t n = strlen(pool_path);

	while (n && pool_path[n - 1] == '/')
		n--;
	return strncmp(path, pool_path, n) == 0 && path[n] == '/' ? path + n + 1 : NULL;
}

int zfs_dataset_at(const struct volume *v, const char *path, char **ret, struct err *err)
{
	const char *relative = below(v->pool_path, path);
	_cleanup_free_ char *base = NULL;
	_cleanup_free_ char *name = NULL;
	int r = zfs_mounted_at(v->pool_path, &base, err);

	if (r < 0)
		return r;
	if (r == 0 || !relative)
		return err_set(err, ERR_NOT_FOUND,
			"no dataset is mounted at %s: is its pool imported? (zfs mount -a)",
			v->pool_path);
	name = zfs_join(base, relative);
	if (!zfs_name_ok(name))
		return err_set(err, ERR_INVALID, "\"%s\" cannot name a dataset of ZFS", name);
	*ret = TAKE_PTR(name);
	return 0;
}

int zfs_dataset_of(const struct volume *v, char **ret, struct err *err)
{
	int r = zfs_mounted_at(v->path, ret, err);

	return r == 0 ? zfs_dataset_at(v, v->path, ret, err) : MIN(r, 0);
}

int zfs_run(const char *const *argv, struct err *err)
{
	return proc_run(argv, err);
}

int zfs_capture(const char *const *argv, char **ret, struct err *err)
{
	return proc_capture(argv, ZFS_OUTPUT_MAX, ret, err);
}

static bool says_missing(const struct err *err)
{
	return strstr(err->text, "dataset does not exist") ||
	       strstr(err->text, "could not find any snapshots") ||
	       strstr(err->text, "no such pool");
}

int zfs_exists(const char *name, struct err *err)
{
	const char *argv[] = {
		"zfs", "list", "-H", "-p", "-d", "0", "-t", "all", "-o", "name", name, NULL};
	_cleanup_free_ char *out = NULL;
	int r = zfs_capture(argv, &out, err);

	if (r >= 0)
		return 1;
	if (!says_missing(err))
		return r;
	err_clear(err);
	return 0;
}

/* One line of `zfs list -o name,type`. */
static int take_nested(char *line, const char *dataset, char ***ret, struct err *err)
{
	char *tab = strchr(line, '\t');
	size_t n = strlen(dataset);

	if (!tab)
		return err_set(err, ERR_INTERNAL, "zfs list: not a line of it: %s", line);
	*tab = '\0';
	if (strcmp(tab + 1, "filesystem") != 0)
		return err_set(err, ERR_UNSUPPORTED,
			"%s in it is a volume of blocks, which cannot be sent: move it elsewhere",
			line);
	if (strncmp(line, dataset, n) != 0 || (line[n] && line[n] != '/'))
		return err_set(err, ERR_INTERNAL, "zfs list: %s is not below %s", line, dataset);
	if (!zfs_name_ok(line))
		return err_set(err, ERR_UNSUPPORTED,
			"the dataset \"%s\" has a blank or another character in its name that "
			"cannot be sent: rename it",
			line);
	strv_push(ret, line[n] ? line + n + 1 : "");
	return 0;
}

int zfs_parse_nested(const char *text, const char *dataset, char ***ret, struct err *err)
{
	_cleanup_strv_ char **lines = str_split(text, "\n", false), **names = NULL;
	int r = 0;

	if (strv_len(lines) > ZFS_NESTED_MAX)
		return err_set(err, ERR_UNSUPPORTED, "%s has more than %d datasets in it", dataset,
			ZFS_NESTED_MAX);
	for (size_t i = 0; r >= 0 && lines[i]; i++)
		r = take_nested(lines[i], dataset, &names, err);
	if (r < 0)
		return r;
	if (!names || *names[0])
		return err_set(err, ERR_INTERNAL, "zfs list: it does not begin with %s", dataset);
	*ret = TAKE_PTR(names);
	return 0;
}

int zfs_nested(const char *dataset, char ***ret, struct err *err)
{
	const char *argv[] = {"zfs", "list", "-H", "-p", "-r", "-t", "filesystem,volume", "-s",
		"name", "-o", "name,type", dataset, NULL};
	_cleanup_free_ char *out = NULL;
	int r = zfs_capture(argv, &out, err);

	if (r < 0 && says_missing(err))
		return err_set(err, ERR_NOT_FOUND, "there is no dataset %s", dataset);
	return r < 0 ? r : zfs_parse_nested(out, dataset, ret, err);
}

int zfs_make_above(const struct volume *v, const char *dataset, struct err *err)
{
	_cleanup_free_ char *base = NULL;
	_cleanup_free_ char *name = xstrdup(dataset);
	const char *argv[] = {
		"zfs", "create", "-o", "canmount=off", "-o", ZFS_PLACE "=yes", name, NULL};
	int r = zfs_mounted_at(v->pool_path, &base, err);

	if (r <= 0)
		return r < 0 ? r
			     : err_set(err, ERR_NOT_FOUND, "no dataset is mounted at %s",
				       v->pool_path);
	for (char *slash = name + strlen(base) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		r = zfs_exists(name, err);
		if (r == 0)
			r = zfs_run(argv, err);
		*slash = '/';
		if (r < 0)
			return r;
	}
	return 0;
}

void zfs_prune_above(const char *dataset)
{
	_cleanup_free_ char *name = xstrdup(dataset);
	char *slash;

	while ((slash = strrchr(name, '/'))) {
		const char *argv[] = {"zfs", "destroy", name, NULL};
		_cleanup_free_ char *place = NULL;
		struct err ignored = ERR_INIT;

		*slash = '\0';
		if (zfs_get(name, ZFS_PLACE, &place, &ignored) < 0 || !str_eq(place, "yes") ||
			zfs_run(argv, &ignored) < 0)
			return;
	}
}

int zfs_get(const char *name, const char *property, char **ret, struct err *err)
{
	/* User properties are inherited: only what the dataset has itself is meant. */
	const char *argv[] = {"zfs", "get", "-H", "-p", "-o", "value", property, name, NULL};
	const char *own[] = {"zfs", "get", "-H", "-p", "-s", "local,received", "-o", "value",
		property, name, NULL};
	_cleanup_free_ char *out = NULL;
	int r = zfs_capture(strchr(property, ':') ? own : argv, &out, err);

	if (r < 0)
		return r;
	out[strcspn(out, "\n")] = '\0';
	*ret = *out ? TAKE_PTR(out) : xstrdup("-");
	return 0;
}

int zfs_get_u64(const char *name, const char *property, uint64_t *ret, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	int r = zfs_get(name, property, &text, err);

	return r < 0 ? r : num_u64(text, UINT64_MAX, ret, err);
}

int zfs_set(const char *dataset, const char *property, const char *value, struct err *err)
{
	_cleanup_free_ char *word = xasprintf("%s=%s", property, value);
	const char *argv[] = {"zfs", "set", word, dataset, NULL};

	return zfs_run(argv, err);
}

int zfs_unset(const char *dataset, const char *property, struct err *err)
{
	const char *argv[] = {"zfs", "inherit", property, dataset, NULL};

	return zfs_run(argv, err);
}

int zfs_parse_snapshots(const char *text, struct snapshot_vec *ret, struct err *err)
{
	_cleanup_strv_ char **lines = str_split(text, "\n", false);

	for (size_t i = 0; lines[i]; i++) {
		char *at = strchr(lines[i], '@'), *tab = strchr(lines[i], '\t');
		struct volume_snapshot s = {0};
		int r;

		if (!at || !tab || tab < at)
			return err_set(
				err, ERR_INTERNAL, "zfs list: not a line of it: %s", lines[i]);
		*tab = '\0';
		r = num_u64(tab + 1, INT64_MAX, &s.created, err);
		if (r < 0)
			return err_prefix(err, "zfs list: %s", lines[i]);
		if (place_check_snapshot(at + 1, &(struct err)ERR_INIT) < 0) {
			log_warning("snapshot %s is left out: it has a name that cannot be sent",
				lines[i]);
			continue;
		}
		s.own = str_starts(at + 1, "wherry-");
		strcpy(s.name, at + 1);
		*snapshot_vec_push(ret) = s;
	}
	return 0;
}

int zfs_snapshots_of(const char *dataset, struct snapshot_vec *ret, struct err *err)
{
	const char *argv[] = {"zfs", "list", "-H", "-p", "-d", "1", "-t", "snapshot", "-s",
		"createtxg", "-o", "name,creation", dataset, NULL};
	_cleanup_free_ char *out = NULL;
	int r = zfs_capture(argv, &out, err);

	if (r < 0 && says_missing(err)) {
		err_clear(err);
		return 0;
	}
	return r < 0 ? r : zfs_parse_snapshots(out, ret, err);
}

int zfs_unmount_all(const char *dataset, struct err *err)
{
	_cleanup_strv_ char **nested = NULL;
	int r = zfs_nested(dataset, &nested, err);

	for (size_t i = r < 0 ? 0 : strv_len(nested); r >= 0 && i > 0; i--) {
		_cleanup_free_ char *name = zfs_join(dataset, nested[i - 1]);
		_cleanup_free_ char *path = NULL;
		const char *argv[] = {"zfs", "unmount", name, NULL};

		r = zfs_mounted_where(name, &path, err);
		if (r >= 0 && path)
			r = zfs_run(argv, err);
	}
	return r;
}
