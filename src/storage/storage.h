/*
 * Where a container's files live: volumes, their snapshots, and the native streams of a driver.
 * Drivers are const tables (dir.c, btrfs.c, zfs.c, image.c, device.c, lvm.c), named once in
 * storage.c, called only through the checked front below, which adds driver and path to errors. A
 * volume is opened from a path of an existing container (volume_open) or made in a pool
 * (volume_create); volume_free forgets it, only volume_destroy removes files.
 *
 * A dir volume has no snapshots that are cheap and no native stream: move/ uses the tree engine on
 * volume_root there.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/progress.h"
#include "base/stream.h"
#include "base/vec.h"
#include "storage/pool.h"

#define STORAGE_SNAPSHOT    1u /* cheap snapshots */
#define STORAGE_INCREMENTAL 2u /* native stream between two snapshots */

struct storage_driver;

/* What a volume is to be when it is made; what is not said is the driver's choice. Only drivers
 * with a filesystem of its own for each volume look at it. */
struct volume_wish {
	uint64_t size;		/* of the filesystem; 0: as the pool says */
	uint64_t bytes, inodes; /* what will come; the filesystem is no smaller */
	char fs[8];		/* "ext4", "xfs", "": as the pool says */
	char like[8];		/* if that says nothing either: as it was elsewhere */
	char *device;		/* this one, given by the operator; or NULL */
	bool force_format;	/* whatever is on it */
};

struct volume {
	const struct storage_driver *driver;
	char *pool_path; /* of the pool it lives in; for a path outside all pools: the folder above
			    its container's */
	char *owner;	 /* the container's name, or the token of a staged one */
	char *name;	 /* "rootfs" */
	char *path;	 /* absolute */
	struct volume_wish wish;
};

struct volume_snapshot {
	char name[128];	  /* user snapshots keep their name; Wherry's own begin with "wherry-" */
	uint64_t created; /* seconds since 1970 */
	bool own;
};
VEC(snapshot_vec, struct volume_snapshot);

struct volume_size {
	uint64_t bytes;	 /* allocated, without snapshots */
	uint64_t inodes; /* 0: not known */
	bool long_path;	 /* some path inside has 4096 bytes and more, or is too deep to tell */
};

/* State of a native receive that can be resumed, kept by the caller between calls (durable on the
 * receiving node). */
struct storage_resume {
	uint64_t offset; /* bytes of the stream that are applied and on disk; 0: from the start */
	char digest[33]; /* names these bytes (hex XXH3-128, chained by the driver), "" for none */
	const char *offer; /* sending: what the receiving driver says (volume_offer), or NULL */
};

#define STORAGE_ORIGIN_MAX 64

struct storage_driver {
	const char *name;
	unsigned caps;
	/* Is the filesystem at path mine? 0 no, higher is a better match. */
	int (*probe)(const char *path, struct err *err);
	/* Is what lies at path, in that pool, a volume of mine? */
	int (*holds)(const char *path, const char *pool_path, struct err *err);
	/* Optional: is it there? (1 or 0.) Otherwise something at its path is. */
	int (*exists)(struct volume *v, struct err *err);
	int (*create)(struct volume *v, struct err *err);
	int (*destroy)(struct volume *v, struct err *err);
	int (*rename)(struct volume *v, const char *new_path, struct err *err);
	/* Optional: the last of publishing, at the new place; idempotent. */
	int (*settle)(struct volume *v, struct err *err);
	/* Optional: makes its files seen at its path; done already is fine. */
	int (*mount)(struct volume *v, struct err *err);
	/* Optional: opens its root, O_RDONLY|O_DIRECTORY, proven to be it; without it, its path is.
	 */
	int (*root)(struct volume *v, int *ret_fd, struct err *err);
	int (*size)(struct volume *v, struct volume_size *ret, struct err *err);
	/* Optional: how much it may hold, bytes; 0: as much as the pool. */
	int (*limit)(struct volume *v, uint64_t *ret, struct err *err);
	int (*set_limit)(struct volume *v, uint64_t bytes, struct err *err);
	int (*snapshot)(struct volume *v, const char *snap, struct err *err);
	int (*snapshot_destroy)(struct volume *v, const char *snap, struct err *err);
	int (*snapshots)(struct volume *v, struct snapshot_vec *ret, struct err *err);
	int (*snapshot_root)(struct volume *v, const char *snap, int *ret_fd, struct err *err);
	/* Optional: refuses what the tree engine would not see all of. */
	int (*whole)(struct volume *v, struct err *err);
	/* Optional: see volume_offer. */
	int (*offer)(
		struct volume *v, const char *snap, const char *from, char **ret, struct err *err);
	int (*send)(struct volume *v, const char *snap, const char *from,
		const struct storage_resume *resume, struct stream *out, struct progress *p,
		struct err *err);
	int (*receive)(struct volume *v, const char *snap, const char *from,
		struct storage_resume *resume,
		int (*checkpoint)(void *ctx, const struct storage_resume *r, struct err *err),
		void *ctx, struct stream *in, struct progress *p, struct err *err);
	/* Optional: can a snapshot and a stream hold all of it (1, else 0), long paths apart?
	 * Without it they hold anything. */
	int (*streams)(struct volume *v, struct err *err);
	/* All three or none. */
	int (*origin)(
		struct volume *v, const char *snap, char ret[STORAGE_ORIGIN_MAX], struct err *err);
	int (*fill)(struct volume *v, const char *snap, const char *origin, bool make, int *ret_fd,
		struct err *err);
	int (*filled)(struct volume *v, const char *snap, const char *origin, struct err *err);
	int (*finish)(struct volume *v, const char *snap, struct err *err);
	/* Optional: what is free for new volumes; without it, the pool's own filesystem is asked.
	 */
	int (*space)(const struct pool *p, struct pool_space *ret, struct err *err);
	/* Optional: what a boot has undone. When the daemon starts. */
	int (*sweep)(const struct pool *p, struct err *err);
};

