#include "archive/import.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "move/adopt.h"
#include "move/containers.h"
#include "move/fit.h"
#include "move/promise.h"
#include "node/ownership.h"
#include "node/transfer.h"
#include "runtime/runtime.h"
#include "storage/blockfs.h"

#define ROOM_EVERY    (UINT64_C(16) << 20)
#define ROOM_KEPT     (UINT64_C(32) << 20) /* of the pool, for others */
#define INODES_KEPT   1000
#define REST_BUF      (64u << 10)
#define START_TIMEOUT (60 * USEC_PER_SEC)

static const struct archive_reader *const readers[] = {&own_reader, &osctl_reader};

ssize_t import_read(struct importing *x, void *buf, size_t n, struct err *err)
{
	size_t k = MIN(n, x->start_n);

	if (k == 0)
		return fd_read_some(x->fd, buf, n, CLOCK_NEVER, err);
	memcpy(buf, x->start, k);
	memmove(x->start, x->start + k, x->start_n - k);
	x->start_n -= k;
	return (ssize_t)k;
}

int import_room(void *importing, uint64_t bytes, struct err *err)
{
	struct importing *x = importing;
	struct pool_space space;
	int r;

	x->taken += bytes;
	x->unchecked += bytes;
	if (x->o->max_size && x->taken > x->o->max_size)
		return err_set(err, ERR_NO_SPACE,
			"the archive holds more than the %llu bytes that --max-size allows",
			(unsigned long long)x->o->max_size);
	if (x->unchecked < ROOM_EVERY)
		return 0;
	x->unchecked = 0;
	r = pool_space(x->pool, &space, err);
	if (r < 0)
		return r;
	if (space.bytes_free < ROOM_KEPT || space.inodes_free < INODES_KEPT)
		return err_set(err, ERR_NO_SPACE,
			"pool '%s' is full: make room, or name another pool with --pool",
			x->pool->name);
	return 0;
}

