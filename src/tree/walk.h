/*
 * Where we are in a tree: a stack of folders below a root, of any depth, so that no path is ever
 * handed to the kernel. Only the upper 64 levels are held open; deeper ones are opened again by
 * name when we come back. Every step opens one name beneath the folder before it, never follows a
 * symlink and never crosses a mount point. On the source, where a container moves things about,
 * each folder is checked to be the inode that it was; one that is not is -ERR_NOT_FOUND.
 *
 *	struct walk w;
 *	walk_init(&w, rootfd, true);
 *	r = walk_down(&w, "srv", 0, &err);
 *	dirfd = walk_fd(&w, &err);	// stays the walk's
 *	walk_up(&w, 1);
 *	walk_done(&w);
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/err.h"

#define WALK_OPEN_MAX 64

struct walk_level {
	char *name;
	int fd;	     /* -1: not held */
	uint64_t id; /* 0: any */
	dev_t dev;   /* 0: not known yet */
	uint64_t subvol;
};

struct walk {
	int rootfd;
	uint64_t root_id;
	dev_t root_dev;
	bool check; /* the ids */
	struct walk_level *v;
	size_t n, cap;
};

void walk_init(struct walk *w, int rootfd, bool check);
void walk_done(struct walk *w);
/* Goes down one name without opening it yet. */
void walk_down(struct walk *w, const char *name, uint64_t id);
void walk_up(struct walk *w, size_t n); /* n <= depth */
int walk_fd(struct walk *w, struct err *err) _must_use_;
uint64_t walk_id(const struct walk *w); /* of the current folder */
/* The id of an inode in the current folder: its number, made different for inodes of nested
 * subvolumes. */
uint64_t walk_entry_id(const struct walk *w, const struct stat *st);
/* "srv/www", with name if not NULL, printable; for messages. */
char *walk_path(const struct walk *w, const char *name);
/* The same as it is, for operations. */
char *walk_raw_path(const struct walk *w, const char *name);

/* A private view of the tree without what is mounted over it, on which reading leaves no access
 * times and devices do not open. Where the kernel cannot: a duplicate of rootfd. */
int walk_private_root(int rootfd, struct err *err) _must_use_;
