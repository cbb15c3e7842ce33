/*
 * One inode's metadata: everything a file system can say about it but its content. Read from a
 * descriptor on the source, with ids as the container sees them; written through a descriptor on
 * the destination.
 *
 *	struct entry e = {0};
 *	r = entry_read(fd, opath, idmap, &e, &err);	// reuses e's memory
 *	...
 *	entry_done(&e);
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/err.h"
#include "model/idmap.h"
#include "tree/ops.h"
#include "tree/xattr.h"

struct entry {
	uint64_t id;   /* the source's: see walk_entry_id */
	dev_t dev;     /* where it was read */
	uint32_t mode; /* with type */
	uint32_t uid, gid, nlink, chattr, project;
	uint32_t major, minor;
	uint64_t size;
	struct timespec atime, mtime;
	int64_t ctime;	       /* ns, of the disk it was read from */
	char target[PATH_MAX]; /* of a symlink */
	struct xattr_list xattrs;
};

/* The flags of chattr that travel. */
#define ENTRY_CHATTR                                                                               \
	(FS_SECRM_FL | FS_UNRM_FL | FS_COMPR_FL | FS_SYNC_FL | FS_IMMUTABLE_FL | FS_APPEND_FL |    \
		FS_NODUMP_FL | FS_NOATIME_FL | FS_NOCOMP_FL | FS_JOURNAL_DATA_FL | FS_NOTAIL_FL |  \
		FS_DIRSYNC_FL | FS_TOPDIR_FL | FS_NOCOW_FL | FS_PROJINHERIT_FL | FS_DAX_FL |       \
		FS_CASEFOLD_FL)
/* Those that must be there before content is. */
#define ENTRY_CHATTR_EARLY (FS_COMPR_FL | FS_NOCOMP_FL | FS_NOCOW_FL | FS_CASEFOLD_FL)
/* Those that get in the way of changes. */
#define ENTRY_CHATTR_LOCK (FS_IMMUTABLE_FL | FS_APPEND_FL)

int64_t entry_nsec(const struct timespec *t);
bool entry_is_device(uint32_t mode);
/* Of an open file or folder, or with opath of anything. name is where it is, for messages. */
int entry_read(
	int fd, bool opath, const struct idmap *map, struct entry *ret, struct err *err) _must_use_;
/* The same where stat was asked already. */
int entry_read_rest(int fd, bool opath, const struct stat *st, const struct idmap *map,
	struct entry *ret, struct err *err) _must_use_;
/* Of all that is said about the inode, but the access time, which nobody's change shows. */
uint64_t entry_digest(const struct entry *e);
/* Attributes of an operation, and back. xattrs that are too many for one operation go ahead in
 * OP_XATTRS. */
void entry_put_ahead(struct opbuf *b, const struct entry *e);
void entry_put(struct opbuf *b, const struct entry *e);
int entry_get(const struct op *op, struct entry *e,
	struct err *err) _must_use_; /* adds to e->xattrs, seals them */
void entry_done(struct entry *e);

/* Writing. What the target cannot hold goes to refused ("immutable flag", errno) and the rest goes
 * on. */
struct entry_target {
	int fd;
	bool opath;    /* fd is an O_PATH one */
	bool fresh;    /* made just now, with nothing of its own but what defaults says */
	uint32_t made; /* fresh: permission bits that it has already, and no others; 0: not known */
	bool verify_times; /* look whether the file system stores them to the nanosecond */
	const struct entry_defaults *defaults; /* NULL: not known */
	const struct idmap *map;
	void (*refused)(void *ctx, const char *what, int errnum);
	void *ctx;
};
/* What a new file gets from its folder without being told, probed once a folder. */
struct entry_defaults {
	bool known, xattrs;
	uint32_t uid, gid, chattr, project;
	uint32_t kept; /* permission bits that a new file gets when it is made with them */
};
int entry_probe(int fd, struct entry_defaults *ret, struct err *err) _must_use_;
int entry_write(const struct entry_target *t, const struct entry *e, struct err *err) _must_use_;
/* What is left to write of an ordinary new file. */
struct entry_rest {
	bool own, chmod;
	uint32_t uid, gid, mode;
	struct timespec times[2];
};
/* Would entry_write do no more than this? */
bool entry_rest(const struct entry_target *t, const struct entry *e, struct entry_rest *ret);
int entry_rest_write(int fd, const struct entry_rest *rest); /* -1 with errno */
/* Takes immutable and append-only away, so that the inode can be changed. */
int entry_unlock(int fd);
int entry_set_chattr(int fd, uint32_t mask, uint32_t want, uint32_t *ret_missing);