/* Opening a pipe or a device may wait for ever, or do something. */
static int open_file(struct importing *x, struct err *err)
{
	const char *file = x->o->file;
	struct stat st;

	if (!file) {
		x->fd = fcntl(x->o->fd, F_DUPFD_CLOEXEC, 0);
		return x->fd < 0 ? err_errno(err, "standard input") : 0;
	}
	x->fd = open(file, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (x->fd < 0 || fstat(x->fd, &st) < 0)
		return err_errno(err, "open %s", file);
	if (S_ISREG(st.st_mode))
		return 0;
	return err_set(err, ERR_INVALID,
		"%s is a %s, not a file with an archive: what comes through a pipe is read from "
		"standard input, with - for its name",
		file,
		S_ISDIR(st.st_mode)    ? "folder"
		: S_ISFIFO(st.st_mode) ? "pipe"
				       : "device");
}

int import_rest(struct importing *x, struct err *err)
{
	_cleanup_free_ char *buf = xmalloc(REST_BUF);
	ssize_t n;

	while ((n = import_read(x, buf, REST_BUF, err)) > 0)
		for (ssize_t i = 0; i < n; i++)
			if (buf[i])
				return err_set(err, ERR_CORRUPT,
					"there are data behind the archive's end: is it more than "
					"one file, or another kind of file?");
	return (int)n;
}

static int open_archive(struct importing *x, struct err *err)
{
	ssize_t n = open_file(x, err);

	if (n < 0)
		return (int)n;
	/* Not more than what the shortest kind has: the rest of it is read from the descriptor. */
	n = fd_read_full(x->fd, x->start, 17, true, CLOCK_NEVER, err);
	if (n < 0)
		return err_prefix(err, "the archive");
	x->start_n = (size_t)n;
	for (size_t i = 0; i < ARRAY_SIZE(readers); i++)
		if (readers[i]->mine(x->start, x->start_n)) {
			x->r = readers[i];
			return x->r->open(x, err);
		}
	return err_set(err, ERR_UNSUPPORTED,
		"%s is neither an archive of Wherry's nor one of osctl's",
		x->o->file ? x->o->file : "standard input");
}

/* Names */

static int choose_name(struct importing *x, struct err *err)
{
	struct container *c = x->c;

	if (x->o->as_id) {
		free(c->name);
		c->name = xstrdup(x->o->as_id);
	}
	if (!c->name[0])
		return err_set(err, ERR_INVALID,
			"the archive does not say what its container is called: say it with "
			"--as-id");
	if (!container_name_ok(c->name)) {
		_cleanup_free_ char *shown = str_escape(c->name, strnlen(c->name, 100));

		return err_set(err, ERR_INVALID,
			"'%s' can't be a container's name: say another with --as-id", shown);
	}
	return move_lock(x->m, c->name, false, &x->lock, err);
}

static int check_records(struct importing *x, struct err *err)
{
	_cleanup_transfer_ struct transfer *t = NULL;
	struct own own;
	int r = own_get(x->m->st, x->c->name, &own, err);

	if (r >= 0 && own.kind != OWN_OWNER)
		return err_set(err, ERR_EXISTS,
			"the name '%s' is taken by a container that is %s (%s): choose another "
			"with --as-id",
			x->c->name, own_kind_name(own.kind), own.peer);
	if (r < 0)
		return r;
	r = transfer_open_of(x->m->st, TRANSFER_DESTINATION, x->c->name, &t, err);
	if (r >= 0 && t->phase < TRANSFER_DONE)
		return err_set(err, ERR_BUSY, "a container '%s' is just arriving here", x->c->name);
	if (r < 0 && r != -ERR_NOT_FOUND)
		return r;
	err_clear(err);
	return 0;
}

static int check_places_free(struct importing *x, struct err *err)
{
	for (size_t i = 0; i < x->c->volumes.n; i++) {
		struct ct_volume *cv = &x->c->volumes.v[i];
		_cleanup_volume_ struct volume *v = volume_in_pool(x->pool, x->c->name, cv->name);
		int there = volume_exists(v, err);

		if (there < 0)
			return there;
		if (there)
			return err_set(err, ERR_EXISTS,
				"there are files at %s already: remove them, or choose another "
				"name with --as-id",
				v->path);
		free(cv->path);
		cv->path = xstrdup(v->path);
		cv->mounted = blockfs_is(v);
	}
	return 0;
}

static int check_name_free(struct importing *x, struct err *err)
{
	bool exists;
	int r = runtime_exists(x->c->name, &exists, err);

	if (r >= 0 && exists)
		return err_set(err, ERR_EXISTS,
			"there is a container '%s' already: delete it, or choose another name with "
			"--as-id",
			x->c->name);
	if (r >= 0)
		r = check_records(x, err);
	return r >= 0 ? check_places_free(x, err) : r;
}

static int check_space(struct importing *x, struct err *err)
{
	char need[NUM_HUMAN_MAX], have[NUM_HUMAN_MAX];
	struct pool_space space;
	int r = pool_space(x->pool, &space, err);

	if (r < 0)
		return r;
	if (x->bytes > space.bytes_free)
		return err_set(err, ERR_NO_SPACE,
			"pool '%s' has %s free, the archive holds %s: make room, or name another "
			"pool with --pool",
			x->pool->name, num_human_size(space.bytes_free, have),
			num_human_size(x->bytes, need));
	if (x->inodes > space.inodes_free)
		return err_set(err, ERR_NO_SPACE,
			"pool '%s' has %llu inodes free, the archive holds %llu files",
			x->pool->name, (unsigned long long)space.inodes_free,
			(unsigned long long)x->inodes);
	return 0;
}

/* What reaches out of the container comes in only if the operator says so. */
static void sort_refused(struct importing *x)
{
	for (size_t i = 0; i < x->c->refused.n; i++) {
		const struct option *p = &x->c->refused.v[i];
		_cleanup_free_ char *k = str_escape(p->key, strlen(p->key)),
				    *v = str_escape(p->value, strlen(p->value));

		if (x->o->allow_refused)
			option_add(&x->c->options, p->key, p->value, NULL);
		else
			move_say(x->m, "left out: %s = %s%s%s", k, v, p->reason ? ": " : "",
				p->reason ? p->reason : "");
	}
	option_vec_free(&x->c->refused);
}

static void drop_netifs(struct container *c)
{
	for (size_t i = 0; i < c->netifs.n; i++)
		netif_done(&c->netifs.v[i]);
	netif_vec_done(&c->netifs);
}

static int adopt(struct importing *x, const char *called, struct err *err)
{
	size_t n;
	int r;

	if (!x->o->network)
		drop_netifs(x->c);
	adopt_bridges(x->m, x->c);
	r = adopt_ids(x->m, x->c, err);
	if (r < 0)
		return r;
	n = adopt_hwaddrs(x->c, called[0] && strcmp(called, x->c->name));
	if (n)
		move_say(x->m,
			"%zu interface%s got a new hardware address: another container has, or may "
			"have, the one in the archive",
			n, n == 1 ? "" : "s");
	sort_refused(x);
	r = runtime_preflight(x->c, err);
	return r < 0 ? r : fit_check(x->c, err);
}

static int prepare(struct importing *x, struct err *err)
{
	_cleanup_free_ char *called = xstrdup(x->c->name);
	int r = choose_name(x, err);

	if (r >= 0)
		r = places_pool(x->m, x->o->pool, &x->pool, err);
	if (r >= 0)
		r = check_name_free(x, err);
	if (r >= 0)
		r = check_space(x, err);
	return r < 0 ? r : adopt(x, called, err);
}

/* Files */

static int stage(struct importing *x, struct err *err)
{
	json_t *names = json_array();
	int r;

	for (size_t i = 0; i < x->c->volumes.n; i++)
		json_array_append_new(names, json_string(x->c->volumes.v[i].name));
	json_object_set_new(x->pledge.facts, "volumes", names);
	json_put_str(x->pledge.facts, "pool", x->pool->name);
	r = pledge_make(x->m->st, &x->pledge, x->c->name, err);
	if (r >= 0)
		r = places_transfer_dir_make(x->pledge.token, err);
	for (size_t i = 0; r >= 0 && i < x->c->volumes.n; i++) {
		struct volume *v = volume_staged(x->pool, x->pledge.token, x->c->volumes.v[i].name);

		*volume_vec_push(&x->vols) = v;
		v->wish.bytes = x->bytes;
		v->wish.inodes = x->inodes;
		r = volume_create(v, err);
	}
	return r < 0 ? r : fault_point("import.staged", err);
}

static int publish(struct importing *x, struct err *err)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < x->vols.n; i++) {
		_cleanup_volume_ struct volume *final = volume_in_pool(
			x->pool, x->c->name, x->c->volumes.v[i].name);

		r = volume_publish(x->vols.v[i], final, err);
	}
	if (r >= 0)
		r = fault_point("import.published", err);
	return r < 0 ? r : runtime_publish(x->c->name, err);
}

