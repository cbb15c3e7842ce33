#include "tree/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/fd.h"
#include "base/proc.h"
#include "tree/changes.h"
#include "tree/watch_trust.h"
#include "tree/watch_wire.h"

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif

/* Folders are named by the inodes in events about their names, and so need no others. */
#define EVENTS                                                                                     \
	(FAN_MODIFY | FAN_ATTRIB | FAN_CLOSE_WRITE | FAN_CLOSE_NOWRITE | FAN_CREATE | FAN_DELETE | \
		FAN_MOVED_FROM | FAN_MOVED_TO | FAN_MOVE_SELF | FAN_ONDIR)

#define ANSWER_MAX (30 * USEC_PER_SEC)

struct watch {
	int sock;
};

/* Handles: of ext4 {inode, generation} in 32 bits each, of xfs with an inode of 64 if need be. */

void watch_handle_make(int fs_type, uint64_t inode, uint32_t generation, struct watch_handle *ret)
{
	uint32_t low = (uint32_t)inode;

	*ret = (struct watch_handle){.bytes = 8, .type = 1};
	if (fs_type == XFS_SUPER_MAGIC) {
		*ret = (struct watch_handle){.bytes = 12, .type = 0x81};
		memcpy(ret->data, &inode, 8);
		memcpy(ret->data + 8, &generation, 4);
		return;
	}
	memcpy(ret->data, &low, 4);
	memcpy(ret->data + 4, &generation, 4);
}

bool watch_handle_read(const struct watch_handle *h, uint64_t *ret_inode, uint32_t *ret_generation)
{
	uint32_t low;

	if (h->type == 1 && h->bytes == 8) {
		memcpy(&low, h->data, 4);
		memcpy(ret_generation, h->data + 4, 4);
		*ret_inode = low;
		return true;
	}
	if (h->type != 0x81 || h->bytes != 12)
		return false;
	memcpy(ret_inode, h->data, 8);
	memcpy(ret_generation, h->data + 8, 4);
	return true;
}

bool watch_can(int rootfd)
{
	struct statfs fs;

	return fstatfs(rootfd, &fs) == 0 &&
	       (fs.f_type == EXT4_SUPER_MAGIC || fs.f_type == XFS_SUPER_MAGIC) &&
	       watch_trusted(rootfd);
}

/* A socket's path is short, and the folder's may not be. */
static int address_of(
	const char *folder, const char *name, struct sockaddr_un *ret, struct err *err)
{
	int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC), n;

	if (fd < 0)
		return err_errno(err, "open %s", folder);
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	n = snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/%s.watch", fd, name);
	if (n < 0 || (size_t)n >= sizeof(ret->sun_path)) {
		close(fd);
		return err_set(err, ERR_INVALID, "%s: a name too long for a socket", name);
	}
	return fd;
}

static int new_socket(struct err *err)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	return fd >= 0 ? fd : err_errno(err, "make a socket");
}

static int connect_to(const char *folder, const char *name, struct watch **ret, struct err *err)
{
	struct sockaddr_un to;
	_cleanup_close_ int sock = -1, dir = address_of(folder, name, &to, err);
	struct watch *w;

	if (dir < 0)
		return dir;
	sock = new_socket(err);
	if (sock < 0)
		return sock;
	if (connect(sock, (struct sockaddr *)&to, sizeof(to)) < 0) {
		if (errno == ENOENT || errno == ECONNREFUSED)
			return err_set(err, ERR_NOT_FOUND, "nobody tracks changes for %s", name);
		return err_errno(err, "reach the process that tracks changes for %s", name);
	}
	w = xnew(struct watch);
	w->sock = TAKE_FD(sock);
	*ret = w;
	return 0;
}

static int listen_at(const char *folder, const char *name, struct err *err)
{
	struct sockaddr_un at;
	_cleanup_close_ int sock = -1, dir = address_of(folder, name, &at, err);

	if (dir < 0)
		return dir;
	sock = new_socket(err);
	if (sock < 0)
		return sock;
	if (unlink(at.sun_path) < 0 && errno != ENOENT)
		return err_errno(err, "remove %s/%s.watch", folder, name);
	if (bind(sock, (struct sockaddr *)&at, sizeof(at)) < 0 || chmod(at.sun_path, 0600) < 0 ||
		listen(sock, 4) < 0)
		return err_errno(err, "listen at %s/%s.watch", folder, name);
	return TAKE_FD(sock);
}

static int arm(int rootfd, unsigned flags, struct err *err)
{
	unsigned f = FAN_CLASS_NOTIF | FAN_REPORT_FID | FAN_CLOEXEC | FAN_NONBLOCK;
	_cleanup_close_ int group = -1;

	if (!watch_can(rootfd))
		return err_set(err, ERR_UNSUPPORTED, "changes of that file system are not tracked");
	group = fanotify_init(flags & WATCH_BOUNDED ? f : f | FAN_UNLIMITED_QUEUE, 0);
	if (group < 0 ||
		fanotify_mark(group, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, EVENTS, rootfd, NULL) < 0)
		return err_set(
			err, ERR_UNSUPPORTED, "changes can't be tracked here: %s", strerror(errno));
	return TAKE_FD(group);
}

