#include "tree/watcher.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "tree/changes.h"
#include "tree/watch_wire.h"

#define BUF_SIZE (256u << 10)
#define PAUSE_MS 50   /* what waits longer is more often the same: the kernel merges it */
#define LOOK_MS	 5000 /* is the socket still there? */

struct watcher {
	struct changes changes;
	uint64_t id;
	int client;
	pid_t client_pid, self;
	bool sentinel; /* came by */
	bool end;
	unsigned char *buf;
};

static bool handle_of(const struct fanotify_event_metadata *m, struct watch_handle *ret)
{
	const struct fanotify_event_info_fid *info = (const void *)(m + 1);
	const struct file_handle *h = (const void *)info->handle;

	if (m->event_len < sizeof(*m) + sizeof(*info) + sizeof(*h) ||
		info->hdr.info_type != FAN_EVENT_INFO_TYPE_FID ||
		h->handle_bytes > sizeof(ret->data) ||
		m->event_len < sizeof(*m) + sizeof(*info) + sizeof(*h) + h->handle_bytes)
		return false;
	*ret = (struct watch_handle){.bytes = h->handle_bytes, .type = h->handle_type};
	memcpy(ret->data, h->f_handle, h->handle_bytes);
	return true;
}

static void take_event(struct watcher *w, const struct fanotify_event_metadata *m)
{
	bool sure = m->mask & ~(uint64_t)(FAN_CLOSE_NOWRITE | FAN_ONDIR);
	struct watch_handle h;
	uint32_t generation;
	uint64_t inode;

	if (m->fd >= 0)
		close(m->fd);
	if (m->mask & FAN_Q_OVERFLOW || m->vers != FANOTIFY_METADATA_VERSION) {
		changes_lose(&w->changes);
		return;
	}
	/* Neither we nor the pass that reads the tree changes flags of what it has open. */
	if (!sure && m->pid == w->self) {
		w->sentinel = true;
		return;
	}
	if (!sure && m->pid == w->client_pid)
		return;
	if (handle_of(m, &h) && watch_handle_read(&h, &inode, &generation))
		changes_note(&w->changes, inode, generation, sure);
	else
		changes_lose(&w->changes);
}

/* How many there were; 0 for none. */
static size_t take_some(struct watcher *w)
{
	const struct fanotify_event_metadata *m = (const void *)w->buf;
	size_t taken = 0;
	ssize_t n;

	do
		n = read(WATCH_FD_GROUP, w->buf, BUF_SIZE);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EAGAIN)
		changes_lose(&w->changes);
	for (; n > 0 && FAN_EVENT_OK(m, n); m = FAN_EVENT_NEXT(m, n), taken++)
		take_event(w, m);
	return taken;
}

/* Until there is no more, or until the sentinel: the queue of a busy system may never be empty. */
static void drain(struct watcher *w)
{
	while (!w->sentinel && take_some(w) > 0)
		;
}

/* All that waits at this moment, as many as the kernel says, and no more: others come all the
 * while. A close of ours that was no sentinel must not be taken for one later. */
static void drain_rest(struct watcher *w)
{
	int bytes = 0;
	size_t left, n;

	if (ioctl(WATCH_FD_GROUP, FIONREAD, &bytes) < 0)
		changes_lose(&w->changes);
	for (left = (size_t)bytes / FAN_EVENT_METADATA_LEN; left > 0; left -= MIN(left, n)) {
		n = take_some(w);
		if (n == 0)
			break;
	}
	w->sentinel = false;
}

/* Everything that happened before this call is noted after it. Opening and closing the root makes
 * an event of our own, behind all others. false: it does not come, the mark is gone. The file
 * system was unmounted since, or this root is on another. */