static int claim(struct importing *x, struct err *err)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < x->vols.n; i++)
		r = volume_sync(x->vols.v[i], err);
	/* Again, since unpacking takes its time. */
	if (r >= 0)
		r = check_places_free(x, err);
	/* A record of an earlier container of that name does not bind the new one. */
	if (r >= 0)
		r = move_close_arrived(x->m, x->c->name, err);
	if (r >= 0)
		r = own_forget(x->m->st, x->c->name, err);
	if (r >= 0)
		r = runtime_define(x->c, true, x->o->allow_refused, err);
	if (r >= 0)
		r = fault_point("import.defined", err);
	if (r < 0)
		return r;
	/* What lies under the final names from here on is ours: nothing did before. */
	json_put_bool(x->pledge.facts, "published", true);
	return pledge_save(x->m->st, &x->pledge, err);
}

static int run(struct importing *x, struct err *err)
{
	int r = open_archive(x, err);

	if (r >= 0)
		r = prepare(x, err);
	if (r >= 0)
		r = stage(x, err);
	if (r >= 0)
		r = x->r->fill(x, err);
	if (r >= 0)
		r = fault_point("import.filled", err);
	if (r >= 0)
		r = fit_guest(x->m, x->c, x->vols.v[0], &x->fixups, err);
	if (r >= 0)
		r = claim(x, err);
	return r < 0 ? r : publish(x, err);
}

static void done(struct importing *x)
{
	if (x->state)
		x->r->free(x);
	if (x->fd >= 0)
		close(x->fd);
	volume_vec_free(&x->vols);
	container_free(x->c);
	json_decref(x->fixups);
	pool_free(x->pool);
	pledge_done(&x->pledge);
	if (x->lock >= 0)
		close(x->lock);
}

static int finish(struct importing *x, json_t **ret, struct err *err)
{
	int r;

	move_history(x->m, x->c->name, "imported",
		json_pack(
			"{s:s,s:s}", "file", x->o->file ? x->o->file : "-", "format", x->r->name));
	if (x->o->start) {
		r = runtime_start(x->c->name, START_TIMEOUT, err);
		if (r < 0)
			return err_prefix(err, "container '%s' is imported, but", x->c->name);
	}
	r = containers_show(x->m, x->c->name, ret, err);
	if (r >= 0 && x->fixups)
		json_object_set(*ret, "fixups", x->fixups);
	return r;
}

int archive_import(struct move_ctx *m, const struct import_opts *o, json_t **ret, struct err *err)
{
	struct importing x = {.m = m,
		.o = o,
		.pledge = {.kind = PLEDGE_IMPORT, .facts = json_object()},
		.lock = -1,
		.fd = -1};
	struct err undo = ERR_INIT;
	int r = run(&x, err);

	progress_end(m->progress);
	if (promise_settle(m, &x.pledge, &undo) < 0) {
		if (r < 0)
			r = err_prefix(err,
				"(what was made could not be removed: %s; that is tried again)",
				undo.text);
		else
			move_say(m, "%s; that is tried again", undo.text);
	}
	if (r >= 0)
		r = finish(&x, ret, err);
	done(&x);
	return r < 0 ? r : 0;
}
