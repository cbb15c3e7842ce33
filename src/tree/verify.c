#include "tree/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/xxh.h"
#include "tree/digest.h"
#include "tree/entry.h"
#include "tree/list.h"
#include "tree/walk.h"

/* What one name adds. Numbers as the container sees them, in the host's byte order of both sides:
 * little-endian. */
struct facts {
	uint64_t place; /* of the folder it is in */
	uint64_t mtime, size, rdev, link;
	uint32_t mode, uid, gid, zero;
};

struct later {
	uint64_t id, place;
	size_t depth;
	char *name;
};
VEC(later_vec, struct later);

struct verify {
	struct walk w;
	struct list list;
	struct later_vec todo;
	const struct idmap *idmap;
	struct digest128 sum;
	uint64_t entries;
};

static int link_digest(int dirfd, const char *name, uint64_t *ret)
{
	char target[4096];
	ssize_t n = readlinkat(dirfd, name, target, sizeof(target));

	if (n < 0)
		return -1;
	*ret = XXH3_64bits(target, (size_t)n);
	return 0;
}

static void add(struct verify *v, const char *name, const struct facts *f)
{
	XXH128_hash_t h = XXH3_128bits_withSeed(f, sizeof(*f), XXH3_64bits(name, strlen(name)));
	struct digest128 d;

	memcpy(d.b, &h, sizeof(d.b));
	digest_add(&v->sum, &d);
	v->entries++;
}

/* Content was checked frame by frame as it came in; sizes and times are those of the file that
 * holds it. A folder's size is its file system's affair. */
static int take(struct verify *v, int dirfd, const char *name, uint64_t place,
	const struct stat *st, struct err *err)
{
	struct facts f = {
		.place = place, .mtime = (uint64_t)st->st_mtim.tv_sec, .mode = st->st_mode};

	if (idmap_from_disk(v->idmap, false, st->st_uid, &f.uid) < 0 ||
		idmap_from_disk(v->idmap, true, st->st_gid, &f.gid) < 0) {
		_cleanup_free_ char *path = walk_path(&v->w, name);

		return err_set(err, ERR_UNSUPPORTED,
			"%s belongs to %u:%u, which the container's id map does not have", path,
			st->st_uid, st->st_gid);
	}
	if (S_ISREG(st->st_mode) || S_ISLNK(st->st_mode))
		f.size = (uint64_t)st->st_size;
	if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode))
		f.rdev = st->st_rdev;
	if (S_ISLNK(st->st_mode) && link_digest(dirfd, name, &f.link) < 0)
		return err_errno(err, "read a link while the tree was verified");
	add(v, name, &f);
	return 0;
}

static int verify_name(
	struct verify *v, int dirfd, const struct list_item *i, uint64_t place, struct err *err)
{
	const char *name = list_name(&v->list, i);
	struct stat st;
	int r;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(err, "stat a file while the tree was verified");
	r = take(v, dirfd, name, place, &st, err);
	if (r >= 0 && S_ISDIR(st.st_mode))
		*later_vec_push(&v->todo) = (struct later){i->id,
			XXH3_64bits_withSeed(name, strlen(name), place), v->w.n, xstrdup(name)};
	return r;
}

static int verify_dir(struct verify *v, uint64_t place, struct err *err)
{
	int fd = walk_fd(&v->w, err), r;

	if (fd < 0)
		return fd;
	list_begin(&v->list, fd);
	while ((r = list_more(&v->list, &v->w, err)) > 0) {
		for (size_t i = 0; r >= 0 && i < v->list.n; i++)
			r = verify_name(v, fd, &v->list.v[i], place, err);
		if (r >= 0)
			r = cancel_check(err);
		if (r < 0)
			return r;
	}
	return r;
}

static int verify_all(struct verify *v, int root, struct err *err)
{
	struct stat st;
	int r;

	if (fstat(root, &st) < 0)
		return err_errno(err, "stat the root of the tree");
	r = take(v, root, "", 0, &st, err);
	if (r >= 0)
		r = verify_dir(v, 1, err);
	while (r >= 0 && v->todo.n) {
		struct later l = v->todo.v[--v->todo.n];

		walk_up(&v->w, v->w.n - l.depth);
		walk_down(&v->w, l.name, l.id);
		free(l.name);
		r = verify_dir(v, l.place, err);
	}
	return r;
}

int tree_verify(int rootfd, const struct idmap *idmap, struct digest128 *ret, uint64_t *ret_entries,
	struct err *err)
{
	struct verify v = {.idmap = idmap};
	int root = walk_private_root(rootfd, err), r;

	if (root < 0)
		return root;
	walk_init(&v.w, root, true);
	r = verify_all(&v, root, err);
	while (v.todo.n)
		free(v.todo.v[--v.todo.n].name);
	later_vec_done(&v.todo);
	list_done(&v.list);
	walk_done(&v.w);
	close(root);
	if (r < 0)
		return r;
	*ret = v.sum;
	*ret_entries = v.entries;
	return 0;
}
