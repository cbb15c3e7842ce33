/*
 * The tree engine on the command line, for tests and measurements:
 *
 *	treecp send DIR INDEX OPTION...  | treecp recv DIR STATE OPTION...	(frames on the
 * standard descriptors) treecp local FROM TO INDEX STATE OPTION...
 * (both, in two processes)
 *
 * Options: final, commit, map=..., from-map=..., to-map=... ("b:0:100000:65536", may be repeated),
 * cut=BYTES (local: the stream breaks there), resume (local: ask the destination what it holds),
 * watch=FOLDER (track changes, by a process found or started there; WHERRY_WATCH names the
 * program), bounded (a watch with a small queue), tracked (fail unless this pass was), quiet.
 *
 *	treecp watch DIR FOLDER [bounded]	(arms it, before there is an index)
 *	treecp unwatch FOLDER
 *	treecp commit INDEX
 *	treecp show INDEX	(what it says, one name a line)
 *	treecp sums FROM TO INDEX STATE		(fails unless all four ways to the digest agree)
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/attr.h"
#include "base/num.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/stream.h"
#include "link/frame.h"
#include "tree/index.h"
#include "tree/names.h"
#include "tree/tree.h"
#include "tree/watch.h"

struct options {
	bool final, commit, resume, quiet, bounded, tracked;
	const char *watch;
	uint64_t cut;
	struct idmap from, to;
};

static void die(const char *what, const struct err *err)
{
	fprintf(stderr, "treecp: %s: %s: %s\n", what, err_name(err->code), err->text);
	exit(1);
}

static void add_map(struct idmap *m, const char *text)
{
	_cleanup_free_ char *t = xstrdup(text);
	struct err err = ERR_INIT;

	for (char *p = t; *p; p++)
		*p = *p == ':' ? ' ' : *p;
	if (idmap_add(m, t, &err) < 0)
		die("map", &err);
}

static struct options parse(char **argv)
{
	struct options o = {0};
	struct err err = ERR_INIT;

	for (; *argv; argv++) {
		if (str_eq(*argv, "final"))
			o.final = true;
		else if (str_eq(*argv, "commit"))
			o.commit = true;
		else if (str_eq(*argv, "resume"))
			o.resume = true;
		else if (str_eq(*argv, "quiet"))
			o.quiet = true;
		else if (str_eq(*argv, "bounded"))
			o.bounded = true;
		else if (str_eq(*argv, "tracked"))
			o.tracked = true;
		else if (str_starts(*argv, "watch="))
			o.watch = *argv + 6;
		else if (str_starts(*argv, "map=") || str_starts(*argv, "from-map="))
			add_map(&o.from, strchr(*argv, '=') + 1);
		else if (str_starts(*argv, "to-map="))
			add_map(&o.to, strchr(*argv, '=') + 1);
		else if (!str_starts(*argv, "cut=") ||
			 num_u64(*argv + 4, UINT64_MAX, &o.cut, &err) < 0)
			fprintf(stderr, "treecp: what is %s?\n", *argv), exit(2);
	}
	return o;
}

static int open_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		perror(path), exit(1);
	return fd;
}

static void print(const char *who, const struct tree_result *r, const struct options *o)
{
	struct rusage used;

	(void)getrusage(RUSAGE_SELF, &used);
	if (!o->quiet)
		fprintf(stderr,
			"%s: entries=%llu sent=%llu bytes=%llu deleted=%llu vanished=%llu "
			"unsupported=%llu peak=%ldKiB tracked=%d\n",
			who, (unsigned long long)r->entries, (unsigned long long)r->sent,
			(unsigned long long)r->bytes, (unsigned long long)r->deleted,
			(unsigned long long)r->vanished, (unsigned long long)r->n_unsupported,
			used.ru_maxrss, (int)r->tracked);
	for (size_t i = 0; i < strv_len(r->unsupported); i++)
		fprintf(stderr, "unsupported: %s\n", r->unsupported[i]);
}

static struct watch *watch_for(int rootfd, const struct options *o)
{
	const char *program = getenv("WHERRY_WATCH");
	struct watch *w = NULL;
	struct err err = ERR_INIT;

	if (watch_attach(program ? program : "wherry-watch", o->watch, "tree", rootfd,
		    o->bounded ? WATCH_BOUNDED : 0, &w, &err) < 0)
		die("watch", &err);
	return w;
}

static int send_tree(const char *dir, const char *index, struct stream *s,
	const struct tree_resume *resume, const struct options *o, struct err *err)
{
	struct tree_send_args a = {.rootfd = open_dir(dir),
		.index_path = index,
		.idmap = &o->from,
		.final = o->final,
		.resume = resume};
	_cleanup_watch_ struct watch *w = o->watch ? watch_for(a.rootfd, o) : NULL;
	struct tree_result res = {0};
	int r;

	a.watch = w;
	r = tree_send(&a, s, &res, err);
	if (r >= 0)
		r = stream_end(s, err);
	if (r >= 0)
		print("send", &res, o);
	if (r >= 0 && o->tracked && !res.tracked)
		r = err_set(err, ERR_STATE, "this pass was not tracked");
	tree_result_done(&res);
	close(a.rootfd);
	return r;
}

static int receive_tree(const char *dir, const char *state, struct stream *s,
	const struct options *o, struct err *err)
{
	struct tree_receive_args a = {.rootfd = open_dir(dir), .state_dir = state, .idmap = &o->to};
	struct tree_result res = {0};
	int r = tree_receive(&a, s, &res, err);

	if (r >= 0)
		print("recv", &res, o);
	tree_result_done(&res);
	close(a.rootfd);
	return r;
}

/* The other side has synced all when the way back ends; and one that is gone too early would have
 * ssh give up there. */
