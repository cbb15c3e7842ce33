#include "storage/blockrec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/num.h"
#include "base/str.h"
#include "storage/driver.h"

#define RECORD_MAX 16384
#define SUFFIX	   ".mount"

static const char *const states[] = {"making", "ready", "released"};
static const char *const origins[] = {"format", "fill", "given"};

/* What follows the values: plain tools, none of ours. It mounts only what it has proven, and takes
 * it off again if it was mounted wrong. */
static const char script[] =
	"\n"
	"PATH=$PATH:/usr/sbin:/usr/bin:/sbin:/bin\n"
	"\n"
	"fail() {\n"
	"	echo \"$target: $*\" >&2\n"
	"	exit 1\n"
	"}\n"
	"uuid_of() { blkid -p -s UUID -o value -- \"$1\" 2>/dev/null; }\n"
	"proven() {\n"
	"	[ \"$(uuid_of \"$(findmnt -n -o SOURCE --mountpoint \"$target\")\")\" = \"$uuid\" "
	"]\n"
	"}\n"
	"\n"
	"# One at a time, and no longer than it is ours: Wherry takes the same lock to give it "
	"away.\n"
	"exec 9<\"${target%/*}\"\n"
	"flock 9 || fail \"its folder can't be locked\"\n"
	"state=$(sed -n \"s/^state='\\(.*\\)'\\$/\\1/p\" -- \"$target.mount\")\n"
	"[ \"$state\" = ready ] || fail \"the filesystem $uuid is $state, it does not belong "
	"here\"\n"
	"if mountpoint -q -- \"$target\"; then\n"
	"	proven || fail \"something else than the filesystem $uuid is mounted there\"\n"
	"	exit 0\n"
	"fi\n"
	"device=$source\n"
	"loop=\n"
	"case $driver in\n"
	"image) loop='-o loop' ;;\n"
	"lvm)\n"
	"	lvchange -q -ay -K -- \"$source\" || fail \"the volume $source can't be "
	"activated\"\n"
	"	device=/dev/$source\n"
	"	;;\n"
	"device)\n"
	"	[ \"$(uuid_of \"$device\")\" = \"$uuid\" ] || device=$(blkid -c /dev/null -l -o "
	"device -t "
	"\"UUID=$uuid\")\n"
	"	;;\n"
	"esac\n"
	"[ \"$(uuid_of \"$device\")\" = \"$uuid\" ] || fail \"the filesystem $uuid is not to be "
	"found\"\n"
	"# shellcheck disable=SC2086 # no word, or two\n"
	"mount -t \"$fs\" $loop -- \"$device\" \"$target\" || fail \"$device can't be mounted\"\n"
	"proven && exit 0\n"
	"umount -- \"$target\"\n"
	"fail \"$device was not what it seemed\"\n";

char *blockrec_path(const char *volume_path)
{
	return xasprintf("%s" SUFFIX, volume_path);
}

bool blockrec_value_ok(const char *value)
{
	return strlen(value) < 4096 &&
	       value[strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				   "/._:@+-=,")] == '\0';
}

bool blockrec_exists(const char *volume_path)
{
	_cleanup_free_ char *path = blockrec_path(volume_path);
	struct stat st;

	return lstat(path, &st) == 0;
}

/* "key='value'" */
static char *value_of(char *const *lines, const char *key)
{
	size_t n = strlen(key);

	for (size_t i = 0; lines[i]; i++) {
		const char *l = lines[i];
		size_t len = strlen(l);

		if (strncmp(l, key, n) == 0 && l[n] == '=' && l[n + 1] == '\'' && len > n + 2 &&
			l[len - 1] == '\'')
			return xstrndup(l + n + 2, len - n - 3);
	}
	return NULL;
}

static int word_of(char *const *lines, const char *key, const char *const *words, int n)
{
	_cleanup_free_ char *value = value_of(lines, key);

	for (int i = 0; i < n; i++)
		if (str_eq(value, words[i]))
			return i;
	return -1;
}

