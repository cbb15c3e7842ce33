/*
 * Moves, at the destination. What moves goes out first, into a folder of ours in the root, each
 * under its number, then in to its place; what is left over is gone. The folder's name says how far
 * it came, so that a batch that was broken off can be sent again and does the rest: .out while
 * things go out, .in while they come in. After that the batch's number is kept in the state
 * directory, and it is never done again.
 */
#include "tree/apply.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/beneath.h"
#include "base/file.h"
#include "base/kernel.h"
#include "base/str.h"

static char *marker_path(const char *state_dir)
{
	return xasprintf("%s/moves", state_dir);
}

int apply_forget_moves(const char *state_dir, struct err *err)
{
	_cleanup_free_ char *path = marker_path(state_dir);

	return file_remove(path, err);
}

static bool was_done(const struct apply *a)
{
	_cleanup_free_ char *path = a->state_dir ? marker_path(a->state_dir) : NULL, *text = NULL;
	struct err err = ERR_INIT;
	uint64_t last;
	size_t n;

	if (!path || file_read(path, sizeof(last), &text, &n, &err) < 0 || n != sizeof(last))
		return false;
	memcpy(&last, text, sizeof(last));
	return last >= a->batch_number;
}

static void orphans_name(const struct apply *a, bool in, char buf[64])
{
	snprintf(buf, 64, ".wherry-moves-%016llx.%s", (unsigned long long)a->batch_number,
		in ? "in" : "out");
}

static int open_orphans(struct apply *a, bool in)
{
	char name[64];

	orphans_name(a, in, name);
	a->orphans = openat(a->rootfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return a->orphans;
}

static int remove_orphans(struct apply *a, struct err *err)
{
	char name[64];
	int r;

	if (a->orphans >= 0)
		close(a->orphans);
	a->orphans = -1;
	orphans_name(a, false, name);
	r = beneath_remove_tree(a->rootfd, name, err);
	orphans_name(a, true, name);
	return r < 0 ? r : beneath_remove_tree(a->rootfd, name, err);
}

static int begin_batch(struct apply *a, const struct op *op, struct err *err)
{
	char name[64];

	a->batch_number = op->session;
	a->drops = op->flags & OP_F_DROPS;
	walk_up(&a->w, a->w.n); /* the folders we hold open may move */
	a->in_dir = false;
	if (was_done(a)) {
		a->batch = BATCH_SKIP;
		return 0;
	}
	if (open_orphans(a, true) >= 0) {
		a->batch = BATCH_IN;
		return 0;
	}
	orphans_name(a, false, name);
	a->batch = BATCH_OUT;
	for (int tries = 0; mkdirat(a->rootfd, name, 0700) < 0 && errno != EEXIST; tries++)
		if (tries || !apply_unlock(a->rootfd))
			return err_errno(err, "create %s", name);
	return open_orphans(a, false) < 0 ? err_errno(err, "open %s", name) : 0;
}

static void number_name(uint64_t number, char buf[24])
{
	snprintf(buf, 24, "%llu", (unsigned long long)number);
}

/* Neither an immutable inode nor one in an immutable folder moves; the visit that follows sets the
 * flags again. */
static bool unlock_both(int dirfd, const char *name)
{
	struct stat st;
	int saved = errno;
	bool again = apply_unlock(dirfd);

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))) {
		_cleanup_close_ int fd = openat(
			dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

		errno = saved;
		again |= fd >= 0 && apply_unlock(fd);
	}
	errno = saved;
	return again;
}