static void await_end(struct stream *s)
{
	struct err err = ERR_INIT;
	json_t *line;
	int r;

	while ((r = frame_await(s, CLOCK_NEVER, &line, &err)) > 0)
		json_decref(line);
	if (r < 0)
		die("answer", &err);
}

/* A stream that acknowledges through a second descriptor, and can break. */
struct local {
	struct stream stream;
	struct stream *data;
	int acks;
	uint64_t applied, synced, cut;
	int dump; /* a copy of what is sent, for debugging: TREECP_DUMP names the file */
};

static ssize_t local_read(struct stream *s, void *buf, size_t n, struct err *err)
{
	return stream_read(((struct local *)s)->data, buf, n, err);
}

static int local_write(struct stream *s, const void *buf, size_t n, struct err *err)
{
	struct local *l = (struct local *)s;

	if (l->dump >= 0 && write(l->dump, buf, n) < 0)
		perror("dump");
	if (l->cut && s->n_written + n > l->cut) {
		if (stream_write(l->data, buf, l->cut - s->n_written, err) < 0)
			return -(int)err->code;
		return err_set(err, ERR_UNREACHABLE, "the stream was cut");
	}
	return stream_write(l->data, buf, n, err);
}

static int local_end(struct stream *s, struct err *err)
{
	return stream_end(((struct local *)s)->data, err);
}

static int local_ack(struct stream *s, uint64_t offset, bool synced, struct err *err)
{
	uint64_t msg[2] = {offset, synced};

	(void)err;
	return send(((struct local *)s)->acks, msg, sizeof(msg), MSG_NOSIGNAL) < 0 ? 0 : 0;
}

static int local_acked(
	struct stream *s, uint64_t *ret_applied, uint64_t *ret_synced, struct err *err)
{
	struct local *l = (struct local *)s;
	uint64_t msg[2];

	(void)err;
	while (recv(l->acks, msg, sizeof(msg), MSG_DONTWAIT) == sizeof(msg))
		*(msg[1] ? &l->synced : &l->applied) = msg[0];
	*ret_applied = l->applied;
	*ret_synced = l->synced;
	return 0;
}

static void local_free(struct stream *s)
{
	struct local *l = (struct local *)s;

	stream_free(l->data);
	close(l->acks);
	free(l);
}

static const struct stream_ops local_ops = {.name = "local",
	.read = local_read,
	.write = local_write,
	.end = local_end,
	.ack = local_ack,
	.acked = local_acked,
	.free = local_free};

static struct stream *local_new(int data, int acks, uint64_t cut)
{
	const char *dump = getenv("TREECP_DUMP");
	struct local *l = xnew(struct local);

