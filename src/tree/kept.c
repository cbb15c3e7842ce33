#include "tree/kept.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/boot.h"
#include "base/cancel.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/str.h"
#include "tree/facts.h"
#include "tree/list.h"
#include "tree/walk.h"

#define MAGIC	    UINT64_C(0x317470656b2d7877)
#define FILE_MAX    (UINT64_C(1) << 32)
#define THREADS_MAX 4
#define TOUCHED_MAX 100000 /* beyond, a walk is as good */
#define TOUCHED_BYTES_MAX                                                                          \
	(16u << 20) /* of their paths, which a container makes as long as it likes */

struct kept_dir {
	uint64_t place, parent;
	struct digest128 own, names; /* its own; those of what is in it and no folder */
	uint64_t n;		     /* of names */
};

struct head {
	uint64_t magic, n, map;
	char boot[BOOT_ID_MAX];
};

/* In memory, of one refresh. */
enum { LISTED = 1, SEEN = 2, STALE = 4, GONE = 8 };

VEC(kept_dir_vec, struct kept_dir);
VEC(flags_vec, unsigned char);

struct kept {
	struct kept_dir_vec dirs;
	struct flags_vec flags;
	uint32_t *table; /* numbers in dirs, plus one, by place */
	size_t cap;
	char **touched;
	size_t n_touched, cap_touched, touched_bytes;
	bool lost;
};

struct later {
	uint64_t id, place, parent;
	struct digest128 own;
	size_t depth;
	char *name;
};
VEC(later_vec, struct later);

struct look {
	struct kept *k;
	struct walk w;
	struct list list;
	struct later_vec todo;
	const struct idmap *map;
	unsigned part, parts; /* of a walk by several threads: this is one's share of the names */
};

/* The table */

static uint32_t *slot_of(const struct kept *k, uint64_t place)
{
	size_t i = (size_t)((place * UINT64_C(0x9e3779b97f4a7c15)) >> 20) & (k->cap - 1);

	while (k->table[i] && k->dirs.v[k->table[i] - 1].place != place)
		i = (i + 1) & (k->cap - 1);
	return &k->table[i];
}

static void rehash(struct kept *k, size_t cap)
{
	free(k->table);
	k->cap = cap;
	k->table = xcalloc(cap, sizeof(*k->table));
	for (size_t i = 0; i < k->dirs.n; i++)
		*slot_of(k, k->dirs.v[i].place) = (uint32_t)i + 1;
}

/* The number of a folder, or -1. */
static ssize_t find(const struct kept *k, uint64_t place)
{
	return (ssize_t)*slot_of(k, place) - 1;
}

static size_t put(struct kept *k, uint64_t place, uint64_t parent)
{
	ssize_t i = find(k, place);

	if (i >= 0)
		return (size_t)i;
	*kept_dir_vec_push(&k->dirs) = (struct kept_dir){.place = place, .parent = parent};
	*flags_vec_push(&k->flags) = 0;
	if (k->dirs.n * 2 >= k->cap)
		rehash(k, k->cap * 2);
	else
		*slot_of(k, place) = (uint32_t)k->dirs.n;
	return k->dirs.n - 1;
}

struct kept *kept_new(void)
{
	struct kept *k = xnew(struct kept);

	*k = (struct kept){0};
	rehash(k, 256);
	return k;
}

static void forget_touched(struct kept *k)
{
	for (size_t i = 0; i < k->n_touched; i++)
		free(k->touched[i]);
	free(k->touched);
	k->touched = NULL;
	k->n_touched = k->cap_touched = k->touched_bytes = 0;
}

void kept_free(struct kept *k)
{
	if (!k)
		return;
	forget_touched(k);
	kept_dir_vec_done(&k->dirs);
	flags_vec_done(&k->flags);
	free(k->table);
	free(k);
}

/* Paths */

static uint64_t place_of(const char *path, uint64_t *ret_parent)
{
	_cleanup_free_ char *copy = xstrdup(path);
	uint64_t place = FACTS_PLACE_ROOT;
	char *rest = copy, *name;

	*ret_parent = FACTS_PLACE_NONE;
	while ((name = strsep(&rest, "/")))
		if (*name) {
			*ret_parent = place;
			place = facts_place(place, name);
		}
	return place;
}

void kept_touch(struct kept *k, const char *path)
{
	if (k->lost)
		return;
	k->touched_bytes += strlen(path) + 1;
	if (k->n_touched == TOUCHED_MAX || k->touched_bytes > TOUCHED_BYTES_MAX) {
		forget_touched(k);
		k->lost = true;
		return;
	}
	if (k->n_touched == k->cap_touched) {
		k->cap_touched = k->cap_touched ? k->cap_touched * 2 : 64;
		k->touched = xreallocarray(k->touched, k->cap_touched, sizeof(*k->touched));
	}
	k->touched[k->n_touched++] = xstrdup(path);
}

