/*
 * The names in a folder with what stat says, some thousands at a time, in the order of inode
 * numbers: the order in which file systems keep inodes, so that a cold disk is read in one
 * direction.
 *
 *	list_begin(&l, walk_fd(&w));
 *	while ((n = list_more(&l, &w, &err)) > 0)
 *		for (size_t i = 0; i < l.n; i++) ... l.v[i] ..., list_name(&l, &l.v[i])
 *	list_done(&l);
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "tree/names.h"
#include "tree/walk.h"

#define LIST_CHUNK 8192

struct list_item {
	uint64_t id; /* 0 until it was stat'ed */
	int64_t ctime;
	uint64_t size, blocks;
	uint32_t mode, nlink;  /* nlink 0: only listed, mode is the type */
	uint32_t name;	       /* offset */
	int fd;		       /* opened ahead, or -1 */
	const struct stat *st; /* of fd, where the user has it */
	uint64_t old;	       /* where the index has this name, or 0 */
	unsigned char state;   /* the user's */
	bool asked;	       /* the disk, for its content */
};

struct list {
	int fd;
	struct list_item *v;
	size_t n, cap;
	struct str names;
	unsigned char *buf;
	size_t pos, len; /* in buf */
	bool end;
	/* The user looks at files, or at everything, by himself: see list_look. Set after
	 * list_begin. */
	enum { LIST_LOOKS, LIST_NO_FILES, LIST_NAMES } quick;
	size_t chunks;
	uint64_t vanished;
	/* A folder that changes while it is read can give a name twice. */
	int64_t ctime;
	struct names given; /* of folders of more than one chunk */
};

void list_begin(
	struct list *l, int dirfd); /* from the first name; l is zeroed or was used before */
int list_more(
	struct list *l, struct walk *w, struct err *err) _must_use_; /* 0: there are no more */
/* What stat says of an item that was only listed; false if another file system is mounted there.
 * list_look asks by name; 1: it is gone. */
bool list_seen(struct list_item *i, const struct walk *w, const struct stat *st);
int list_look(struct list *l, struct list_item *i, struct walk *w, struct err *err) _must_use_;
const char *list_name(const struct list *l, const struct list_item *i);
void list_done(struct list *l);
