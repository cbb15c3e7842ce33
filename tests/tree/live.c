/*
 * What happens in the middle of a pass, made to happen: a pass flushes its stream after each folder
 * that it scans, and writes when much has gathered, and there the tree is changed under it.
 *
 *	live CASE FROM TO KEEP [tracked]
 *
 * FROM and TO are empty folders, KEEP one for the index, the receiver's state and the watch. Each
 * case ends in a pass over the still tree, after which both are to be compared.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/attr.h"
#include "base/clock.h"
#include "base/str.h"
#include "base/stream.h"
#include "tree/tree.h"
#include "tree/watch.h"

#define BLOCK 65536

static const char *from, *to, *keep;
static bool tracked;
static int when; /* the flush or write at which it happens; 0: nothing does */
static void (*what)(void);

static void die(const char *text)
{
	fprintf(stderr, "live: %s\n", text);
	exit(1);
}

static void must(int r, const char *what_failed)
{
	if (r < 0) {
		perror(what_failed);
		exit(1);
	}
}

/* A stream that collects what is written, and lets things happen. */
struct collector {
	struct stream stream;
	struct str all;
};

static int happen(void)
{
	if (when && --when == 0)
		what();
	return 0;
}

static int collect(struct stream *s, const void *buf, size_t n, struct err *err)
{
	(void)err;
	str_addn(&((struct collector *)s)->all, buf, n);
	return happen();
}

static int collector_flush(struct stream *s, struct err *err)
{
	(void)s;
	(void)err;
	return happen();
}

static int collector_end(struct stream *s, struct err *err)
{
	(void)s;
	(void)err;
	return 0;
}

static const struct stream_ops collector_ops = {
	.name = "collector", .write = collect, .flush = collector_flush, .end = collector_end};

static int open_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	must(fd, path);
	return fd;
}

static void receive(const struct str *all)
{
	_cleanup_free_ char *state = xasprintf("%s/state", keep);
	_cleanup_stream_ struct stream *s = stream_mem_new(all->buf, all->len);
	_cleanup_close_ int root = open_dir(to);
	struct tree_receive_args a = {.rootfd = root, .state_dir = state};
	struct tree_result res = {0};
	struct err err = ERR_INIT;

	if (tree_receive(&a, s, &res, &err) < 0)
		die(err.text);
	tree_result_done(&res);
}

/* still: in a tree that has been so for long; otherwise it is live. */
static struct tree_result pass(bool still)
{
	_cleanup_free_ char *index = xasprintf("%s/index", keep);
	struct collector c = {.stream.ops = &collector_ops, .all = STR_INIT};
	_cleanup_close_ int root = open_dir(from);
	struct tree_send_args a = {.rootfd = root,
		.index_path = index,
		.final = still,
		.still_since = clock_wall_nsec() + 3600 * UINT64_C(1000000000)};
	_cleanup_watch_ struct watch *w = NULL;
	struct tree_result res = {0};
	struct err err = ERR_INIT;

	if (tracked && watch_attach(getenv("WHERRY_WATCH"), keep, "tree", root, 0, &w, &err) < 0)
		die(err.text);
	a.watch = w;
	if (tree_send(&a, &c.stream, &res, &err) < 0)
		die(err.text);
	receive(&c.all);
	if (tree_commit(index, &err) < 0)
		die(err.text);
	str_done(&c.all);
	tree_result_done(&res);
	return res;
}

static void live_pass(int at, void (*happens)(void))
{
	when = at;
	what = happens;
	(void)pass(false);
	if (at && when)
		die("it did not happen");
}

/* The tree */

static void put(const char *path, off_t at, size_t n, char c)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	_cleanup_free_ char *buf = xmalloc(n);

	memset(buf, c, n);
	must(fd, path);
	must(pwrite(fd, buf, n, at) == (ssize_t)n ? 0 : -1, path);
}

static void make_dirs(const char *const *names)
{
	for (; *names; names++)
		must(mkdir(*names, 0755), *names);
}
#define DIRS(...) make_dirs((const char *const[]){__VA_ARGS__, NULL})

static void move(const char *a, const char *b)
{
	must(rename(a, b), a);
}

/* A file has a name in a folder that was looked at and one in a folder that is sent later. It
 * changes between the two, and changes back before the next pass, which finds but the first name.
 */
static void change_block(void)
{
	put("one/file", BLOCK, BLOCK, 'y');
}