void kept_moved(struct kept *k, const char *path)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *folder = slash ? xstrndup(path, (size_t)(slash - path)) : xstrdup("");
	uint64_t parent;
	ssize_t i = find(k, place_of(path, &parent));

	if (i >= 0)
		k->flags.v[i] |= STALE;
	kept_touch(k, folder);
}

/* Looking */

static int failed_at(struct look *l, const char *name, struct err *err)
{
	_cleanup_free_ char *path = walk_path(&l->w, name);

	return err_prefix(err, "%s", path);
}

/* A folder that is listed: what is known of it stays, but for its own metadata, or it is looked
 * into. */
static void meet_dir(struct look *l, const struct list_item *i, uint64_t place, uint64_t facts)
{
	const char *name = list_name(&l->list, i);
	uint64_t below = facts_place(place, name);
	struct digest128 own = facts_name(place, name, facts);
	ssize_t at = find(l->k, below);

	if (at >= 0 && !(l->k->flags.v[at] & STALE)) {
		l->k->dirs.v[at].own = own;
		l->k->flags.v[at] |= SEEN;
		return;
	}
	*later_vec_push(&l->todo) = (struct later){i->id, below, place, own, l->w.n, xstrdup(name)};
}

static int meet(struct look *l, int fd, struct list_item *i, uint64_t place, struct kept_dir *sum,
	struct err *err)
{
	const char *name = list_name(&l->list, i);
	struct digest128 d;
	bool mine = i->id / 16 % l->parts == l->part; /* neighbours on disk stay together */
	uint64_t facts;
	struct stat st;
	int r;

	if (!mine && i->mode && !S_ISDIR(i->mode))
		return 0;
	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
		return err_errno(err, "stat");
	r = list_seen(i, &l->w, &st) ? 0 : list_look(&l->list, i, &l->w, err);
	if (r < 0)
		return r;
	r = facts_of_stat(fd, name, &st, l->map, &facts, err);
	if (r < 0)
		return r;
	if (S_ISDIR(st.st_mode)) {
		meet_dir(l, i, place, facts);
		return 0;
	}
	if (!mine)
		return 0;
	d = facts_name(place, name, facts);
	digest_add(&sum->names, &d);
	sum->n++;
	return 0;
}

