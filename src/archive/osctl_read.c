/*
 * An archive in osctl's layout, read. The configuration stands in front of the files in whatever
 * osctl and vpsadminos-convert write; the marker of the end may be missing.
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "archive/import.h"
#include "archive/osctl_config.h"
#include "archive/tar.h"
#include "archive/yaml.h"
#include "base/alloc.h"
#include "base/json.h"
#include "base/str.h"

#define BUF_SIZE    (256u << 10)
#define ENTRIES_MAX 4096
#define NOTES_MAX   50

struct osctl {
	struct importing *x;
	struct archive *a;
	char *buf;
	struct err why; /* of the descriptor */
	json_t *metadata, *config, *user;
	struct archive_entry
		*files; /* the member with the root, where we are; NULL: there is none */
	size_t entries, notes;
};

/* The word "ustar" stands too far behind to be looked for without taking bytes from a pipe that
 * cannot be given back: the first name says enough, and the reader the rest. */
static bool osctl_mine(const char *start, size_t n)
{
	return n >= 12 &&
	       (!memcmp(start, "metadata.yml", 12) || !memcmp(start, "./metadata.y", 12));
}

static ssize_t on_read(struct archive *a, void *ctx, const void **ret)
{
	struct osctl *s = ctx;
	ssize_t n = import_read(s->x, s->buf, BUF_SIZE, &s->why);

	if (n < 0)
		archive_set_error(a, EIO, "%s", s->why.text);
	*ret = s->buf;
	return n;
}

static int fail(struct osctl *s, struct err *err)
{
	const char *text = archive_error_string(s->a);

	if (s->why.code)
		return err_copy(err, &s->why);
	return err_set(
		err, ERR_CORRUPT, "the archive is damaged: %s", text ? text : "not a tar file");
}

static void on_note(void *ctx, const char *what)
{
	struct osctl *s = ctx;

	if (s->notes++ < NOTES_MAX)
		move_say(s->x->m, "%s", what);
}

static int read_yaml(struct osctl *s, const char *name, json_t **ret, struct err *err)
{
	_cleanup_free_ char *text = xmalloc(YAML_TEXT_MAX + 1);
	ssize_t n = archive_read_data(s->a, text, YAML_TEXT_MAX + 1);
	int r;

	if (n < 0)
		return fail(s, err);
	if (*ret)
		return err_set(err, ERR_CORRUPT, "the archive has two of %s", name);
	r = yaml_parse(text, (size_t)n, ret, err);
	return r < 0 ? err_prefix(err, "%s in the archive", name) : 0;
}

static int take_member(struct osctl *s, struct archive_entry *e, struct err *err)
{
	const char *name = archive_entry_pathname(e);

	if (!name)
		return err_set(err, ERR_CORRUPT, "the archive has a member without a name");
	if (str_starts(name, "./"))
		name += 2;
	if (str_eq(name, "metadata.yml"))
		return read_yaml(s, name, &s->metadata, err);
	if (str_eq(name, "config/container.yml"))
		return read_yaml(s, name, &s->config, err);
	if (str_eq(name, "config/user.yml"))
		return read_yaml(s, name, &s->user, err);
	if (str_starts(name, "hooks/") && archive_entry_filetype(e) == AE_IFREG)
		on_note(s, "left out: a hook, which would run on this host");
	else if (str_starts(name, "rootfs/base.dat") || str_starts(name, "rootfs/incremental.dat"))
		return err_set(err, ERR_UNSUPPORTED,
			"the archive holds ZFS streams (format zfs), which can't be imported yet: "
			"send the container instead");
	else if (str_starts(name, "rootfs/base.tar"))
		s->files = e;
	return 0;
}

/* 1: *ret is the next, the archive's own. 0: there are no more. */
static int next_member(struct osctl *s, struct archive_entry **ret, struct err *err)
{
	int r = archive_read_next_header(s->a, ret);

	if (r == ARCHIVE_EOF)
		return 0;
	if (r < ARCHIVE_WARN)
		return fail(s, err);
	if (++s->entries > ENTRIES_MAX)
		return err_set(err, ERR_CORRUPT, "the archive has too many members");
	return 1;
}

/* Up to the files, or the end. */
static int read_front(struct osctl *s, struct err *err)
{
	struct archive_entry *e;
	int r = 0;

	while (!s->files && (r = next_member(s, &e, err)) > 0) {
		r = take_member(s, e, err);
		if (r < 0)
			return r;
	}
	return MIN(r, 0);
}