static bool parse(char *const *lines, struct blockfs *b)
{
	int state = word_of(lines, "state", states, ARRAY_SIZE(states));
	int origin = word_of(lines, "made", origins, ARRAY_SIZE(origins));
	_cleanup_free_ char *driver = value_of(lines, "driver"), *fs = value_of(lines, "fs");
	_cleanup_free_ char *uuid = value_of(lines, "uuid"), *size = value_of(lines, "size");
	struct err ignored = ERR_INIT;

	if (state < 0 || origin < 0 || !driver || !fs || !uuid || !size)
		return false;
	b->state = (enum blockfs_state)state;
	b->origin = (enum blockfs_origin)origin;
	b->driver = driver_find(driver);
	b->source = value_of(lines, "source");
	snprintf(b->fs, sizeof(b->fs), "%s", fs);
	snprintf(b->uuid, sizeof(b->uuid), "%s", uuid);
	return b->driver && blockfs_backend(b->driver) && b->source &&
	       blockrec_value_ok(b->source) && blockfs_type_ok(b->fs) && str_eq(b->fs, fs) &&
	       signature_uuid_ok(uuid) && num_u64(size, INT64_MAX, &b->size, &ignored) >= 0;
}

int blockrec_read(const char *volume_path, struct blockfs *ret, struct err *err)
{
	_cleanup_free_ char *path = blockrec_path(volume_path), *text = NULL;
	_cleanup_blockfs_ struct blockfs b = {0};
	_cleanup_strv_ char **lines = NULL;
	size_t n;
	int r = file_read(path, RECORD_MAX, &text, &n, err);

	if (r < 0)
		return r;
	lines = str_split(text, "\n", false);
	if (!parse(lines, &b))
		return err_set(err, ERR_INVALID,
			"%s does not say which filesystem the volume is: its first lines were "
			"changed",
			path);
	*ret = b;
	b = (struct blockfs){0};
	return 0;
}

int blockrec_write(const char *volume_path, const struct blockfs *b, struct err *err)
{
	_cleanup_free_ char *path = blockrec_path(volume_path);
	_cleanup_(str_done) struct str text = STR_INIT;

	if (!blockrec_value_ok(b->source) || !blockrec_value_ok(volume_path))
		return err_set(err, ERR_UNSUPPORTED,
			"%s and %s must be of letters, digits and /._:@+-=, alone: a shell reads "
			"them",
			volume_path, b->source);
	str_addf(&text,
		"#!/bin/sh\n"
		"# Written by Wherry: mounts this filesystem of a container. LXC runs it before "
		"each start; it needs\n"
		"# nothing of Wherry. By hand: /bin/sh %s\n",
		path);
	str_addf(&text, "driver='%s'\nstate='%s'\nmade='%s'\n", b->driver->name, states[b->state],
		origins[b->origin]);
	str_addf(&text, "fs='%s'\nuuid='%s'\nsize='%llu'\n", b->fs, b->uuid,
		(unsigned long long)b->size);
	str_addf(&text, "source='%s'\ntarget='%s'\n%s", b->source, volume_path, script);
	return file_replace(path, text.buf, text.len, 0700, err);
}

int blockrec_remove(const char *volume_path, struct err *err)
{
	_cleanup_free_ char *path = blockrec_path(volume_path);

	return file_remove(path, err);
}

/* --- all of a pool */

struct claim {
	const char *uuid, *source;
	bool found;
};

static void look_at(const char *folder, const char *file, struct claim *c)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", folder, file);
	_cleanup_blockfs_ struct blockfs b = {0};
	struct err ignored = ERR_INIT;

	if (!str_ends(path, SUFFIX))
		return;
	path[strlen(path) - strlen(SUFFIX)] = '\0';
	if (blockrec_read(path, &b, &ignored) >= 0)
		c->found = c->found || str_eq(b.uuid, c->uuid) || str_eq(b.source, c->source);
}

/* The records of all owners in that folder. */
static int look_below(const char *folder, struct claim *c, struct err *err)
{
	_cleanup_closedir_ DIR *owners = opendir(folder);
	const struct dirent *o, *e;

	if (!owners)
		return errno == ENOENT ? 0 : err_errno(err, "list %s", folder);
	while (!c->found && (o = readdir(owners))) {
		_cleanup_free_ char *owner = xasprintf("%s/%s", folder, o->d_name);
		_cleanup_closedir_ DIR *dir = o->d_name[0] == '.' ? NULL : opendir(owner);

		while (dir && !c->found && (e = readdir(dir)))
			look_at(owner, e->d_name, c);
	}
	return 0;
}

int blockrec_claimed(
	const char *pool_path, const char *uuid, const char *source, bool *ret, struct err *err)
{
	_cleanup_free_ char *staged = xasprintf("%s/.wherry/staged", pool_path);
	struct claim c = {uuid[0] ? uuid : "-", source[0] ? source : "-", false};
	int r = look_below(pool_path, &c, err);

	if (r >= 0)
		r = look_below(staged, &c, err);
	*ret = c.found;
	return r;
}
