#include "runtime/lxc_volume.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "model/wire.h"
#include "runtime/lxc_line.h"
#include "runtime/lxc_mount.h"
#include "runtime/lxc_option.h"

#define IDMAP_OPTION   "idmap=container"
#define BAD_OPTION     "has a mount option that may reach outside"
#define TOO_LONG       "has too many mount options"

#define MOUNTER_SHELL  "/bin/sh "
#define MOUNTER_SUFFIX ".mount"

void lxc_root_done(struct lxc_root *root)
{
	free(root->type);
	free(root->path);
	free(root->options);
	strv_free(root->mounts);
	strv_free(root->mounters);
}

static bool lies_in(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	return n > 0 && strncmp(path, folder, n) == 0 && path[n] == '/';
}

static bool absolute_path_ok(const char *path)
{
	return path[0] == '/' && path[1] && text_ok(path, OPTION_VALUE_MAX) &&
	       !strstr(path, "/../") && !str_ends(path, "/..");
}

static const char *root_reason(const struct lxc_root *root)
{
	if (!root->path)
		return "is missing: its root is the host's";
	if (root->type && strcmp(root->type, "dir") != 0 && strcmp(root->type, "btrfs") != 0)
		return "is of a type that Wherry cannot move";
	if (str_starts(root->path, "/dev/"))
		return "is a device, which Wherry cannot move";
	return absolute_path_ok(root->path) ? NULL : LXC_BAD_VALUE;
}

/* The root's mount options; idmap=container is the map's business. */
static char *read_root_options(const struct lxc_root *root, struct container *c)
{
	_cleanup_strv_ char **options = str_split(root->options ? root->options : "", ",", false);
	_cleanup_strv_ char **fine = NULL;
	_cleanup_free_ char *text = NULL;

	for (size_t i = 0; options[i]; i++) {
		if (strcmp(options[i], IDMAP_OPTION) == 0)
			c->idmap.unshifted = true;
		else if (lxc_mount_option_ok(options[i]) && strcmp(options[i], "optional") != 0)
			strv_push(&fine, options[i]);
		else
			option_add(&c->refused, "lxc.rootfs.options", options[i], BAD_OPTION);
	}
	if (c->idmap.ranges.n == 0) /* LXC takes no notice of it then */
		c->idmap.unshifted = false;
	if (!fine)
		return NULL;
	text = str_join(fine, ",");
	if (strlen(text) <= MOUNT_OPTIONS_MAX)
		return TAKE_PTR(text);
	option_add(&c->refused, "lxc.rootfs.options", "", TOO_LONG);
	return NULL;
}

static void finish_root(const struct lxc_root *root, struct container *c)
{
	_cleanup_free_ char *options = read_root_options(root, c), *text = NULL;
	const char *reason = root_reason(root);

	volume_add(c, "rootfs", "", reason ? NULL : root->path, options);
	if (!reason)
		return;
	text = xasprintf("%s%s%s", root->type ? root->type : "", root->type ? ":" : "",
		root->path ? root->path : "");
	option_add(&c->refused, "lxc.rootfs.path", text, reason);
}

/* A folder that lies beside the root, in a folder of the container's own. */
static bool is_own_folder(
	const struct container *c, const struct lxc_place *place, const char *path)
{
	const char *root = c->volumes.v[0].path;
	_cleanup_free_ char *home = xasprintf("%s/%s", place->lxcpath, place->name);
	_cleanup_free_ char *beside = NULL;
	const char *last;

	if (!root || !absolute_path_ok(path) || strcmp(path, root) == 0 || lies_in(path, root))
		return false;
	beside = xstrndup(root, (size_t)(strrchr(root, '/') - root));
	last = strrchr(beside, '/');
	if (last && strcmp(last + 1, place->name) == 0 && lies_in(path, beside))
		return true;
	return lies_in(path, home);
}

/* A name for what is mounted at "srv/My Data": "srv-my-data". */
static char *volume_name(const struct container *c, const char *mountpoint)
{
	char base[VOLUME_NAME_MAX - 3], *name;
	size_t n = 0;

	for (const char *p = mountpoint; *p && n < sizeof(base) - 1; p++) {
		int ch = tolower((unsigned char)*p);

		if (isascii(ch) && (isalnum(ch) || (n && strchr("_-", ch))))
			base[n++] = (char)ch;
		else if (n && base[n - 1] != '-')
			base[n++] = '-';
	}
	base[n] = '\0';
	name = xstrdup(volume_name_ok(base) ? base : "volume");
	for (unsigned i = 2; container_volume(c, name); i++) { /* at most as many as there are */
		free(name);
		name = xasprintf("%s-%u", volume_name_ok(base) ? base : "volume", i);
	}
	return name;
}

