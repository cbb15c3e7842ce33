/*
 * The storage layer by hand, for tests and experiments:
 *
 *	volctl POOL-PATH VERB OWNER VOLUME [ARG...]
 *
 * create | destroy | size | sync | snapshots | root
 * snapshot NAME | unsnapshot NAME | forget PREFIX | snapshot-root NAME | finish NAME
 * streams			native | tree | live: how it is best sent
 * origin SNAP			what a first copy by the tree engine is called, or nothing
 * fill SNAP ORIGIN [make]	the folder for it; filled SNAP ORIGIN
 * open PATH			which driver, and what it is
 * publish TOKEN		the volume VOLUME staged as TOKEN becomes OWNER's
 * send SNAP FROM|- [OFFSET DIGEST [OFFER]]	to standard output
 * offer SNAP FROM|-		what the receiving side says before
 * limit [BYTES]		how much it may hold, or sets that
 * whole			can the tree engine see all of it?
 * mounter | device | unmount | release | take-back | let-go	of one on a filesystem of its own
 * adopt UUID TYPE [DEVICE]	it becomes that filesystem, as it is
 * receive SNAP FROM|- [STATE-FILE]		from standard input; goes on where the file says
 * sweep | space		(OWNER and VOLUME are not looked at)
 *
 * OWNER @TOKEN is a staged volume. DRIVER=name in the environment chooses one, like `pool add`;
 * DEVICE, FORCE=1, FS, SIZE and BYTES are what a volume that is made shall be.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/file.h"
#include "base/log.h"
#include "storage/blockfs.h"
#include "storage/storage.h"

struct call {
	struct pool *pool;
	struct volume *volume;
	char **argv; /* what follows VOLUME */
	int argc;
};

typedef int verb_fn(struct call *c, struct err *err);

static const char *arg(const struct call *c, int i)
{
	return i < c->argc ? c->argv[i] : "";
}

static const char *arg_or_null(const struct call *c, int i)
{
	return i < c->argc && strcmp(c->argv[i], "-") != 0 ? c->argv[i] : NULL;
}

static int do_create(struct call *c, struct err *err)
{
	return volume_create(c->volume, err);
}

static int do_destroy(struct call *c, struct err *err)
{
	return volume_destroy(c->volume, err);
}

static int do_sync(struct call *c, struct err *err)
{
	return volume_sync(c->volume, err);
}

static int do_size(struct call *c, struct err *err)
{
	struct volume_size s;
	int r = volume_size(c->volume, &s, err);

	if (r >= 0)
		printf("%llu %llu\n", (unsigned long long)s.bytes, (unsigned long long)s.inodes);
	return r;
}

static int do_snapshot(struct call *c, struct err *err)
{
	return volume_snapshot(c->volume, arg(c, 0), err);
}

static int do_unsnapshot(struct call *c, struct err *err)
{
	return volume_snapshot_destroy(c->volume, arg(c, 0), err);
}

static int do_forget(struct call *c, struct err *err)
{
	return volume_snapshots_forget(c->volume, arg(c, 0), err);
}

static int do_snapshots(struct call *c, struct err *err)
{
	struct snapshot_vec v = {0};
	int r = volume_snapshots(c->volume, &v, err);

	for (size_t i = 0; r >= 0 && i < v.n; i++)
		printf("%s%s\n", v.v[i].name, v.v[i].own ? " own" : "");
	snapshot_vec_done(&v);
	return r;
}

static int print_place(int fd)
{
	char proc[64], path[4096];
	ssize_t n;

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	n = readlink(proc, path, sizeof(path));
	printf("%.*s\n", n < 0 ? 0 : (int)n, path);
	close(fd);
	return 0;
}

static int do_root(struct call *c, struct err *err)
{
	int fd, r = volume_root(c->volume, &fd, err);

	return r < 0 ? r : print_place(fd);
}

static int do_snapshot_root(struct call *c, struct err *err)
{
	int fd, r = volume_snapshot_root(c->volume, arg(c, 0), &fd, err);

	return r < 0 ? r : print_place(fd);
}

static int do_open(struct call *c, struct err *err)
{
	_cleanup_volume_ struct volume *v = NULL;
	int r = volume_open(arg(c, 0), c->volume->owner, c->volume->name, &v, err);

	if (r >= 0)
		printf("%s %s %s\n", v->driver->name, v->pool_path, v->path);
	return r;
}