static int move_out(struct apply *a, const struct op *op, struct err *err)
{
	_cleanup_close_ int dir = -1;
	const char *last;
	char number[24];

	if (a->batch != BATCH_OUT)
		return a->batch == BATCH_NONE
			       ? err_set(err, ERR_PROTOCOL, "operation out does not belong there")
			       : 0;
	number_name(op->offset, number);
	if (faccessat(a->orphans, number, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	dir = beneath_parent(a->rootfd, op->path, &last, err);
	if (dir < 0 && a->drops && err->code == ERR_NOT_FOUND) {
		err_clear(err);
		return 0;
	}
	if (dir < 0)
		return dir;
	for (int tries = 0; renameat(dir, last, a->orphans, number) < 0; tries++) {
		if (errno == ENOENT && a->drops)
			return 0;
		if (errno == ENOENT)
			return err_set(
				err, ERR_STATE, "the destination lacks %s, which moves", op->path);
		if (tries || !unlock_both(dir, last))
			return err_errno(err, "move %s", op->path);
	}
	return 0;
}

/* All is out: from here on things come in. */
static int turn(struct apply *a, struct err *err)
{
	char out[64], in[64];

	if (a->batch != BATCH_OUT)
		return 0;
	orphans_name(a, false, out);
	orphans_name(a, true, in);
	if (renameat(a->rootfd, out, a->rootfd, in) < 0)
		return err_errno(err, "rename %s", out);
	a->batch = BATCH_IN;
	return 0;
}

static int move_in(struct apply *a, const struct op *op, struct err *err)
{
	_cleanup_close_ int dir = -1;
	const char *last;
	char number[24];
	int r;

	number_name(op->offset, number);
	if (faccessat(a->orphans, number, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return 0; /* it went in before the batch broke off */
	dir = beneath_parent(a->rootfd, op->path, &last, err);
	if (dir < 0)
		return dir;
	for (int tries = 0; kernel_rename_new(a->orphans, number, dir, last) < 0; tries++) {
		if (tries == 2)
			return err_errno(err, "move to %s", op->path);
		if (errno == EEXIST) {
			r = apply_remove(a, dir, last, err);
			if (r < 0)
				return r;
		} else if (!apply_unlock(dir)) {
			return err_errno(err, "move to %s", op->path);
		}
	}
	return 0;
}

static int make_dir(struct apply *a, const struct op *op, struct err *err)
{
	_cleanup_close_ int dir = -1;
	const char *last;
	struct stat st;
	int r;

	dir = beneath_parent(a->rootfd, op->path, &last, err);
	if (dir < 0)
		return dir;
	for (int tries = 0; mkdirat(dir, last, 0700) < 0; tries++) {
		if (errno == EEXIST && fstatat(dir, last, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			S_ISDIR(st.st_mode))
			return 0;
		if (tries == 2)
			return err_errno(err, "create %s", op->path);
		if (errno == EEXIST) {
			r = apply_remove(a, dir, last, err);
			if (r < 0)
				return r;
		} else if (!apply_unlock(dir)) {
			return err_errno(err, "create %s", op->path);
		}
	}
	return 0;
}

/* The number is only kept once everything it stands for is on disk. */
static int end_batch(struct apply *a, struct err *err)
{
	_cleanup_free_ char *path = a->state_dir && !a->drops ? marker_path(a->state_dir) : NULL;
	int r = 0;

	if (a->batch != BATCH_SKIP && path) {
		r = turn(a, err);
		if (r >= 0 && syncfs(a->rootfd) < 0)
			r = err_errno(err, "sync the tree");
		if (r >= 0)
			r = file_replace(
				path, &a->batch_number, sizeof(a->batch_number), 0600, err);
	}
	a->batch = BATCH_NONE;
	return r < 0 ? r : remove_orphans(a, err);
}

int apply_moves_op(struct apply *a, const struct op *op, struct err *err)
{
	int r;

	if (op->type == OP_MOVES)
		return begin_batch(a, op, err);
	if (op->type == OP_MOVED)
		return end_batch(a, err);
	if (!*op->path)
		return err_set(err, ERR_PROTOCOL, "the root does not move");
	if (a->kept)
		kept_moved(a->kept, op->path);
	if (a->batch == BATCH_SKIP)
		return 0;
	if (op->type == OP_OUT)
		return move_out(a, op, err);
	if (a->drops)
		return err_set(
			err, ERR_PROTOCOL, "operation %s does not belong there", op_name(op->type));
	r = turn(a, err);
	if (r < 0)
		return r;
	return op->type == OP_IN ? move_in(a, op, err) : make_dir(a, op, err);
}