	*l = (struct local){.stream.ops = &local_ops,
		.data = stream_fd_new(data, data, 60 * USEC_PER_SEC),
		.acks = acks,
		.cut = cut,
		.dump = dump ? open(dump, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1};
	return &l->stream;
}

static int main_local(char **argv)
{
	struct options o = parse(argv + 4);
	struct tree_resume resume = {0};
	struct err err = ERR_INIT, err_recv = ERR_INIT;
	int data[2], acks[2], status, r;
	struct stream *s;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, data) < 0 ||
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, acks) < 0)
		perror("socketpair"), exit(1);
	if (tree_resume_read(argv[3], &resume, &err) < 0)
		die("resume", &err);
	pid = proc_fork(&err);
	if (pid < 0)
		die("fork", &err);
	if (pid == 0) {
		close(data[0]);
		close(acks[0]);
		s = local_new(data[1], acks[1], 0);
		r = receive_tree(argv[1], argv[3], s, &o, &err_recv);
		if (r < 0 && !(o.cut && strstr(err_recv.text, "ended too early")))
			fprintf(stderr, "treecp: recv: %s: %s\n", err_name(err_recv.code),
				err_recv.text);
		_exit(r < 0);
	}
	close(data[1]);
	close(acks[1]);
	s = local_new(data[0], acks[0], o.cut);
	r = send_tree(argv[0], argv[2], s, o.resume ? &resume : NULL, &o, &err);
	if (r < 0 && !o.cut)
		fprintf(stderr, "treecp: send: %s: %s\n", err_name(err.code), err.text);
	stream_free(s);
	waitpid(pid, &status, 0);
	if (r < 0 || status)
		return 1;
	if (o.commit && tree_commit(argv[2], &err) < 0)
		die("commit", &err);
	return 0;
}

/* Does the index say what the destination has? Names, types, and which names are of one inode. */

struct pair {
	uint64_t number;
	ino_t ino;
	struct pair *next;
};
static struct pair *pairs[4096];
static unsigned long wrong;

static void check_pair(const char *path, uint64_t number, ino_t ino)
{
	struct pair *p;

	for (p = pairs[number % 4096]; p; p = p->next)
		if (p->number == number || p->ino == ino) {
			if ((p->number == number) != (p->ino == ino))
				printf("%s: number %llx, inode %llu: another's\n", path,
					(unsigned long long)number, (unsigned long long)ino),
					wrong++;
			return;
		}
	p = xnew(struct pair);
	*p = (struct pair){number, ino, pairs[number % 4096]};
	pairs[number % 4096] = p;
}

