/*
 * An archive in osctl's layout: a ustar file with the configuration in YAML and, as one member of
 * it, a tar file of the root. How long that member is, is known when it is written: so its header
 * is written last, and the file must be one that can be gone back in.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "archive/export.h"
#include "archive/osctl_config.h"
#include "archive/tar.h"
#include "archive/yaml.h"
#include "base/alloc.h"
#include "base/beneath.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json.h"
#include "base/str.h"

#define BLOCK	       512u
#define OCTAL_MAX      (UINT64_C(1) << 36) /* what twelve octal digits can say */
#define OS_RELEASE_MAX 65536

struct header { /* POSIX ustar */
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type;
	char link[100], magic[6], version[2], uname[32], gname[32], major[8], minor[8];
	char prefix[155], rest[12];
};

static void put_size(char *field, uint64_t size)
{
	char text[16];

	if (size < OCTAL_MAX) {
		snprintf(text, sizeof(text), "%011llo", (unsigned long long)size);
		memcpy(field, text, MIN(strlen(text) + 1, 12));
		return;
	}
	memset(field, 0, 12); /* GNU's binary form */
	field[0] = (char)0x80;
	for (int i = 0; i < 8; i++)
		field[11 - i] = (char)(size >> 8 * i & 0xff);
}

static void fill_header(struct header *h, const char *name, bool dir, uint64_t size)
{
	unsigned sum = 0;

	*h = (struct header){.type = dir ? '5' : '0', .magic = "ustar", .version = {'0', '0'}};
	snprintf(h->name, sizeof(h->name), "%s", name);
	snprintf(h->mode, sizeof(h->mode), "%07o", dir ? 0755u : 0644u);
	snprintf(h->uid, sizeof(h->uid), "%07o", 0u);
	snprintf(h->gid, sizeof(h->gid), "%07o", 0u);
	put_size(h->size, size);
	snprintf(h->mtime, sizeof(h->mtime), "%011llo", (unsigned long long)clock_wall());
	memset(h->checksum, ' ', sizeof(h->checksum));
	for (size_t i = 0; i < sizeof(*h); i++)
		sum += ((const unsigned char *)h)[i];
	snprintf(h->checksum, sizeof(h->checksum) - 1, "%06o", sum & 0777777);
}

static int put_header(int fd, const char *name, bool dir, uint64_t size, struct err *err)
{
	struct header h;

	_Static_assert(sizeof(h) == BLOCK, "a header is a block");
	fill_header(&h, name, dir, size);
	return fd_write_all(fd, &h, sizeof(h), CLOCK_NEVER, err);
}

static int put_padding(int fd, uint64_t size, struct err *err)
{
	static const char zeros[BLOCK];
	size_t n = (BLOCK - size % BLOCK) % BLOCK;

	return n ? fd_write_all(fd, zeros, n, CLOCK_NEVER, err) : 0;
}

/* v is stolen. */
static int put_yaml(struct exporting *x, const char *name, json_t *v, struct err *err)
{
	_cleanup_free_ char *text = yaml_text(v);
	size_t n = strlen(text);
	int r = put_header(x->fd, name, false, n, err);

	json_decref(v);
	if (r >= 0)
		r = fd_write_all(x->fd, text, n, CLOCK_NEVER, err);
	return r < 0 ? r : put_padding(x->fd, n, err);
}

static int osctl_check(struct exporting *x, struct err *err)
{
	if (!x->o->file)
		return err_set(err, ERR_INVALID,
			"osctl's layout needs a file, it can't go through a pipe: name one, or "
			"take Wherry's own format");
	if (x->vols.n > 1)
		return err_set(err, ERR_UNSUPPORTED,
			"container '%s' has %zu filesystems, osctl's layout has room for its root "
			"only: take Wherry's own format",
			x->ct, x->vols.n);
	return 0;
}

static void say(void *ctx, const char *what)
{
	const struct exporting *x = ctx;

	move_say(x->m, "%s", what);
}

