/* Snapshots that people make: `ct snapshot`. Cheap where the storage can; otherwise a copy by the
 * tree engine. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/beneath.h"
#include "base/file.h"
#include "base/str.h"
#include "move/containers.h"
#include "move/places.h"
#include "runtime/runtime.h"
#include "tree/tree.h"

static int copy_into(
	struct volume *v, int dir, const char *name, struct progress *p, struct err *err)
{
	_cleanup_close_ int from = -1, to = -1;
	struct tree_result res = {0};
	int r = volume_root(v, &from, err);

	if (r < 0)
		return r;
	if (mkdirat(dir, name, 0700) < 0)
		return err_errno(err, "make snapshot '%s'", name);
	to = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (to < 0)
		return err_errno(err, "open snapshot '%s'", name);
	r = tree_copy(from, to, p, &res, err);
	tree_result_done(&res);
	return r;
}

/* An unfinished copy has a dot in front: nobody takes it for a snapshot. */
static int copy_snapshot(struct volume *v, const char *snap, struct progress *p, struct err *err)
{
	_cleanup_free_ char *tmp = xasprintf(".%s", snap);
	_cleanup_close_ int fd = -1;
	int r = volume_snapshot_folder(v, &fd, err);

	if (r < 0)
		return r;
	if (faccessat(fd, snap, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return err_set(err, ERR_EXISTS, "there is a snapshot '%s' already", snap);
	r = beneath_remove_tree(fd, tmp, err);
	if (r >= 0)
		r = copy_into(v, fd, tmp, p, err);
	if (r >= 0 && renameat2(fd, tmp, fd, snap, RENAME_NOREPLACE) < 0)
		r = err_errno(err, "finish snapshot '%s'", snap);
	return r;
}

static bool name_ok(const char *s)
{
	size_t n = strspn(
		s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:@+-");

	return n > 0 && n < 128 && !s[n] && s[0] != '.' && s[0] != '-';
}

static int open_for_snapshot(struct move_ctx *m, const char *ct, const char *name, int *ret_lock,
	struct volume_vec *ret, struct err *err)
{
	_cleanup_container_ struct container *c = NULL;
	int r = move_check_exists(ct, err);

	if (r >= 0 && (!name_ok(name) || str_starts(name, "wherry-")))
		r = err_set(err, ERR_INVALID, "'%s' can't be a snapshot's name%s", name,
			str_starts(name, "wherry-")
				? ": those that begin with wherry- are Wherry's own"
				: "");
	if (r >= 0)
		r = move_lock(m, ct, false, ret_lock, err);
	if (r >= 0)
		r = runtime_load(ct, &c, err);
	return r < 0 ? r : places_volumes(c, ret, err);
}

int containers_snapshot(
	struct move_ctx *m, const char *ct, const char *name, json_t **ret, struct err *err)
{
	_cleanup_close_ int lock = -1;
	struct volume_vec vols = {0};
	struct err undo_err = ERR_INIT;
	size_t made = 0;
	int r = open_for_snapshot(m, ct, name, &lock, &vols, err);

	for (; r >= 0 && made < vols.n; made += r >= 0) {
		struct volume *v = vols.v[made];

		r = volume_can(v, STORAGE_SNAPSHOT) ? volume_snapshot(v, name, err)
						    : copy_snapshot(v, name, m->progress, err);
	}
	/* All volumes or none. */
	while (r < 0 && made > 0)
		if (volume_snapshot_destroy(vols.v[--made], name, &undo_err) < 0)
			break;
	volume_vec_free(&vols);
	return r < 0 ? r : containers_show(m, ct, ret, err);
}

int containers_snapshot_delete(
	struct move_ctx *m, const char *ct, const char *name, json_t **ret, struct err *err)
{
	_cleanup_close_ int lock = -1;
	struct volume_vec vols = {0};
	int r = open_for_snapshot(m, ct, name, &lock, &vols, err);

	for (size_t i = 0; r >= 0 && i < vols.n; i++)
		r = volume_snapshot_destroy(vols.v[i], name, err);
	volume_vec_free(&vols);
	return r < 0 ? r : containers_show(m, ct, ret, err);
}