/* The volume of an existing container whose files are at path. Picks the driver by what is there;
 * -ERR_NOT_FOUND when path is missing (and no record of a filesystem beside it); an empty root
 * folder, or one that should be a mount point and is not, is the caller's to refuse
 * (move/preflight). */
int volume_open(const char *path, const char *ct, const char *name, struct volume **ret,
	struct err *err) _must_use_;
/* The place of a volume in a pool: POOL/CT/NAME, or of a staged one:
 * POOL/.wherry/staged/TOKEN/NAME. Nothing is made. */
struct volume *volume_in_pool(const struct pool *p, const char *ct, const char *name);
struct volume *volume_staged(const struct pool *p, const char *token, const char *name);
int volume_create(struct volume *v, struct err *err)
	_must_use_; /* empty; parents are made 0755 / .wherry 0700; exists: -ERR_EXISTS */
/* 1: something is at its place already, be it a folder or what the driver knows by its name (a
 * dataset need not be mounted). 0: nothing. */
int volume_exists(struct volume *v, struct err *err) _must_use_;
int volume_destroy(struct volume *v, struct err *err)
	_must_use_; /* with all its snapshots; never crosses a mount; missing is fine */
/* Moves a staged volume (with its snapshots) to where it will live; idempotent: done already is
 * fine. Both on one pool. */
int volume_publish(struct volume *staged, struct volume *final, struct err *err) _must_use_;
int volume_size(struct volume *v, struct volume_size *ret, struct err *err) _must_use_;
/* Does it have a filesystem of its own, which has to be mounted before the container starts? The
 * command that does it (for the runtime's configuration, an absolute path after /bin/sh), or NULL.
 */
char *volume_mounter(const struct volume *v);
/* It is to be made on that device (which belongs to the driver "device" then, whatever the pool's).
 */
void volume_use_device(struct volume *v, const char *device, bool force_format);
bool volume_can(const struct volume *v, unsigned cap);
/* How much it may hold, in bytes: the size of a filesystem of its own, a quota; 0: whatever the
 * pool has. Setting it is -ERR_UNSUPPORTED where the driver has no way; one with a filesystem of
 * its own was made to fit. */
int volume_limit(struct volume *v, uint64_t *ret, struct err *err) _must_use_;
int volume_set_limit(struct volume *v, uint64_t bytes, struct err *err) _must_use_;
int volume_root(
	struct volume *v, int *ret_fd, struct err *err) _must_use_; /* O_RDONLY|O_DIRECTORY */
int volume_sync(
	struct volume *v, struct err *err) _must_use_; /* syncfs: everything is on disk after it */