/* ID and VERSION_ID of the root's os-release: osctl configures the guest by them. */
static void put_distribution(struct exporting *x, json_t *config)
{
	static const char *const paths[] = {"usr/lib/os-release", "etc/os-release"};
	_cleanup_close_ int root = -1;
	struct err ignored = ERR_INIT;

	if (x->vols.n == 0 || volume_root(x->vols.v[0], &root, &ignored) < 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(paths) && !json_get_str(config, "distribution"); i++) {
		_cleanup_close_ int fd = beneath_open_raw(
			root, paths[i], O_RDONLY | O_NONBLOCK, 0, 0);
		_cleanup_free_ char *text = xcalloc(1, OS_RELEASE_MAX + 1);
		_cleanup_strv_ char **lines = NULL;

		if (fd < 0 || read(fd, text, OS_RELEASE_MAX) <= 0)
			continue;
		lines = str_split(text, "\n", false);
		for (size_t k = 0; lines && lines[k]; k++) {
			bool id = str_starts(lines[k], "ID="),
			     version = str_starts(lines[k], "VERSION_ID=");
			char *v = strchr(lines[k], '=');

			if (!id && !version)
				continue;
			v++;
			v += strspn(v, "\"'");
			v[strcspn(v, "\"'")] = 0;
			json_put_str(config, id ? "distribution" : "version", v);
		}
	}
}

static json_t *metadata(const struct exporting *x)
{
	return json_pack("{s:s,s:s,s:s,s:s,s:s,s:[],s:I}", "type", x->o->skel ? "skel" : "full",
		"format", x->o->skel ? "" : "tar", "user", x->ct, "group", "/default", "container",
		x->ct, "datasets", "exported_at", (json_int_t)clock_wall());
}

static int osctl_begin(struct exporting *x, struct err *err)
{
	json_t *config = osctl_config_json(x->c, say, x);
	int r = put_yaml(x, "metadata.yml", metadata(x), err);

	put_distribution(x, config);
	for (size_t i = 0; i < x->c->refused.n; i++)
		move_say(x->m, "left out: %s, which reaches out of the container",
			x->c->refused.v[i].key);
	if (r >= 0)
		r = put_header(x->fd, "config/", true, 0, err);
	if (r >= 0)
		r = put_yaml(x, "config/user.yml", osctl_user_json(x->c), err);
	if (r >= 0)
		r = put_yaml(x, "config/group.yml", json_pack("{s:[],s:[]}", "cgparams", "devices"),
			err);
	if (r < 0) {
		json_decref(config);
		return r;
	}
	r = put_yaml(x, "config/container.yml", config, err);
	return r < 0 || x->o->skel ? r : put_header(x->fd, "rootfs/", true, 0, err);
}

static const char *member_name(const struct exporting *x)
{
	switch (x->o->compression) {
	case COMPRESS_OFF: return "rootfs/base.tar";
	case COMPRESS_ZSTD: return "rootfs/base.tar.zst";
	default: return "rootfs/base.tar.gz";
	}
}

static int fix_header(struct exporting *x, off_t at, uint64_t size, struct err *err)
{
	struct header h;

	fill_header(&h, member_name(x), false, size);
	if (pwrite(x->fd, &h, sizeof(h), at) != (ssize_t)sizeof(h))
		return err_errno(err, "write the archive");
	if (size >= OCTAL_MAX)
		move_say(x->m, "the files take more than 64 GiB: Wherry and GNU tar read that, "
			       "osctl does not");
	return 0;
}

static int osctl_pass(struct exporting *x, size_t i, int fd, bool still, struct err *err)
{
	off_t at = lseek(x->fd, 0, SEEK_CUR), end;
	struct tar_result res = {0};
	int r = at < 0 ? err_errno(err, "the archive")
		       : put_header(x->fd, member_name(x), false, 0, err);

	if (r < 0)
		return r;
	progress_phase(x->m->progress, x->vols.v[i]->name, 0);
	r = tar_write(fd, &x->c->idmap, x->fd, x->o->compression, still, x->m->progress, &res, err);
	if (r < 0)
		return r;
	end = lseek(x->fd, 0, SEEK_CUR);
	if (end < 0)
		return err_errno(err, "the archive");
	if (res.sockets)
		move_say(x->m, "%llu sockets are not in it: tar has no form for them",
			(unsigned long long)res.sockets);
	r = fix_header(x, at, (uint64_t)(end - at) - BLOCK, err);
	return r < 0 ? r : put_padding(x->fd, (uint64_t)(end - at), err);
}

static int osctl_end(struct exporting *x, struct err *err)
{
	static const char zeros[2 * BLOCK];

	return fd_write_all(x->fd, zeros, sizeof(zeros), CLOCK_NEVER, err);
}

static void osctl_free(struct exporting *x)
{
	(void)x;
}

const struct archive_writer osctl_writer = {
	.name = "osctl",
	.check = osctl_check,
	.begin = osctl_begin,
	.pass = osctl_pass,
	.end = osctl_end,
	.free = osctl_free,
};