static void two_names(void)
{
	DIRS("one", "two");
	put("one/file", 0, 4 * BLOCK, 'x');
	must(link("one/file", "two/file"), "two/file");
	(void)pass(true);
	put("two/new", 0, 1, 'x');
	live_pass(tracked ? 1 : 3, change_block);
	put("one/file", BLOCK, BLOCK, 'x');
	must(unlink("two/file"), "two/file");
}

/* A symbolic link gets a second name in a folder that is about to be sent; in the next pass the
 * folder with the first one can't be looked into. */
static void link_again(void)
{
	must(link("one/link", "two/link"), "two/link");
}

static void away(void)
{
	move("one", "away");
}

static void two_links(void)
{
	DIRS("one", "two");
	must(symlink("target", "one/link"), "one/link");
	put("one/large", 0, 3 * BLOCK, 'x');
	must(link("one/large", "one/twin"), "one/twin");
	(void)pass(true);
	put("two/new", 0, 1, 'x');
	live_pass(tracked ? 1 : 3, link_again);
	usleep(2100000); /* what changed just before a pass is looked at again in the next */
	must(utimensat(AT_FDCWD, "one/link", NULL, AT_SYMLINK_NOFOLLOW), "one/link");
	live_pass(tracked ? 2 : 3, away);
	move("away", "one");
}

/* Something moves into a folder, then that folder leaves the tree and another takes its place. */
static void change_places(void)
{
	move("top/folder", "../elsewhere");
	move("other", "top/folder");
}

static void into_one_that_goes(int at)
{
	DIRS("top", "top/folder", "other", "third");
	put("third/file", 0, 1, 'x');
	put("other/its", 0, 1, 'x');
	(void)pass(true);
	move("third/file", "top/folder/file");
	put("top/new", 0, 1, 'x');
	live_pass(at, change_places);
}

static void goes_1(void)
{
	into_one_that_goes(1);
}
static void goes_2(void)
{
	into_one_that_goes(2);
}
static void goes_3(void)
{
	into_one_that_goes(tracked ? 2 : 3);
}

/* A folder moves below itself while it is looked at. */
static const char *below;

static void go_below(void)
{
	_cleanup_free_ char *name = xasprintf("inner/%s/outer", below);

	move("outer/inner", "inner");
	move("outer", name);
}

static void below_itself(const char *where)
{
	static const char *const all[] = {"a", "b", "c"};

	below = where;
	DIRS("outer", "outer/inner", "outer/inner/a", "outer/inner/b", "outer/inner/c");
	(void)pass(true);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		_cleanup_free_ char *name = xasprintf("outer/inner/%s/new", all[i]);

		put(name, 0, 1, 'x');
	}
	live_pass(1, go_below);
	live_pass(0, NULL);
}

static void below_a(void)
{
	below_itself("a");
}
static void below_b(void)
{
	below_itself("b");
}
static void below_c(void)
{
	below_itself("c");
}

/* A new folder with one more name of a file that did not change. */
static void new_folder(void)
{
	DIRS("one");
	put("one/small", 0, 100, 'x');
	put("one/large", 0, 3 * BLOCK, 'x');
	(void)pass(true);
	DIRS("new");
	must(link("one/small", "new/small"), "new/small");
	must(link("one/large", "new/large"), "new/large");
}

/* What was read just now and is still the same stays the same inode at the destination. */
static void same_node(void)
{
	_cleanup_free_ char *there = xasprintf("%s/one/fifo", to);
	struct stat before, after;

	DIRS("one");
	must(mkfifo("one/fifo", 0600), "one/fifo");
	live_pass(0, NULL);
	must(lstat(there, &before), there);
	live_pass(0, NULL);
	must(lstat(there, &after), there);
	if (before.st_ctim.tv_sec != after.st_ctim.tv_sec ||
		before.st_ctim.tv_nsec != after.st_ctim.tv_nsec)
		die("it was made anew");
}

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
	{"two-names", two_names},
	{"two-links", two_links},
	{"goes-1", goes_1},
	{"goes-2", goes_2},
	{"goes-3", goes_3},
	{"below-a", below_a},
	{"below-b", below_b},
	{"below-c", below_c},
	{"new-folder", new_folder},
	{"same-node", same_node},
};

int main(int argc, char **argv)
{
	if (argc < 5)
		return 2;
	from = argv[2];
	to = argv[3];
	keep = argv[4];
	tracked = argc > 5 && str_eq(argv[5], "tracked");
	must(chdir(from), from);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (str_eq(cases[i].name, argv[1])) {
			cases[i].run();
			(void)pass(true);
			if (tracked)
				watch_end(keep, "tree");
			return 0;
		}
	return 2;
}
