/*
 * Volumes that are a filesystem of their own on a block device: what the drivers image, device and
 * lvm share. Such a volume is three things:
 *
 *	POOL/CT/rootfs		the mount point: empty and immutable while nothing is mounted
 *	POOL/CT/rootfs.mount	the record: which filesystem (UUID), on what, made by whom
 *	the device		an image POOL/CT/rootfs.img, a device of the operator's, an LV
 *
 * The record is also the program that mounts it: a shell script of standard tools, which LXC runs
 * before each start (lxc.hook.pre-start = /bin/sh POOL/CT/rootfs.mount), so the container needs
 * nothing of Wherry, and is never started on an empty folder. Nothing mounts it at boot: who starts
 * the container, or looks into it (volume_root), mounts it. It stays mounted when the container
 * stops.
 *
 * The record says whose the filesystem is:
 *
 *	making		not finished; the next create goes on, destroy takes back
 *	ready		it may be mounted here
 *	released	it was handed over, device and all: neither Wherry nor the start of the
 *			container mounts it here
 *
 * and what may be undone (invariant: what Wherry did not make it does not delete):
 *
 *	format		Wherry made the filesystem: destroying the volume removes it
 *	fill		it was there and empty: destroying the volume empties it again
 *	given		it was there with its files (hand-over): destroying the volume only unmounts
 *
 * For a hand-over of a device (nothing is copied):
 *
 *	source:		blockfs_info(v, &b), blockfs_release(v): unmounted, proven, durable
 *	destination:	blockfs_adopt(v, &b), volume_root(v, &fd): mounted, proven
 *	undo (source):	blockfs_take_back(v)
 *	source, later:	blockfs_forget(v): never touches the data
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "storage/signature.h"
#include "storage/storage.h"

#define BLOCKFS_TYPE_MAX 8

enum blockfs_state { BLOCKFS_MAKING, BLOCKFS_READY, BLOCKFS_RELEASED };
enum blockfs_origin { BLOCKFS_FORMAT, BLOCKFS_FILL, BLOCKFS_GIVEN };

struct blockfs {
	enum blockfs_state state;
	enum blockfs_origin origin;
	const struct storage_driver *driver;
	char fs[BLOCKFS_TYPE_MAX]; /* "ext4", "xfs" */
	char uuid[FS_UUID_MAX];
	char *source;  /* image: its path; device: a name of it, only a hint; lvm: "VG/LV" */
	uint64_t size; /* of the device, bytes */
};

void blockfs_done(struct blockfs *b);
#define _cleanup_blockfs_ _cleanup_(blockfs_done)

/* Does the volume have a filesystem of its own (image, device, lvm)? */
bool blockfs_is(const struct volume *v);
bool blockfs_type_ok(const char *fs); /* one that can be made here: ext4, xfs */
/* -ERR_NOT_FOUND: there is no record. */
int blockfs_info(const struct volume *v, struct blockfs *ret, struct err *err) _must_use_;
/* The device as it is called now, proven to have the filesystem; mounted or not. */
int blockfs_device(const struct volume *v, char **ret, struct err *err) _must_use_;
/* Is it on a device that the operator named for this one, not on one that was given to its pool? */
bool blockfs_is_named(const struct volume *v);
/* 1: it is mounted at its place (and proven), 0: it is not. */
int blockfs_mounted(const struct volume *v, struct err *err) _must_use_;
/* Off its place; -ERR_BUSY says who holds it. Then no mount namespace has it and nobody has its
 * device open exclusively. The volume stays what it is: looking into it mounts it again. */
int blockfs_unmount(struct volume *v, struct err *err) _must_use_;
/* blockfs_unmount, and from here on, durably, this node does not mount it. Idempotent. */
int blockfs_release(struct volume *v, struct err *err) _must_use_;
/* Undoes it. Idempotent. Whether the other node has let go is the caller's to know. */
int blockfs_take_back(struct volume *v, struct err *err) _must_use_;
/* The volume, of which nothing is here yet, becomes the filesystem fs with that uuid, as it is, on
 * whatever device has it here (b->source: a hint). It is not mounted by this. */
int blockfs_adopt(struct volume *v, const struct blockfs *b, struct err *err) _must_use_;
/* Unmounted, and record and mount point are gone; the device is as it was. Idempotent. */
int blockfs_forget(struct volume *v, struct err *err) _must_use_;

/* --- inside storage/ only */

/* What the three differ in. dev is the device or, of an image, the file. */
struct blockfs_backend {
	/* Fills in source and, if it is one that is there already, fs, uuid and origin. */
	int (*choose)(struct volume *v, struct blockfs *b, struct err *err);
	/* Makes what the filesystem is made on; done already is fine. */
	int (*make)(struct volume *v, struct blockfs *b, struct err *err);
	/* A device to mount; *ret_fd (-1: none) keeps it there until then. */
	int (*attach)(const struct blockfs *b, char **ret_dev, int *ret_fd, struct err *err);
	/* What mkfs is given. */
	int (*bare)(const struct blockfs *b, char **ret_path, struct err *err);
	/* Does nobody use it, in whatever mount namespace? -ERR_BUSY says who does. */
	int (*idle)(const struct blockfs *b, struct err *err);
	/* Undoes make; missing is fine. Nothing of it is mounted. */
	int (*remove)(const struct blockfs *b, struct err *err);
	/* Optional: what lies beside the volume goes where that went to, the path; b->source is
	 * told. Idempotent. */
	int (*follow)(struct blockfs *b, const char *path, struct err *err);
};

const struct blockfs_backend *blockfs_backend(const struct storage_driver *driver);

/* The operations of their tables. */
int blockfs_exists(struct volume *v, struct err *err) _must_use_;
int blockfs_holds(const char *path, const char *driver, struct err *err) _must_use_;
int blockfs_create(struct volume *v, struct err *err) _must_use_;
int blockfs_destroy(struct volume *v, struct err *err) _must_use_;
int blockfs_rename(struct volume *v, const char *new_path, struct err *err) _must_use_;
int blockfs_settle(struct volume *v, struct err *err) _must_use_;
int blockfs_root(struct volume *v, int *ret_fd, struct err *err) _must_use_;
int blockfs_limit(struct volume *v, uint64_t *ret, struct err *err) _must_use_;
int blockfs_size(struct volume *v, struct volume_size *ret, struct err *err) _must_use_;