int volume_snapshot(struct volume *v, const char *snap, struct err *err) _must_use_;
int volume_snapshot_destroy(
	struct volume *v, const char *snap, struct err *err) _must_use_; /* missing is fine */
/* All whose names begin so, and the folders made for them; a power cut doesn't bring them back, so
 * it may take as long as syncfs does. A missing volume is fine. */
int volume_snapshots_forget(struct volume *v, const char *prefix, struct err *err) _must_use_;
int volume_snapshots(
	struct volume *v, struct snapshot_vec *ret, struct err *err) _must_use_; /* oldest first */
int volume_snapshot_root(
	struct volume *v, const char *snap, int *ret_fd, struct err *err) _must_use_;
/* The folder of the snapshots, made if needed: where the tree engine puts its copies of a dir
 * volume. What begins with a dot in there is not finished and is not listed; volume_destroy takes
 * it too. */
int volume_snapshot_folder(struct volume *v, int *ret_fd, struct err *err) _must_use_;

/* Can the tree engine read all of it? -ERR_UNSUPPORTED says what it cannot. */
int volume_whole(struct volume *v, struct err *err) _must_use_;
/* What the receiving driver has to say before a stream: what its filesystem takes, what is here of
 * it already. One line of the driver's own, in UTF-8, for resume->offer of the sending side, which
 * does not trust it; NULL where it has nothing to say. */
int volume_offer(struct volume *v, const char *snap, const char *from, char **ret,
	struct err *err) _must_use_;
/* Native stream of snap, against from (NULL: whole). resume (may be NULL): begin after offset
 * bytes, after checking that they are the same ones; -ERR_CORRUPT when they are not, and the
 * receiver must start from zero. -ERR_UNSUPPORTED when a stream cannot express what is inside (a
 * subvolume, a path over 4095 bytes); the tree engine can. out is flushed, ending it is the
 * caller's. */
int volume_send(struct volume *v, const char *snap, const char *from,
	const struct storage_resume *resume, struct stream *out, struct progress *p,
	struct err *err) _must_use_;
/* Applies a native stream, which is hostile input: it cannot touch anything outside the staged
 * volume. *resume says where to go on and is kept current; checkpoint makes it durable and is
 * called after the data before it is on disk, at least every 16 MiB. When it returns 0, snap is
 * complete and on disk, and *resume is zero again. If snap is here already and it is the same one
 * (the caller crashed before it knew), the stream is only read; another one of that name is
 * -ERR_EXISTS. A peer that breaks the rules: -ERR_PROTOCOL. resume names something that is not kept
 * here (any more): -ERR_CORRUPT, start from zero. in must end with the stream. */
int volume_receive(struct volume *v, const char *snap, const char *from,
	struct storage_resume *resume,
	int (*checkpoint)(void *ctx, const struct storage_resume *r, struct err *err), void *ctx,
	struct stream *in, struct progress *p, struct err *err) _must_use_;
/* Can native streams say all that is in it (1), or must the tree engine (0), of the live files
 * where there can be no snapshot (*ret_live)? */
int volume_streams(struct volume *v, const struct volume_size *size, bool *ret_live,
	struct err *err) _must_use_;
/* The first copy of a native volume, done by the tree engine where that is faster and keeps as
 * much; increments are native streams.
 *
 *	source:		volume_origin: 1 and the name of what snap is; 0: send a native stream
 *	destination:	volume_fill: a folder for it; volume_filled: what it holds now is snap
 *
 * volume_fill without make is -ERR_NOT_FOUND if there is none yet: what the tree engine keeps of it
 * must go first. 1: snap is here already, and complete. */
int volume_origin(struct volume *v, const char *snap, char ret[STORAGE_ORIGIN_MAX],
	struct err *err) _must_use_;
int volume_fill(struct volume *v, const char *snap, const char *origin, bool make, int *ret_fd,
	struct err *err) _must_use_;
int volume_filled(
	struct volume *v, const char *snap, const char *origin, struct err *err) _must_use_;
/* The volume's live, writable content becomes snap's (the last received). Idempotent. */
int volume_finish(struct volume *v, const char *snap, struct err *err) _must_use_;

void volume_free(struct volume *v);
void volume_freep(struct volume **v);
#define _cleanup_volume_ _cleanup_(volume_freep)

/* Removes what deletions left that a crash cut short. When the daemon starts. */
int storage_sweep(const struct pool *p, struct err *err) _must_use_;