static int do_finish(struct call *c, struct err *err)
{
	return volume_finish(c->volume, arg(c, 0), err);
}

static int do_streams(struct call *c, struct err *err)
{
	struct volume_size size;
	bool live;
	int r = volume_size(c->volume, &size, err);

	if (r >= 0)
		r = volume_streams(c->volume, &size, &live, err);
	if (r >= 0)
		puts(r ? "native" : live ? "live" : "tree");
	return r;
}

static int do_origin(struct call *c, struct err *err)
{
	char origin[STORAGE_ORIGIN_MAX];
	int r = volume_origin(c->volume, arg(c, 0), origin, err);

	if (r > 0)
		puts(origin);
	return r;
}

static int do_fill(struct call *c, struct err *err)
{
	int fd, r = volume_fill(c->volume, arg(c, 0), arg(c, 1), c->argc > 2, &fd, err);

	if (r > 0)
		puts("it is here");
	return r != 0 ? r : print_place(fd);
}

static int do_filled(struct call *c, struct err *err)
{
	return volume_filled(c->volume, arg(c, 0), arg(c, 1), err);
}

static int do_publish(struct call *c, struct err *err)
{
	_cleanup_volume_ struct volume *staged = volume_staged(c->pool, arg(c, 0), c->volume->name);

	return volume_publish(staged, c->volume, err);
}

static int do_send(struct call *c, struct err *err)
{
	_cleanup_stream_ struct stream *out = stream_fd_new(-1, dup(STDOUT_FILENO), CLOCK_NEVER);
	struct storage_resume resume = {.offset = strtoull(arg(c, 2), NULL, 10)};
	int r;

	snprintf(resume.digest, sizeof(resume.digest), "%s", arg(c, 3));
	resume.offer = *arg(c, 4) ? arg(c, 4) : NULL;
	r = volume_send(c->volume, arg(c, 0), arg_or_null(c, 1), &resume, out, NULL, err);
	return r < 0 ? r : stream_end(out, err);
}

static int do_offer(struct call *c, struct err *err)
{
	_cleanup_free_ char *offer = NULL;
	int r = volume_offer(c->volume, arg(c, 0), arg_or_null(c, 1), &offer, err);

	if (r >= 0)
		printf("%s\n", offer ? offer : "");
	return r;
}

static int do_whole(struct call *c, struct err *err)
{
	return volume_whole(c->volume, err);
}

static int do_limit(struct call *c, struct err *err)
{
	uint64_t bytes;
	int r;

	if (c->argc)
		return volume_set_limit(c->volume, strtoull(arg(c, 0), NULL, 10), err);
	r = volume_limit(c->volume, &bytes, err);
	if (r >= 0)
		printf("%llu\n", (unsigned long long)bytes);
	return r;
}

static int do_mounter(struct call *c, struct err *err)
{
	_cleanup_free_ char *path = volume_mounter(c->volume);

	(void)err;
	puts(path ? path : "-");
	return 0;
}

static int do_device(struct call *c, struct err *err)
{
	_cleanup_free_ char *path = NULL;
	int r = blockfs_device(c->volume, &path, err);

	if (r >= 0)
		puts(path);
	return r;
}

static int do_unmount(struct call *c, struct err *err)
{
	return blockfs_unmount(c->volume, err);
}

static int do_release(struct call *c, struct err *err)
{
	return blockfs_release(c->volume, err);
}

static int do_take_back(struct call *c, struct err *err)
{
	return blockfs_take_back(c->volume, err);
}

static int do_let_go(struct call *c, struct err *err)
{
	return blockfs_forget(c->volume, err);
}

static int do_adopt(struct call *c, struct err *err)
{
	struct blockfs b = {.source = (char *)arg_or_null(c, 2)};

	snprintf(b.uuid, sizeof(b.uuid), "%s", arg(c, 0));
	snprintf(b.fs, sizeof(b.fs), "%s", arg(c, 1));
	return blockfs_adopt(c->volume, &b, err);
}

static int save(void *ctx, const struct storage_resume *r, struct err *err)
{
	_cleanup_free_ char *line = NULL;

	if (!ctx)
		return 0;
	line = xasprintf("%llu %s\n", (unsigned long long)r->offset, r->digest);
	return file_replace(ctx, line, strlen(line), 0600, err);
}