/* The options a volume keeps, or NULL and a reason: it is not one that can be moved. */
static char *volume_options(
	const struct container *c, const struct mount_entry *m, const char **reason)
{
	_cleanup_strv_ char **fine = NULL;
	_cleanup_free_ char *text = NULL;
	bool unshifted = false;

	*reason = NULL;
	for (size_t i = 0; m->options[i]; i++) {
		const char *o = m->options[i];

		if (strcmp(o, IDMAP_OPTION) == 0)
			unshifted = true;
		else if (strcmp(o, "bind") == 0 || strcmp(o, "create=dir") == 0)
			continue;
		else if (lxc_mount_option_ok(o))
			strv_push(&fine, o);
		else
			*reason = BAD_OPTION;
	}
	if (unshifted != c->idmap.unshifted && c->idmap.ranges.n)
		*reason = "maps the ids of its files otherwise than the root";
	text = str_join(fine, ",");
	if (strlen(text) > MOUNT_OPTIONS_MAX)
		*reason = TOO_LONG;
	return *reason ? NULL : TAKE_PTR(text);
}

static bool overlaps_volume(const struct container *c, const struct mount_entry *m)
{
	for (size_t i = 1; i < c->volumes.n; i++) {
		const struct ct_volume *v = &c->volumes.v[i];

		if (strcmp(v->path, m->source) == 0 || lies_in(v->path, m->source) ||
			lies_in(m->source, v->path) || strcmp(v->mountpoint, m->target) == 0)
			return true;
	}
	return false;
}

/* NULL when it is a volume now, else the reason. */
static const char *take_volume(struct container *c, const struct mount_entry *m)
{
	_cleanup_free_ char *options = NULL, *name = NULL;
	const char *reason;

	if (overlaps_volume(c, m))
		return "mounts files that are mounted elsewhere too";
	if (!text_ok(m->target, MOUNTPOINT_MAX))
		return LXC_BAD_VALUE;
	if (c->volumes.n == CONTAINER_VOLUMES_MAX)
		return "is one volume too many";
	options = volume_options(c, m, &reason);
	if (!options)
		return reason;
	name = volume_name(c, m->target);
	volume_add(c, name, m->target, m->source, options[0] ? options : NULL);
	return NULL;
}

static void finish_mount(const struct lxc_place *place, struct container *c, const char *value)
{
	static const char key[] = "lxc.mount.entry";
	_cleanup_(lxc_mount_done) struct mount_entry m = {0};
	_cleanup_free_ char *text = NULL;
	const char *reason = LXC_BAD_VALUE;

	if (lxc_mount_parse(value, c->volumes.v[0].path, &m)) {
		text = lxc_mount_text(&m);
		if (lxc_mount_is_bind(&m) && is_own_folder(c, place, m.source))
			reason = take_volume(c, &m);
		else if (lxc_option_harmless(key, text, &reason))
			option_add(&c->options, key, text, NULL);
	}
	if (reason)
		option_add(&c->refused, key, value, reason);
}

char *lxc_volume_mounter(const struct ct_volume *v)
{
	return xasprintf(MOUNTER_SHELL "%s" MOUNTER_SUFFIX, v->path);
}

bool lxc_volume_mounter_like(const char *hook)
{
	return str_starts(hook, MOUNTER_SHELL "/") && str_ends(hook, MOUNTER_SUFFIX);
}

/* One that mounts nothing of the container's is a hook like any other. */
static void finish_mounter(struct container *c, const char *hook)
{
	const char *reason = LXC_BAD_VALUE;

	for (size_t i = 0; i < c->volumes.n; i++) {
		_cleanup_free_ char *mounter = NULL;

		if (!c->volumes.v[i].path)
			continue;
		mounter = lxc_volume_mounter(&c->volumes.v[i]);
		if (str_eq(mounter, hook)) {
			c->volumes.v[i].mounted = true;
			return;
		}
	}
	(void)!lxc_option_harmless("lxc.hook.pre-start", hook, &reason);
	option_add(&c->refused, "lxc.hook.pre-start", hook, reason);
}

void lxc_volume_finish(
	const struct lxc_root *root, const struct lxc_place *place, struct container *c)
{
	finish_root(root, c);
	for (size_t i = 0; root->mounts && root->mounts[i]; i++)
		finish_mount(place, c, root->mounts[i]);
	for (size_t i = 0; root->mounters && root->mounters[i]; i++)
		finish_mounter(c, root->mounters[i]);
}

static void add_options(char ***list, const char *options)
{
	_cleanup_strv_ char **words = str_split(options ? options : "", ",", false);

	for (size_t i = 0; words[i]; i++)
		strv_push(list, words[i]);
}

char *lxc_volume_entry(const struct container *c, const struct ct_volume *v)
{
	struct mount_entry m = {.source = v->path, .target = v->mountpoint, .type = (char *)"none"};
	_cleanup_strv_ char **options = NULL;

	add_options(&options, "bind,create=dir");
	if (c->idmap.unshifted)
		strv_push(&options, IDMAP_OPTION);
	add_options(&options, v->options);
	m.options = options;
	return lxc_mount_text(&m);
}

char *lxc_root_options(const struct container *c)
{
	_cleanup_strv_ char **options = NULL;

	if (c->idmap.unshifted)
		strv_push(&options, IDMAP_OPTION);
	if (c->volumes.n)
		add_options(&options, c->volumes.v[0].options);
	return options ? str_join(options, ",") : NULL;
}