static void verify_dir(int fd, const char *path, const struct index *ix, uint64_t id)
{
	_cleanup_(names_done) struct names names = {0};
	struct index_entry e;
	struct index_dir d;
	struct err err = ERR_INIT;
	const char *name;
	size_t pos = 0;

	if (!index_dir(ix, id, &d) || names_read(&names, fd, &err) < 0)
		return;
	while (index_next(ix, &d, &e)) {
		_cleanup_free_ char *sub = xasprintf("%s/%s", path, e.name);
		_cleanup_close_ int in = -1;
		struct stat st;

		if (!names_see(&names, e.name) ||
			fstatat(fd, e.name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
			printf("%s: not there\n", sub), wrong++;
			continue;
		}
		if ((st.st_mode & S_IFMT) != (e.mode & S_IFMT))
			printf("%s: type\n", sub), wrong++;
		if (!S_ISDIR(e.mode)) {
			check_pair(sub, e.inode, st.st_ino);
			continue;
		}
		in = openat(fd, e.name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
		verify_dir(in, sub, ix, e.id);
	}
	while ((name = names_unseen(&names, &pos)))
		printf("%s/%s: not in the index\n", path, name), wrong++;
}

static int main_verify(char **argv)
{
	struct index ix;
	struct err err = ERR_INIT;

	if (index_open(argv[1], NULL, &ix, &err) < 0)
		die("index", &err);
	printf("distrust %d pending %llx\n", ix.distrust, (unsigned long long)ix.pending);
	verify_dir(open_dir(argv[0]), "", &ix, ix.root_id);
	index_done(&ix);
	return wrong > 0;
}

static void show_entry(const char *path, const struct index_entry *e)
{
	printf("%s: %llu as %llx, mode %o, size %llu, changed %lld, flags %x, meta %llx, content ",
		path, (unsigned long long)e->id, (unsigned long long)e->inode, e->mode,
		(unsigned long long)e->size, (long long)e->ctime, e->flags,
		(unsigned long long)e->meta);
	for (size_t i = 0; i < sizeof(e->content.b); i++)
		printf("%02x", e->content.b[i]);
	for (uint32_t i = 0; i < e->n_blocks; i++)
		printf(" %llx", (unsigned long long)e->blocks[i]);
	putchar('\n');
}

static void show_dir(const char *path, const struct index *ix, uint64_t id)
{
	struct index_entry e;
	struct index_dir d;

	if (!index_dir(ix, id, &d))
		return;
	printf("%s/: %llu, changed %lld, flags %x\n", path, (unsigned long long)id,
		(long long)d.ctime, d.flags);
	while (index_next(ix, &d, &e)) {
		_cleanup_free_ char *sub = xasprintf("%s/%s", path, e.name);

		if (S_ISDIR(e.mode))
			show_dir(sub, ix, e.id);
		else
			show_entry(sub, &e);
	}
}

static int main_show(const char *path)
{
	struct index ix;
	struct err err = ERR_INIT;

	if (index_open(path, NULL, &ix, &err) < 0)
		die("index", &err);
	show_dir("", &ix, ix.root_id);
	index_done(&ix);
	return 0;
}

static void print_sum(const char *who, int r, const struct digest128 *d, uint64_t n)
{
	printf("%s %d %llu ", who, r, (unsigned long long)n);
	for (size_t i = 0; i < sizeof(d->b); i++)
		printf("%02x", d->b[i]);
	putchar('\n');
}

static int main_sums(char **argv, const struct options *o)
{
	struct digest128 d[4] = {{{0}}};
	uint64_t n[4] = {0};
	struct err err = ERR_INIT;
	int r[4], bad = 0;
	static const char *const who[] = {"source", "destination", "index", "kept"};

	r[0] = tree_verify(open_dir(argv[0]), &o->from, &d[0], &n[0], &err);
	r[1] = tree_verify(open_dir(argv[1]), &o->to, &d[1], &n[1], &err);
	r[2] = tree_sum_sent(argv[2], &d[2], &n[2], &err);
	r[3] = tree_sum_received(argv[3], &o->to, &d[3], &n[3]);
	for (int i = 0; i < 4; i++)
		bad |= r[i] < 0 || (i > 1 && r[i] == 0) || n[i] != n[0] ||
		       memcmp(&d[i], &d[0], sizeof(d[0])) != 0;
	for (int i = 0; bad && i < 4; i++)
		print_sum(who[i], r[i], &d[i], n[i]);
	return bad;
}

int main(int argc, char **argv)
{
	struct frame_opts f = {.idle = 300 * USEC_PER_SEC};
	_cleanup_stream_ struct stream *s = NULL;
	struct err err = ERR_INIT;
	struct options o;

	if (argc >= 6 && str_eq(argv[1], "local"))
		return main_local(argv + 2);
	if (argc >= 4 && str_eq(argv[1], "watch")) {
		o = (struct options){.watch = argv[3], .bounded = argc > 4};
		watch_free(watch_for(open_dir(argv[2]), &o));
		return 0;
	}
	if (argc == 3 && str_eq(argv[1], "commit")) {
		if (tree_commit(argv[2], &err) < 0)
			die("commit", &err);
		return 0;
	}
	if (argc >= 6 && str_eq(argv[1], "sums")) {
		o = parse(argv + 6);
		return main_sums(argv + 2, &o);
	}
	if (argc >= 3 && str_eq(argv[1], "unwatch")) {
		watch_end(argv[2], "tree");
		return 0;
	}
	if (argc == 3 && str_eq(argv[1], "show"))
		return main_show(argv[2]);
	if (argc >= 4 && str_eq(argv[1], "verify"))
		return main_verify(argv + 2);
	if (argc < 4) {
		fprintf(stderr, "usage: see the source\n");
		return 2;
	}
	o = parse(argv + 4);
	s = str_eq(argv[1], "send") ? frame_writer_new(0, 1, &f) : frame_reader_new(0, 1, &f);
	if (str_eq(argv[1], "send") && send_tree(argv[2], argv[3], s, NULL, &o, &err) < 0)
		die("send", &err);
	if (str_eq(argv[1], "send"))
		await_end(s);
	if (str_eq(argv[1], "recv") && receive_tree(argv[2], argv[3], s, &o, &err) < 0)
		die("recv", &err);
	if (o.commit && str_eq(argv[1], "send") && tree_commit(argv[3], &err) < 0)
		die("commit", &err);
	return 0;
}
