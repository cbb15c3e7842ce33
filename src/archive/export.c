#include "archive/export.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json.h"
#include "base/kernel.h"
#include "base/log.h"
#include "base/num.h"
#include "base/str.h"
#include "move/containers.h"
#include "move/promise.h"
#include "node/ownership.h"
#include "node/transfer.h"
#include "runtime/runtime.h"
#include "tree/tree.h"

#define PROBE (1u << 20) /* bytes: as much as is written at once */

static int check_free(struct exporting *x, struct err *err)
{
	_cleanup_transfer_ struct transfer *t = NULL;
	struct own own;
	int r = transfer_open_of(x->m->st, TRANSFER_SOURCE, x->ct, &t, err);

	if (r >= 0)
		return err_set(err, ERR_STATE,
			"container '%s' is being sent to %s: finish or cancel that first", x->ct,
			t->peer);
	if (r != -ERR_NOT_FOUND)
		return r;
	err_clear(err);
	r = own_get(x->m->st, x->ct, &own, err);
	if (r >= 0 && own.kind != OWN_OWNER)
		r = err_set(err, ERR_STATE, "container '%s' is %s here (%s), not this node's",
			x->ct, own_kind_name(own.kind), own.peer);
	return r;
}

static int look_at_state(struct exporting *x, struct err *err)
{
	enum ct_state state;
	int r = runtime_state(x->ct, &state, NULL, err);

	if (r < 0)
		return r;
	x->running = state != CT_STOPPED;
	x->stops = x->running && x->o->consistent && !x->o->skel;
	if (x->stops && state != CT_RUNNING)
		return err_set(err, ERR_STATE,
			"container '%s' is %s: start or stop it first, or take its files as they "
			"are with --no-consistent",
			x->ct, ct_state_name(state));
	return 0;
}

static int open_container(struct exporting *x, struct err *err)
{
	int r = move_check_exists(x->ct, err);

	if (r >= 0)
		r = move_lock(x->m, x->ct, false, &x->lock, err);
	if (r >= 0)
		r = check_free(x, err);
	if (r >= 0)
		r = runtime_load(x->ct, &x->c, err);
	if (r >= 0)
		r = places_volumes(x->c, &x->vols, err);
	if (r >= 0)
		r = look_at_state(x, err);
	return r < 0 ? r : x->w->check(x, err);
}

static bool is_volume(const struct exporting *x, const struct stat *st)
{
	for (size_t i = 0; i < x->vols.n; i++) {
		struct err ignored = ERR_INIT;
		_cleanup_close_ int root = -1;
		struct stat its;

		if (volume_root(x->vols.v[i], &root, &ignored) >= 0 && fstat(root, &its) == 0 &&
			its.st_dev == st->st_dev && its.st_ino == st->st_ino)
			return true;
	}
	return false;
}

/* An archive that grows in what it is to hold would never end. From its folder upwards: is one of
 * them a volume of the container? */
static int check_outside(const struct exporting *x, const char *path, struct err *err)
{
	_cleanup_free_ char *dir = xstrndup(path, (size_t)(strrchr(path, '/') - path) + 1);
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st, above;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(err, "open folder %s", dir);
	for (;;) {
		int up;

		if (is_volume(x, &st))
			return err_set(err, ERR_INVALID,
				"%s is inside container '%s' itself: name a file outside of it",
				path, x->ct);
		up = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (up < 0 || fstat(up, &above) < 0)
			return err_errno(err, "look above %s", dir);
		close(fd);
		fd = up;
		if (above.st_dev == st.st_dev && above.st_ino == st.st_ino)
			return 0;
		st = above;
	}
}

/* A shell has opened it: where it is, the kernel knows. */
static int take_descriptor(struct exporting *x, struct err *err)
{
	char link[64], path[PATH_MAX];
	struct stat st;
	ssize_t n;

	x->fd = fcntl(x->o->fd, F_DUPFD_CLOEXEC, 0);
	if (x->fd < 0 || fstat(x->fd, &st) < 0)
		return err_errno(err, "standard output");
	snprintf(link, sizeof(link), "/proc/self/fd/%d", x->fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (!S_ISREG(st.st_mode) || n <= 0 || path[0] != '/')
		return 0;
	path[n] = '\0';
	return check_outside(x, path, err);
}

static int check_replace(const struct exporting *x, struct err *err)
{
	struct stat st;

	if (lstat(x->o->file, &st) < 0)
		return 0;
	if (!x->o->force)
		return err_set(err, ERR_EXISTS,
			"there is a file %s already: remove it, or replace it with --force",
			x->o->file);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_INVALID,
			"%s is not a file, and is not replaced: name another, or - for standard "
			"output",
			x->o->file);
	return 0;
}