/* What the current folder of w holds. */
static int look_into(struct look *l, const struct later *which, struct err *err)
{
	struct kept_dir sum = {.place = which->place, .parent = which->parent, .own = which->own};
	int fd = walk_fd(&l->w, err), r;
	size_t at;

	if (fd < 0)
		return fd;
	list_begin(&l->list, fd);
	l->list.quick = LIST_NAMES;
	while ((r = list_more(&l->list, &l->w, err)) > 0) {
		for (size_t i = 0; r >= 0 && i < l->list.n; i++) {
			r = meet(l, fd, &l->list.v[i], sum.place, &sum, err);
			if (r < 0)
				return failed_at(l, list_name(&l->list, &l->list.v[i]), err);
		}
		r = cancel_check(err);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	at = put(l->k, sum.place, sum.parent);
	l->k->dirs.v[at] = sum;
	l->k->flags.v[at] = (unsigned char)((l->k->flags.v[at] & ~STALE) | LISTED | SEEN);
	return 0;
}

static int look_below(struct look *l, size_t first, struct err *err)
{
	int r = 0;

	while (r >= 0 && l->todo.n > first) {
		struct later one = l->todo.v[--l->todo.n];

		walk_up(&l->w, l->w.n - one.depth);
		walk_down(&l->w, one.name, one.id);
		r = look_into(l, &one, err);
		free(one.name);
	}
	return r;
}

static void look_begin(struct look *l, struct kept *k, int root, const struct idmap *map)
{
	*l = (struct look){.k = k, .map = map, .parts = 1};
	walk_init(&l->w, root, true);
}

static void look_done(struct look *l)
{
	while (l->todo.n)
		free(l->todo.v[--l->todo.n].name);
	later_vec_done(&l->todo);
	list_done(&l->list);
	walk_done(&l->w);
}

/* The folder that w is at, by its own metadata and what is in it. */
static int look_at(struct look *l, const char *path, struct err *err)
{
	const char *slash = strrchr(path, '/');
	struct later one = {0};
	uint64_t facts;
	struct stat st;
	int fd, r;

	one.place = place_of(path, &one.parent);
	fd = walk_fd(&l->w, err);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return err_errno(err, "stat folder");
	r = facts_of_stat(fd, NULL, &st, l->map, &facts, err);
	if (r < 0)
		return failed_at(l, NULL, err);
	one.own = facts_name(one.parent, slash ? slash + 1 : path, facts);
	r = look_into(l, &one, err);
	return r < 0 ? r : look_below(l, 0, err);
}

/* A walk by several threads: each goes through all folders, and looks at its share of what they
 * hold. */
struct share {
	struct look look;
	int root; /* opened for each: where a list is in it belongs to the descriptor */
	pthread_t thread;
	struct err err;
	int r;
};

static void *walk_share(void *arg)
{
	struct share *s = arg;

	s->r = look_at(&s->look, "", &s->err);
	return NULL;
}

static void add_share(struct kept *k, const struct kept *other)
{
	for (size_t i = 0; i < other->dirs.n; i++) {
		const struct kept_dir *d = &other->dirs.v[i];
		ssize_t at = find(k, d->place);

		if (at < 0)
			continue; /* it came while we looked: then nothing fits anyway */
		digest_add(&k->dirs.v[at].names, &d->names);
		k->dirs.v[at].n += d->n;
	}
}

static int walk_shares(struct kept *k, int root, const struct idmap *map, struct err *err)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned parts = (unsigned)MAX(1, MIN(cpus, THREADS_MAX));
	struct share v[THREADS_MAX] = {0};
	int r = 0;

	for (unsigned i = 0; i < parts; i++) {
		v[i].root = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		look_begin(&v[i].look, i ? kept_new() : k, v[i].root, map);
		v[i].look.part = i;
		v[i].look.parts = parts;
		if (i && pthread_create(&v[i].thread, NULL, walk_share, &v[i]) != 0) {
			v[i].thread = 0;
			walk_share(&v[i]);
		}
	}
	walk_share(&v[0]);
	for (unsigned i = 0; i < parts; i++) {
		if (v[i].thread)
			pthread_join(v[i].thread, NULL);
		if (v[i].r < 0 && r >= 0)
			r = err_copy(err, &v[i].err);
		if (i && r >= 0)
			add_share(k, v[i].look.k);
		look_done(&v[i].look);
		if (v[i].root >= 0)
			close(v[i].root);
		if (i)
			kept_free(v[i].look.k);
	}
	return r;
}

int kept_walk(struct kept *k, int rootfd, const struct idmap *map, struct err *err)
{
	int root = walk_private_root(rootfd, err), r;

	if (root < 0)
		return root;
	forget_touched(k);
	k->dirs.n = k->flags.n = 0;
	k->lost = false;
	rehash(k, 256);
	r = walk_shares(k, root, map, err);
	close(root);
	return r;
}

/* Refreshing */

/* What is below something stale is, too. A folder always comes behind the one that it is in. */
static void spread_stale(struct kept *k)
{
	for (size_t i = 0; i < k->dirs.n; i++) {
		ssize_t up = find(k, k->dirs.v[i].parent);

		if (up >= 0 && k->flags.v[up] & STALE)
			k->flags.v[i] |= STALE;
	}
}

static bool is_gone(const struct kept *k, size_t i)
{
	ssize_t up = find(k, k->dirs.v[i].parent);

	if (k->dirs.v[i].place == FACTS_PLACE_ROOT)
		return false;
	return up < 0 || k->flags.v[up] & GONE ||
	       (k->flags.v[up] & LISTED && !(k->flags.v[i] & SEEN));
}

/* Without what was not found any more. false: something is stale still. */
static bool prune(struct kept *k)
{
	bool whole = true;
	size_t n = 0;

	for (size_t i = 0; i < k->dirs.n; i++)
		if (is_gone(k, i))
			k->flags.v[i] |= GONE;
	for (size_t i = 0; i < k->dirs.n; i++) {
		if (k->flags.v[i] & GONE)
			continue;
		whole &= !(k->flags.v[i] & STALE);
		k->dirs.v[n++] = k->dirs.v[i];
	}
	k->dirs.n = k->flags.n = n;
	memset(k->flags.v, 0, n);
	rehash(k, k->cap);
	return whole;
}

static void go_to(struct look *l, const char *path)
{
	_cleanup_free_ char *copy = xstrdup(path);
	char *rest = copy, *name;

	walk_up(&l->w, l->w.n);
	while ((name = strsep(&rest, "/")))
		if (*name)
			walk_down(&l->w, name, 0);
}