static int start(const char *program, const char *folder, const char *name, int rootfd,
	unsigned flags, struct watch **ret, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/%s.watch", folder, name);
	_cleanup_close_ int listener = -1, group = arm(rootfd, flags, err);
	_cleanup_(proc_done) struct proc p = PROC_INIT;
	const char *argv[] = {program, path, NULL};
	int r;

	if (group < 0)
		return group;
	listener = listen_at(folder, name, err);
	if (listener < 0)
		return listener;
	p.argv = argv;
	p.fd_in = listener;
	p.fd_extra = group;
	p.detach = true;
	r = proc_spawn(&p, err);
	return r < 0 ? err_prefix(err, "track changes") : connect_to(folder, name, ret, err);
}

/* One that hangs is as good as one that is gone. */
static int await_answer(struct watch *w, struct err *err)
{
	struct pollfd p[] = {
		{.fd = w->sock, .events = POLLIN}, {.fd = cancel_fd(), .events = POLLIN}};
	usec_t deadline = clock_deadline(ANSWER_MAX);

	while (clock_now() < deadline) {
		int n = poll(p, ARRAY_SIZE(p), clock_poll_ms(deadline)), r = cancel_check(err);

		if (r < 0 || (n > 0 && p[0].revents))
			return r;
	}
	return err_set(err, ERR_TIMEOUT, "the process that tracks changes does not answer");
}

/* The answer, with how many descriptors: other numbers are an error. */
static int ask(struct watch *w, const struct watch_request *q, int rootfd, struct watch_answer *ret,
	int *ret_fd, struct err *err)
{
	int fds[FD_PASS_MAX] = {-1, -1, -1, -1};
	size_t n_fds = 0, want = ret_fd ? 1 : 0;
	int r = fd_send_msg(w->sock, q, sizeof(*q), &rootfd, 1, err);
	ssize_t n;

	if (r >= 0)
		r = await_answer(w, err);
	if (r < 0)
		return err_prefix(err, "ask what has changed");
	n = fd_recv_msg(w->sock, ret, sizeof(*ret), fds, &n_fds, err);
	if (n == (ssize_t)sizeof(*ret) && ret->magic == WATCH_MAGIC && n_fds == want) {
		if (ret_fd)
			*ret_fd = fds[0];
		return 0;
	}
	for (size_t i = 0; i < n_fds; i++)
		close(fds[i]);
	if (n < 0)
		return (int)n;
	return err_set(err, n ? ERR_PROTOCOL : ERR_UNREACHABLE,
		"the process that tracks changes %s", n ? "answers strangely" : "has ended");
}

static bool sees(struct watch *w, int rootfd)
{
	const struct watch_request q = {.magic = WATCH_MAGIC, .kind = WATCH_LOOK};
	struct err ignored = ERR_INIT;
	struct watch_answer a;

	return ask(w, &q, rootfd, &a, NULL, &ignored) >= 0;
}

int watch_attach(const char *program, const char *folder, const char *name, int rootfd,
	unsigned flags, struct watch **ret, struct err *err)
{
	struct watch *w;
	int r = connect_to(folder, name, &w, err);

	if (r >= 0 && !sees(w, rootfd)) {
		watch_free(w);
		r = -ERR_NOT_FOUND;
	}
	if (r == -ERR_NOT_FOUND) {
		err_clear(err);
		return start(program, folder, name, rootfd, flags, ret, err);
	}
	if (r >= 0)
		*ret = w;
	return r;
}

static int take_items(
	int fd, const struct watch_answer *a, struct watch_changes *ret, struct err *err)
{
	size_t bytes = (size_t)a->n * sizeof(struct watch_item);
	_cleanup_free_ struct watch_item *v = NULL;

	if (a->n > CHANGES_MAX)
		return err_set(err, ERR_PROTOCOL, "more changes than there can be");
	v = xcalloc((size_t)a->n + 1, sizeof(*v));
	if (bytes && pread(fd, v, bytes, 0) != (ssize_t)bytes)
		return err_set(err, ERR_PROTOCOL, "fewer changes than were said");
	*ret = (struct watch_changes){
		.now = a->now, .known = a->known, .v = TAKE_PTR(v), .n = (size_t)a->n};
	return 0;
}

int watch_take(struct watch *w, int rootfd, const struct watch_stamp *since,
	struct watch_changes *ret, struct err *err)
{
	const struct watch_request q = {WATCH_MAGIC, WATCH_TAKE, *since};
	_cleanup_close_ int fd = -1;
	struct watch_answer a;
	int r = ask(w, &q, rootfd, &a, &fd, err);

	/* Asked after the changes were taken: what began to write in secret since then is a
	 * container that runs, and is met by the next pass. */
	if (r >= 0 && !watch_trusted(rootfd))
		a.known = false, a.n = 0;
	return r < 0 ? r : take_items(fd, &a, ret, err);
}

void watch_changes_done(struct watch_changes *c)
{
	free(c->v);
	*c = (struct watch_changes){0};
}

void watch_free(struct watch *w)
{
	if (!w)
		return;
	close(w->sock);
	free(w);
}

void watch_freep(struct watch **w)
{
	watch_free(*w);
}

void watch_end(const char *folder, const char *name)
{
	const struct watch_request q = {.magic = WATCH_MAGIC, .kind = WATCH_END};
	_cleanup_free_ char *path = xasprintf("%s/%s.watch", folder, name);
	_cleanup_watch_ struct watch *w = NULL;
	struct err ignored = ERR_INIT;
	char end;

	/* It closes the socket as it goes. */
	if (connect_to(folder, name, &w, &ignored) >= 0 &&
		fd_send_msg(w->sock, &q, sizeof(q), NULL, 0, &ignored) >= 0)
		(void)!recv(w->sock, &end, 1, 0);
	(void)unlink(path);
}