/* The file grows under another name: nobody takes half of one for an archive. */
static int open_file(struct exporting *x, struct err *err)
{
	_cleanup_free_ char *partial = NULL;
	int r;

	if (!x->o->file)
		return take_descriptor(x, err);
	r = check_replace(x, err);
	if (r >= 0)
		r = check_outside(x, x->o->file, err);
	if (r < 0)
		return r;
	partial = xasprintf("%s.%.8s.partial", x->o->file, x->pledge.token);
	json_put_str(x->pledge.facts, "partial", partial);
	r = pledge_save(x->m->st, &x->pledge, err);
	if (r < 0)
		return r;
	x->fd = open(partial, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return x->fd < 0 ? err_errno(err, "make %s", partial) : 0;
}

static int close_file(struct exporting *x, struct err *err)
{
	const char *partial = json_get_str(x->pledge.facts, "partial");
	_cleanup_free_ char *dir = NULL;
	struct stat st;

	if (fstat(x->fd, &st) == 0 && S_ISREG(st.st_mode)) {
		if (fsync(x->fd) < 0)
			return err_errno(err, "write the archive");
		x->bytes = (uint64_t)st.st_size;
	}
	if (!partial)
		return 0;
	if ((x->o->force ? rename(partial, x->o->file)
			 : kernel_rename_new(AT_FDCWD, partial, AT_FDCWD, x->o->file)) < 0)
		return err_errno(err, "name the archive %s", x->o->file);
	dir = xstrndup(x->o->file, (size_t)(strrchr(x->o->file, '/') - x->o->file) + 1);
	return file_sync_dir(dir, err);
}

static bool has_snapshots(const struct exporting *x, size_t i)
{
	return volume_can(x->vols.v[i], STORAGE_SNAPSHOT);
}

static int add_digest(struct exporting *x, size_t i, int fd, struct err *err)
{
	_cleanup_(str_done) struct str hex = STR_INIT;
	struct digest128 d;
	uint64_t entries;
	int r = tree_verify(fd, &x->c->idmap, &d, &entries, err);

	if (r < 0)
		return err_prefix(err, "volume '%s'", x->vols.v[i]->name);
	for (size_t k = 0; k < sizeof(d.b); k++)
		str_addf(&hex, "%02x", d.b[k]);
	json_put_str(x->digests, x->vols.v[i]->name, hex.buf);
	x->entries += entries;
	return 0;
}

static int pass(struct exporting *x, size_t i, bool snapshot, bool still, struct err *err)
{
	_cleanup_free_ char *snap = promise_snapshot(&x->pledge);
	struct volume *v = x->vols.v[i];
	_cleanup_close_ int fd = -1;
	int r = snapshot ? volume_snapshot_root(v, snap, &fd, err) : volume_root(v, &fd, err);

	if (r >= 0)
		r = x->w->pass(x, i, fd, still, err);
	if (r >= 0 && still)
		r = add_digest(x, i, fd, err);
	return r < 0 ? err_prefix(err, "volume '%s'", v->name) : 0;
}

/* What has no snapshots is read while it runs, so that little is left for the stop. */
static int pass_live(struct exporting *x, struct err *err)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < x->vols.n; i++)
		if (!has_snapshots(x, i))
			r = pass(x, i, false, false, err);
	return r;
}

static int stop(struct exporting *x, struct err *err)
{
	int r;

	json_put_bool(x->pledge.facts, "start", true);
	r = pledge_save(x->m->st, &x->pledge, err);
	if (r >= 0)
		r = fault_point("export.stop.before", err);
	if (r < 0)
		return r;
	progress_phase(x->m->progress, "stop", 0);
	x->stop_began = clock_now();
	r = runtime_stop(x->ct, x->m->cfg->stop_timeout, true, err);
	return r < 0 ? r : fault_point("export.stopped", err);
}

static int start(struct exporting *x, struct err *err)
{
	int r = promise_start_again(x->m, &x->pledge, err);

	if (x->stops && r >= 0)
		x->stop_ended = clock_now();
	return r < 0 ? r : fault_point("export.started", err);
}