static int refresh_one(struct look *l, const char *path, struct err *err)
{
	uint64_t parent;
	ssize_t at = find(l->k, place_of(path, &parent));
	int r;

	if (at >= 0 && l->k->flags.v[at] & LISTED && !(l->k->flags.v[at] & STALE))
		return 0;
	go_to(l, path);
	r = look_at(l, path, err);
	if (r != -ERR_NOT_FOUND)
		return r;
	err_clear(err); /* it has moved, or is gone: the folder it was in says so */
	return 0;
}

int kept_refresh(
	struct kept *k, int rootfd, const struct idmap *map, bool *ret_done, struct err *err)
{
	struct look l;
	int root, r = 0;

	*ret_done = !k->lost && find(k, FACTS_PLACE_ROOT) >= 0;
	if (!*ret_done || !k->n_touched)
		return 0;
	root = walk_private_root(rootfd, err);
	if (root < 0)
		return root;
	spread_stale(k);
	look_begin(&l, k, root, map);
	for (size_t i = 0; r >= 0 && i < k->n_touched; i++)
		r = refresh_one(&l, k->touched[i], err);
	look_done(&l);
	close(root);
	forget_touched(k);
	*ret_done = r >= 0 && prune(k);
	return r;
}

void kept_sum(const struct kept *k, struct digest128 *ret, uint64_t *ret_entries)
{
	*ret = (struct digest128){{0}};
	*ret_entries = 0;
	for (size_t i = 0; i < k->dirs.n; i++) {
		digest_add(ret, &k->dirs.v[i].own);
		digest_add(ret, &k->dirs.v[i].names);
		*ret_entries += 1 + k->dirs.v[i].n;
	}
}

/* The file */

static char *path_of(const char *state_dir)
{
	return xasprintf("%s/kept", state_dir);
}

static bool head_ok(const struct head *h, size_t len)
{
	char boot[BOOT_ID_MAX];

	boot_id(boot);
	return h->magic == MAGIC && boot[0] && memcmp(h->boot, boot, sizeof(boot)) == 0 &&
	       (len - sizeof(*h)) / sizeof(struct kept_dir) == h->n &&
	       (len - sizeof(*h)) % sizeof(struct kept_dir) == 0;
}

static struct kept *read_file(const char *path, const struct idmap *map)
{
	_cleanup_free_ char *text = NULL;
	struct err err = ERR_INIT;
	struct kept *k;
	struct head h;
	size_t len;

	if (!file_exists(path) || file_read(path, FILE_MAX, &text, &len, &err) < 0 ||
		len < sizeof(h))
		return NULL;
	memcpy(&h, text, sizeof(h));
	if (!head_ok(&h, len) || h.map != facts_of_map(map))
		return NULL;
	k = kept_new();
	for (size_t i = 0; i < h.n; i++) {
		struct kept_dir d;
		size_t at;

		memcpy(&d, text + sizeof(h) + i * sizeof(d), sizeof(d));
		at = put(k, d.place, d.parent);
		k->dirs.v[at] = d;
	}
	return k;
}

int kept_load(const char *state_dir, const struct idmap *map, struct kept **ret, struct err *err)
{
	_cleanup_free_ char *path = path_of(state_dir);
	struct kept *k = read_file(path, map);

	if (unlink(path) == 0 || errno == ENOENT) {
		*ret = k;
		return 0;
	}
	kept_free(k);
	return err_errno(err, "remove %s", path);
}

int kept_save(const struct kept *k, const char *state_dir, const struct idmap *map, struct err *err)
{
	_cleanup_free_ char *path = path_of(state_dir), *new = xasprintf("%s.new", path);
	_cleanup_close_ int fd = open(
		new, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct head h = {.magic = MAGIC, .n = k->dirs.n, .map = facts_of_map(map)};
	int r;

	if (fd < 0)
		return err_errno(err, "create %s", new);
	boot_id(h.boot);
	r = fd_write_all(fd, &h, sizeof(h), CLOCK_NEVER, err);
	if (r >= 0)
		r = fd_write_all(fd, k->dirs.v, k->dirs.n * sizeof(*k->dirs.v), CLOCK_NEVER, err);
	/* Not synced: it means nothing after a crash of the host. */
	if (r >= 0 && rename(new, path) < 0)
		r = err_errno(err, "replace %s", path);
	return r;
}

int kept_read(const char *state_dir, const struct idmap *map, struct digest128 *ret,
	uint64_t *ret_entries)
{
	_cleanup_free_ char *path = path_of(state_dir);
	struct kept *k = read_file(path, map);

	if (!k)
		return 0;
	kept_sum(k, ret, ret_entries);
	kept_free(k);
	return 1;
}
