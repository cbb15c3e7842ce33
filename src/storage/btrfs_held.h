/*
 * Inside storage/ only: the files and folders of a subvolume that a stream is applied to, or reads
 * from, held open by their path. A stream names a path in each command and comes back to the same
 * few again and again. All lookups stay beneath the root (base/beneath.h); only regular files are
 * ever opened for their content, never a device or a pipe that a stream has made.
 *
 * Functions return -1 with errno, as openat does. An entry is valid until the next call that may
 * add one, but for the two that were used last.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#define HELD_MAX 64

struct held {
	char *path; /* "" is the root; NULL: not in use */
	uint32_t hash;
	int fd;
	bool folder;
	bool plain; /* folder: what is made in it inherits nothing */
	bool known; /* the next three are true */
	mode_t mode;
	uid_t uid;
	gid_t gid;
	uint64_t used;
};

struct held_set {
	int root; /* not ours */
	bool read_only;
	uint64_t clock;
	struct held v[HELD_MAX];
};

void held_init(struct held_set *s, int root, bool read_only);
void held_done(struct held_set *s);

struct held *held_find(struct held_set *s, const char *path); /* NULL: not held */
int held_folder(struct held_set *s, const char *path, struct held **ret);
int held_file(struct held_set *s, const char *path, struct held **ret);
/* The folder path is in, and its last component. EINVAL for a path that is none of ours. */
int held_parent(struct held_set *s, const char *path, struct held **ret, const char **ret_name);
/* A new file that was just made, opened for reading and writing; the set owns fd now. */
void held_add_new(struct held_set *s, const char *path, int fd);

/* What a command did to the paths. */
void held_moved(struct held_set *s, const char *from, const char *to);
void held_gone(struct held_set *s, const char *path);	 /* and all below it */
void held_changed(struct held_set *s, const char *path); /* its attributes are not known now */

/* Opens path, whatever it is, for nothing but its metadata (O_PATH). */
int held_handle(struct held_set *s, const char *path);
/* Opens what a handle refers to, which must be a regular file or a folder. */
int held_reopen(int handle, int flags);