static int check_front(struct osctl *s, struct err *err)
{
	const char *type = json_get_str(s->metadata, "type"),
		   *format = json_get_str(s->metadata, "format");

	if (!s->metadata || !s->config)
		return err_set(err, ERR_CORRUPT,
			"the archive is cut off, or none of osctl's: %s is missing before its "
			"files",
			s->metadata ? "config/container.yml" : "metadata.yml");
	if (str_eq(type, "skel"))
		return s->files ? err_set(err, ERR_CORRUPT, "a skel archive with files") : 0;
	if (!str_eq(type, "full"))
		return err_set(err, ERR_UNSUPPORTED, "the archive is neither full nor skel");
	if (!str_eq(format, "tar"))
		return err_set(err, ERR_UNSUPPORTED,
			"the archive is of a format that can't be imported here; tar can");
	if (!s->files)
		return err_set(err, ERR_CORRUPT, "the archive is cut off: its files are missing");
	return 0;
}

static int osctl_open(struct importing *x, struct err *err)
{
	struct osctl *s = xnew(struct osctl);
	const char *name;
	int r;

	x->state = s;
	s->x = x;
	s->buf = xmalloc(BUF_SIZE);
	s->a = archive_read_new();
	archive_read_support_format_tar(s->a);
	/* Zeros go on to the end, what is no tar file there is an error, see read_rest. */
	archive_read_set_format_option(s->a, "tar", "read_concatenated_archives", "1");
	if (archive_read_open(s->a, s, NULL, on_read, NULL) != ARCHIVE_OK)
		return fail(s, err);
	r = read_front(s, err);
	if (r >= 0)
		r = check_front(s, err);
	if (r < 0)
		return r;
	name = json_get_str(s->metadata, "container");
	r = osctl_config_read(name ? name : "", s->config, s->user, on_note, s, &x->c, err);
	if (r < 0)
		return err_prefix(err, "the archive");
	if (s->notes > NOTES_MAX)
		move_say(x->m, "%zu more things are not kept", s->notes - NOTES_MAX);
	return 0;
}

static int feed_all(struct osctl *s, struct tar_reader *t, struct err *err)
{
	const void *buf;
	int64_t at;
	size_t n;
	int r;

	while ((r = archive_read_data_block(s->a, &buf, &n, &at)) == ARCHIVE_OK) {
		progress_add(s->x->m->progress, n);
		r = tar_reader_feed(t, buf, n, err);
		if (r < 0)
			return r;
	}
	if (r < ARCHIVE_WARN)
		return fail(s, err);
	return tar_reader_end(t, err);
}

static int unpack(struct osctl *s, struct err *err)
{
	struct tar_limits limits = {
		.max_size = s->x->o->max_size, .bytes = UINT64_C(32) << 20, .inodes = 1000};
	const char *name = archive_entry_pathname(s->files);
	struct tar_reader *t = NULL;
	_cleanup_close_ int fd = -1;
	int r = volume_root(s->x->vols.v[0], &fd, err);

	if (r < 0)
		return r;
	progress_phase(s->x->m->progress, "rootfs", 0);
	r = tar_reader_new(fd, &s->x->c->idmap, str_ends(name, ".gz"), &limits, &t, err);
	if (r >= 0)
		r = feed_all(s, t, err);
	tar_reader_free(t);
	return r;
}

/* What comes behind: nothing is used, but a file that is damaged there is damaged. */
static int read_rest(struct osctl *s, struct err *err)
{
	struct archive_entry *e;
	int r;

	s->files = NULL;
	while ((r = next_member(s, &e, err)) > 0) {
		const char *name = archive_entry_pathname(e);

		if (str_eq(name, "metadata.yml") || str_eq(name, "./metadata.yml"))
			return err_set(err, ERR_CORRUPT,
				"another archive follows in the same file: take them apart first");
	}
	return r;
}

static int osctl_fill(struct importing *x, struct err *err)
{
	struct osctl *s = x->state;
	int r;

	if (!s->files) {
		move_say(x->m, "the archive holds no files: the container's root is empty");
		return 0; /* and all of it was read, looking for them */
	}
	r = unpack(s, err);
	return r < 0 ? r : read_rest(s, err);
}

static void osctl_free(struct importing *x)
{
	struct osctl *s = x->state;

	archive_read_free(s->a);
	json_decref(s->metadata);
	json_decref(s->config);
	json_decref(s->user);
	free(s->buf);
	free(s);
	x->state = NULL;
}

const struct archive_reader osctl_reader = {
	.name = "osctl",
	.mine = osctl_mine,
	.open = osctl_open,
	.fill = osctl_fill,
	.free = osctl_free,
};