/* While it stands still: snapshots, and all of what has none. */
static int take(struct exporting *x, struct err *err)
{
	_cleanup_free_ char *snap = promise_snapshot(&x->pledge);
	bool still = x->stops || !x->running;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < x->vols.n; i++)
		if (has_snapshots(x, i))
			r = volume_snapshot(x->vols.v[i], snap, err);
	for (size_t i = 0; r >= 0 && i < x->vols.n; i++)
		if (!has_snapshots(x, i))
			r = pass(x, i, false, still, err);
	return r < 0 ? r : fault_point("export.taken", err);
}

static int take_snapshots(struct exporting *x, struct err *err)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < x->vols.n; i++)
		if (has_snapshots(x, i))
			r = pass(x, i, true, true, err);
	return r;
}

static int write_all(struct exporting *x, struct err *err)
{
	int r = x->w->begin(x, err);

	if (r >= 0 && x->stops && x->w->incremental)
		r = pass_live(x, err);
	if (r >= 0 && x->stops)
		r = stop(x, err);
	if (r >= 0 && !x->o->skel)
		r = take(x, err);
	if (r >= 0)
		r = start(x, err);
	if (r >= 0 && !x->o->skel)
		r = take_snapshots(x, err);
	return r < 0 ? r : x->w->end(x, err);
}

static int run(struct exporting *x, struct err *err)
{
	int r = open_container(x, err);

	if (r >= 0)
		r = pledge_make(x->m->st, &x->pledge, x->ct, err);
	if (r >= 0)
		r = places_transfer_dir_make(x->pledge.token, err);
	if (r >= 0)
		r = open_file(x, err);
	if (r >= 0)
		r = write_all(x, err);
	if (r >= 0)
		r = close_file(x, err);
	return r;
}

/* Whose disk is full? What is left of the file goes at once: the container's start and our own
 * records may need the room. */
static int explain(struct exporting *x, int r, struct err *err)
{
	_cleanup_free_ char *probe = xcalloc(1, PROBE);
	char size[NUM_HUMAN_MAX];
	struct stat st;

	if (r != -ERR_NO_SPACE || x->fd < 0 || !x->o->file || fstat(x->fd, &st) < 0)
		return r;
	if (pwrite(x->fd, probe, PROBE, st.st_size) != (ssize_t)PROBE)
		r = err_set(err, ERR_NO_SPACE,
			"the disk of %s is full after %s of the archive: make room there, or name "
			"a "
			"file elsewhere; what was written is removed, and container '%s' is as "
			"before",
			x->o->file, num_human_size((uint64_t)st.st_size, size), x->ct);
	if (ftruncate(x->fd, 0) < 0)
		log_warning("cannot empty what is left of %s", x->o->file);
	return r;
}

static json_t *result(const struct exporting *x)
{
	json_t *o = json_object();

	json_put_str(o, "name", x->ct);
	json_put_str(o, "file", x->o->file ? x->o->file : "-");
	json_put_str(o, "format", x->w->name);
	json_put_u64(o, "bytes", x->bytes);
	json_put_u64(o, "entries", x->entries);
	if (x->stop_ended)
		json_put_u64(o, "stopped_ms", (x->stop_ended - x->stop_began) / USEC_PER_MSEC);
	return o;
}

static void done(struct exporting *x)
{
	if (x->state)
		x->w->free(x);
	if (x->fd >= 0)
		close(x->fd);
	volume_vec_free(&x->vols);
	container_free(x->c);
	json_decref(x->digests);
	pledge_done(&x->pledge);
	if (x->lock >= 0)
		close(x->lock);
}

int archive_export(struct move_ctx *m, const char *ct, const struct export_opts *o, json_t **ret,
	struct err *err)
{
	struct exporting x = {.m = m,
		.o = o,
		.ct = ct,
		.w = o->format == ARCHIVE_OSCTL ? &osctl_writer : &own_writer,
		.pledge = {.kind = PLEDGE_EXPORT, .facts = json_object()},
		.digests = json_object(),
		.lock = -1,
		.fd = -1};
	struct err undo = ERR_INIT;
	int r = run(&x, err);

	if (r < 0)
		r = explain(&x, r, err);
	progress_end(m->progress);
	/* The end of both: it runs again, nothing lies about. Of the file there is nothing left to
	 * remove once it has its name. */
	if (promise_settle(m, &x.pledge, &undo) < 0) {
		if (r < 0)
			r = err_prefix(err, "(and %s; that is tried again)", undo.text);
		else
			move_say(m, "%s; that is tried again", undo.text);
	}
	if (r >= 0) {
		*ret = result(&x);
		move_history(
			m, ct, "exported", json_pack("{s:s}", "file", o->file ? o->file : "-"));
	}
	done(&x);
	return r < 0 ? r : 0;
}
