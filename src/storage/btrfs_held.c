#include "storage/btrfs_held.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>

#include "base/alloc.h"
#include "base/beneath.h"

/* The flags that new things take over from their folder. */
#define INHERITED (FS_NOCOW_FL | FS_COMPR_FL | FS_NOCOMP_FL)

static uint32_t hash_of(const char *path)
{
	uint32_t h = 2166136261u; /* FNV-1a */

	while (*path)
		h = (h ^ (uint8_t)*path++) * 16777619u;
	return h;
}

static void drop(struct held *h)
{
	close(h->fd);
	free(h->path);
	*h = (struct held){.fd = -1};
}

void held_init(struct held_set *s, int root, bool read_only)
{
	*s = (struct held_set){.root = root, .read_only = read_only};
	for (size_t i = 0; i < HELD_MAX; i++)
		s->v[i].fd = -1;
}

void held_done(struct held_set *s)
{
	for (size_t i = 0; i < HELD_MAX; i++)
		if (s->v[i].path)
			drop(&s->v[i]);
}

struct held *held_find(struct held_set *s, const char *path)
{
	uint32_t hash = hash_of(path);

	for (size_t i = 0; i < HELD_MAX; i++) {
		struct held *h = &s->v[i];

		if (h->path && h->hash == hash && strcmp(h->path, path) == 0) {
			h->used = ++s->clock;
			return h;
		}
	}
	return NULL;
}

/* A free place, or that of what was not used for the longest time. */
static struct held *add(struct held_set *s, const char *path, int fd)
{
	struct held *h = &s->v[0];

	for (size_t i = 0; i < HELD_MAX && h->path; i++)
		if (!s->v[i].path || s->v[i].used < h->used)
			h = &s->v[i];
	if (h->path)
		drop(h);
	*h = (struct held){xstrdup(path), hash_of(path), .fd = fd, .used = ++s->clock};
	return h;
}

int held_handle(struct held_set *s, const char *path)
{
	struct held *parent;
	const char *name;

	if (!*path)
		return beneath_open_raw(s->root, ".", O_PATH, 0, 0);
	if (held_parent(s, path, &parent, &name) < 0)
		return -1;
	return beneath_open_raw(parent->fd, name, O_PATH, 0, 0);
}

int held_reopen(int handle, int flags)
{
	struct stat st;
	char proc[64];

	if (fstat(handle, &st) < 0)
		return -1;
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
		errno = EINVAL;
		return -1;
	}
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", handle);
	return open(proc, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

/* An ACL that new things get, a flag that they take on, how they are to be compressed. */
static bool is_plain(int fd)
{
	int flags;

	return fgetxattr(fd, "system.posix_acl_default", NULL, 0) < 0 &&
	       fgetxattr(fd, "btrfs.compression", NULL, 0) < 0 &&
	       (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0 || !(flags & INHERITED));
}

int held_folder(struct held_set *s, const char *path, struct held **ret)
{
	struct held *h = held_find(s, path);
	int fd;

	if (!h) {
		fd = beneath_open_raw(s->root, path, O_RDONLY | O_DIRECTORY, 0, 0);
		if (fd < 0)
			return -1;
		h = add(s, path, fd);
		h->folder = true;
		h->plain = s->read_only || is_plain(fd);
	}
	if (!h->folder) {
		errno = ENOTDIR;
		return -1;
	}
	*ret = h;
	return 0;
}

int held_file(struct held_set *s, const char *path, struct held **ret)
{
	struct held *h = held_find(s, path);
	_cleanup_close_ int handle = -1;
	int fd;

	if (!h) {
		handle = held_handle(s, path);
		fd = handle < 0 ? -1 : held_reopen(handle, s->read_only ? O_RDONLY : O_RDWR);
		if (fd < 0)
			return -1;
		h = add(s, path, fd);
	}
	if (h->folder) {
		errno = EISDIR;
		return -1;
	}
	*ret = h;
	return 0;
}

int held_parent(struct held_set *s, const char *path, struct held **ret, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_MAX];
	size_t n = slash ? (size_t)(slash - path) : 0;

	if (n >= sizeof(folder) || !beneath_path_ok(path)) {
		errno = EINVAL;
		return -1;
	}
	memcpy(folder, path, n);
	folder[n] = '\0';
	if (held_folder(s, folder, ret) < 0)
		return -1;
	*ret_name = slash ? slash + 1 : path;
	return 0;
}

void held_add_new(struct held_set *s, const char *path, int fd)
{
	struct held *h = add(s, path, fd);
	struct stat st;

	if (fstat(fd, &st) < 0)
		return;
	h->known = true;
	h->mode = st.st_mode & 07777;
	h->uid = st.st_uid;
	h->gid = st.st_gid;
}

/* path itself, or below it? */
static bool is_at_or_below(const struct held *h, const char *path, size_t n)
{
	return strncmp(h->path, path, n) == 0 && (h->path[n] == '\0' || h->path[n] == '/');
}

void held_gone(struct held_set *s, const char *path)
{
	size_t n = strlen(path);

	for (size_t i = 0; i < HELD_MAX; i++)
		if (s->v[i].path && is_at_or_below(&s->v[i], path, n))
			drop(&s->v[i]);
}

void held_moved(struct held_set *s, const char *from, const char *to)
{
	struct held *h, moved = {.fd = -1};

	if (strcmp(from, to) == 0)
		return;
	h = held_find(s, from);
	if (h) {
		moved = *h;
		*h = (struct held){.fd = -1};
	}
	held_gone(s, from);
	held_gone(s, to);
	if (!moved.path)
		return;
	h = add(s, to, moved.fd);
	free(moved.path);
	moved.path = h->path;
	moved.hash = h->hash;
	moved.used = h->used;
	*h = moved;
}

void held_changed(struct held_set *s, const char *path)
{
	struct held *h = held_find(s, path);

	if (h && h->folder)
		drop(h);
	else if (h)
		h->known = false;
}