static bool drain_all(struct watcher *w, int rootfd)
{
	int fd = openat(rootfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/* An event that waits swallows one like it, which would then come before what is between.
	 */
	drain_rest(w);
	if (fd >= 0)
		close(fd);
	drain(w);
	if (fd < 0 || (!w->sentinel && w->changes.lost != w->changes.open))
		return false;
	w->sentinel = false;
	return true;
}

static size_t items_since(const struct changes *c, uint32_t since, struct watch_item *v)
{
	size_t n = 0;

	for (size_t i = 0; i < c->cap; i++) {
		const struct change *e = &c->v[i];

		if (e->inode && MAX(e->sure, e->maybe) > since)
			v[n++] = (struct watch_item){e->inode, e->generation, e->sure > since};
	}
	return n;
}

static int answer_look(struct watcher *w, struct err *err)
{
	struct watch_answer a = {.magic = WATCH_MAGIC, .now.id = w->id};

	return fd_send_msg(w->client, &a, sizeof(a), NULL, 0, err);
}

static int answer_take(struct watcher *w, const struct watch_stamp *since, struct err *err)
{
	struct watch_answer a = {.magic = WATCH_MAGIC, .now.id = w->id};
	_cleanup_free_ struct watch_item *v = NULL;
	_cleanup_close_ int fd = memfd_create("changes", MFD_CLOEXEC);
	uint32_t from = since->id == w->id ? (uint32_t)since->cut : 0;
	int r;

	if (fd < 0)
		return err_errno(err, "make a memory file");
	a.known = changes_complete(&w->changes, from);
	a.now.cut = changes_cut(&w->changes);
	/* Who does not know the last cut walks, and asks for what comes after this one. */
	changes_drop(&w->changes, a.known ? from : (uint32_t)a.now.cut);
	v = xcalloc(w->changes.n + 1, sizeof(*v));
	a.n = a.known ? items_since(&w->changes, from, v) : 0;
	r = fd_write_all(fd, v, (size_t)a.n * sizeof(*v), CLOCK_NEVER, err);
	return r < 0 ? r : fd_send_msg(w->client, &a, sizeof(a), &fd, 1, err);
}

static void drop_client(struct watcher *w)
{
	drain_rest(w); /* what it has closed while it was known */
	if (w->client >= 0)
		close(w->client);
	w->client = -1;
	w->client_pid = -1;
}

static void take_client(struct watcher *w)
{
	int fd = accept4(WATCH_FD_LISTEN, NULL, NULL, SOCK_CLOEXEC);
	struct ucred who;
	socklen_t n = sizeof(who);

	if (fd < 0)
		return;
	drop_client(w); /* one send has one pass at a time: that one is over */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) < 0 || who.uid != geteuid()) {
		close(fd);
		return;
	}
	w->client = fd;
	w->client_pid = who.pid;
}

static void serve_client(struct watcher *w)
{
	struct watch_request q;
	struct err err = ERR_INIT;
	int fds[FD_PASS_MAX];
	size_t n_fds = 0;
	ssize_t n = fd_recv_msg(w->client, &q, sizeof(q), fds, &n_fds, &err);
	bool ok = n == (ssize_t)sizeof(q) && q.magic == WATCH_MAGIC;

	if (!ok || n_fds != (q.kind == WATCH_END ? 0 : 1))
		drop_client(w);
	else if (q.kind == WATCH_END || !drain_all(w, fds[0]))
		w->end = true;
	else if ((q.kind == WATCH_LOOK ? answer_look(w, &err) : answer_take(w, &q.since, &err)) < 0)
		drop_client(w);
	for (size_t i = 0; i < n_fds; i++)
		close(fds[i]);
}

static bool still_there(const char *path, const struct stat *was)
{
	struct stat st;

	return lstat(path, &st) == 0 && st.st_ino == was->st_ino && st.st_dev == was->st_dev;
}

static void serve(struct watcher *w, const char *path)
{
	usec_t look = clock_deadline(LOOK_MS * USEC_PER_MSEC);
	struct stat was;
	bool rest = false; /* let events gather for a moment */

	if (lstat(path, &was) < 0)
		return;
	while (!w->end) {
		struct pollfd p[] = {{.fd = WATCH_FD_LISTEN, .events = POLLIN},
			{.fd = w->client, .events = POLLIN},
			{.fd = rest ? -1 : WATCH_FD_GROUP, .events = POLLIN}};
		int n = poll(p, ARRAY_SIZE(p), rest ? PAUSE_MS : LOOK_MS);

		if (clock_now() >= look && !still_there(path, &was))
			return;
		if (clock_now() >= look)
			look = clock_deadline(LOOK_MS * USEC_PER_MSEC);
		rest = n > 0 && p[2].revents;
		if (rest)
			drain_rest(w);
		if (n > 0 && p[1].revents)
			serve_client(w);
		if (n > 0 && p[0].revents)
			take_client(w);
	}
}

int watcher_run(const char *path)
{
	struct watcher w = {
		.client = -1, .client_pid = -1, .self = getpid(), .buf = xmalloc(BUF_SIZE)};

	changes_init(&w.changes);
	if (getrandom(&w.id, sizeof(w.id), 0) != (ssize_t)sizeof(w.id))
		return 1;
	w.id |= 1;
	serve(&w, path);
	drop_client(&w);
	changes_done(&w.changes);
	free(w.buf);
	return 0;
}