static int do_receive(struct call *c, struct err *err)
{
	_cleanup_stream_ struct stream *in = stream_fd_new(dup(STDIN_FILENO), -1, CLOCK_NEVER);
	char *state = c->argc > 2 ? c->argv[2] : NULL;
	_cleanup_free_ char *text = NULL;
	struct storage_resume resume = {0};
	unsigned long long offset;
	size_t n;
	int r;

	if (state && file_exists(state)) {
		r = file_read(state, 256, &text, &n, err);
		if (r < 0)
			return r;
		if (sscanf(text, "%llu %32s", &offset, resume.digest) >= 1)
			resume.offset = offset;
	}
	r = volume_receive(
		c->volume, arg(c, 0), arg_or_null(c, 1), &resume, save, state, in, NULL, err);
	return r >= 0 && state ? file_remove(state, err) : r;
}

static int do_sweep(struct call *c, struct err *err)
{
	return storage_sweep(c->pool, err);
}

static int do_space(struct call *c, struct err *err)
{
	struct pool_space s;
	int r = pool_space(c->pool, &s, err);

	if (r >= 0)
		printf("%s %llu %llu %llu\n", c->pool->driver, (unsigned long long)s.bytes_free,
			(unsigned long long)s.bytes_total, (unsigned long long)s.inodes_free);
	return r;
}

static const struct {
	const char *name;
	verb_fn *run;
} verbs[] = {
	{"adopt", do_adopt},
	{"create", do_create},
	{"destroy", do_destroy},
	{"device", do_device},
	{"fill", do_fill},
	{"filled", do_filled},
	{"finish", do_finish},
	{"forget", do_forget},
	{"let-go", do_let_go},
	{"limit", do_limit},
	{"mounter", do_mounter},
	{"offer", do_offer},
	{"open", do_open},
	{"origin", do_origin},
	{"publish", do_publish},
	{"receive", do_receive},
	{"release", do_release},
	{"root", do_root},
	{"send", do_send},
	{"size", do_size},
	{"snapshot", do_snapshot},
	{"snapshot-root", do_snapshot_root},
	{"snapshots", do_snapshots},
	{"space", do_space},
	{"streams", do_streams},
	{"sweep", do_sweep},
	{"sync", do_sync},
	{"take-back", do_take_back},
	{"unmount", do_unmount},
	{"unsnapshot", do_unsnapshot},
	{"whole", do_whole},
};

static int run(struct call *c, const char *verb, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (strcmp(verbs[i].name, verb) == 0)
			return verbs[i].run(c, err);
	return err_set(err, ERR_INVALID, "no verb %s", verb);
}

static uint64_t size_of(const char *name)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : 0;
}

static void wish(struct volume *v)
{
	if (getenv("DEVICE"))
		volume_use_device(v, getenv("DEVICE"), getenv("FORCE") != NULL);
	if (getenv("FS"))
		snprintf(v->wish.fs, sizeof(v->wish.fs), "%s", getenv("FS"));
	v->wish.size = size_of("SIZE");
	v->wish.bytes = size_of("BYTES");
}

int main(int argc, char **argv)
{
	_cleanup_volume_ struct volume *volume = NULL;
	struct pool *pool = NULL;
	struct err err = ERR_INIT;
	struct call c;
	int r;

	if (argc < 5) {
		fprintf(stderr, "usage: volctl POOL-PATH VERB OWNER VOLUME [ARG...]\n");
		return 2;
	}
	log_open("volctl", LOG_LEVEL_INFO);
	cancel_install();
	r = pool_probe("test", argv[1], getenv("DRIVER"), &pool, &err);
	if (r >= 0) {
		volume = argv[3][0] == '@' ? volume_staged(pool, argv[3] + 1, argv[4])
					   : volume_in_pool(pool, argv[3], argv[4]);
		wish(volume);
		c = (struct call){pool, volume, argv + 5, argc - 5};
		r = run(&c, argv[2], &err);
	}
	if (r < 0)
		fprintf(stderr, "%s: %s\n", err_name(err.code), err.text);
	pool_free(pool);
	return r < 0 ? err_exit_status(err.code) : 0;
}
