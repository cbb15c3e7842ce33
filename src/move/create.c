/* Making containers: `ct create`. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "base/proc.h"
#include "base/str.h"
#include "move/adopt.h"
#include "move/containers.h"
#include "move/places.h"
#include "node/ownership.h"
#include "runtime/runtime.h"
#include "storage/blockfs.h"

#define ID_BASE	 100000u
#define ID_COUNT 65536u

static int check_options(const char *ct, const struct create_opts *o, struct err *err)
{
	bool exists;
	int r;

	if (!container_name_ok(ct))
		return err_set(err, ERR_INVALID,
			"'%s' can't be a container's name: letters, digits, '_', '.', '-', at most "
			"64",
			ct);
	if (!o->tarball == !o->template_name)
		return err_set(
			err, ERR_INVALID, "say either an archive of the root, or a template");
	if (o->tarball && (o->tarball[0] != '/' || !file_exists(o->tarball)))
		return err_set(err, ERR_NOT_FOUND, "there is no archive %s", o->tarball);
	if (o->template_name && (strchr(o->template_name, '/') || o->template_name[0] == '-'))
		return err_set(err, ERR_INVALID, "'%s' is not a template's name", o->template_name);
	r = runtime_exists(ct, &exists, err);
	if (r >= 0 && exists)
		return err_set(err, ERR_EXISTS, "there is a container '%s' already", ct);
	return r;
}

/* A container of that name is arriving or leaving, or what it left is not yet removed. */
static int check_name_unused(struct move_ctx *m, const char *ct, struct err *err)
{
	struct own own;
	int r = own_get(m->st, ct, &own, err);

	if (r < 0 || own.kind == OWN_OWNER)
		return r;
	return err_set(err, ERR_EXISTS, "the name '%s' is taken by a container that is %s (%s)", ct,
		own_kind_name(own.kind), own.peer);
}

/* Root's own range, if the host has given it one. */
static uint32_t first_host_id(void)
{
	_cleanup_fclose_ FILE *f = fopen("/etc/subuid", "re");
	char line[256];
	uint32_t start, count;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "root:%u:%u", &start, &count) == 2 && count >= ID_COUNT)
			return start;
	return ID_BASE;
}

static int make_unprivileged(struct container *c, struct err *err)
{
	_cleanup_free_ char *map = xasprintf("b 0 %u %u", first_host_id(), ID_COUNT);

	/* The ids on disk stay the container's own; the mount maps them. So nothing is ever
	 * shifted. */
	c->idmap.unshifted = true;
	return idmap_add(&c->idmap, map, err);
}

static void add_include(struct container *c, const char *name)
{
	_cleanup_free_ char *path = xasprintf("/usr/share/lxc/config/%s", name);

	if (file_exists(path))
		strv_push(&c->includes, name);
}

static void add_network(struct container *c, const struct create_opts *o)
{
	struct netif *n = netif_vec_push(&c->netifs);

	*n = (struct netif){.type = o->bridge ? NETIF_VETH : NETIF_EMPTY, .up = true};
	if (!o->bridge)
		return;
	n->name = xstrdup("eth0");
	n->link = xstrdup(o->bridge);
	n->hwaddr = o->hwaddr ? xstrdup(o->hwaddr) : adopt_new_hwaddr();
	if (o->address)
		strv_push(&n->addresses, o->address);
}

static int make_model(const char *ct, const struct create_opts *o, const struct volume *v,
	struct container **ret, struct err *err)
{
	_cleanup_container_ struct container *c = container_new(ct);
	struct utsname u;
	int r = 0;

	if (uname(&u) == 0)
		c->arch = xstrdup(u.machine);
	c->hostname = xstrdup(ct);
	c->autostart = o->autostart;
	add_include(c, "common.conf");
	if (o->unprivileged) {
		add_include(c, "userns.conf");
		r = make_unprivileged(c, err);
	}
	add_network(c, o);
	volume_add(c, "rootfs", "", v->path, NULL)->mounted = blockfs_is(v);
	*ret = TAKE_PTR(c);
	return r;
}

static int unpack(struct move_ctx *m, const char *tarball, const char *path, struct err *err)
{
	const char *argv[] = {"tar", "--extract", "--numeric-owner", "--same-owner",
		"--preserve-permissions", "--xattrs", "--xattrs-include=*", "--acls", "--sparse",
		"-f", tarball, "-C", path, NULL};

	progress_phase(m->progress, "unpack", 0);
	return proc_run(argv, err);
}

static int from_tarball(struct move_ctx *m, const char *ct, const struct create_opts *o,
	struct volume *v, struct err *err)
{
	_cleanup_container_ struct container *c = NULL;
	int r = unpack(m, o->tarball, v->path, err);

	if (r >= 0)
		r = make_model(ct, o, v, &c, err);
	if (r >= 0)
		r = runtime_preflight(c, err);
	return r < 0 ? r : runtime_define(c, false, false, err);
}

static int from_template(struct move_ctx *m, const char *ct, const struct create_opts *o,
	struct volume *v, struct err *err)
{
	_cleanup_free_ char *dir = xasprintf("--dir=%s", v->path);
	_cleanup_strv_ char **argv = NULL;
	const char *const head[] = {"lxc-create", "-P", runtime_path(), "-n", ct, "-B", "dir", dir,
		"-t", o->template_name};
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(head); i++)
		strv_push(&argv, head[i]);
	if (o->template_args && o->template_args[0])
		strv_push(&argv, "--");
	for (size_t i = 0; o->template_args && o->template_args[i]; i++)
		strv_push(&argv, o->template_args[i]);
	progress_phase(m->progress, "template", 0);
	r = proc_run((const char *const *)argv, err);
	return r >= 0 && blockfs_is(v) ? runtime_mounter(ct, err) : r;
}

/* What it asks of a filesystem of its own. */
static int make_wish(const struct create_opts *o, struct volume *v, struct err *err)
{
	if (o->device)
		volume_use_device(v, o->device, o->force_format);
	if (o->force_format && !o->device)
		return err_set(err, ERR_INVALID, "--force-format is for a --device");
	if (!blockfs_is(v) && (o->fs || o->size))
		return err_set(err, ERR_INVALID,
			"--fs and --size are for a filesystem of its own: name a pool of the "
			"driver image, lvm or device, or a --device");
	if (!blockfs_is(v))
		return 0;
	if (o->fs && !blockfs_type_ok(o->fs))
		return err_set(err, ERR_INVALID,
			"'%s' is no filesystem that can be made here: ext4 or xfs", o->fs);
	snprintf(v->wish.fs, sizeof(v->wish.fs), "%s", o->fs ? o->fs : "");
	v->wish.size = o->size;
	return 0;
}

int containers_create(struct move_ctx *m, const char *ct, const struct create_opts *o, json_t **ret,
	struct err *err)
{
	_cleanup_volume_ struct volume *v = NULL;
	_cleanup_pool_ struct pool *pool = NULL;
	_cleanup_close_ int lock = -1;
	struct err undo_err = ERR_INIT;
	int r = check_options(ct, o, err);

	if (r >= 0)
		r = move_lock(m, ct, false, &lock, err);
	if (r >= 0)
		r = check_name_unused(m, ct, err);
	if (r >= 0)
		r = places_pool(m, o->pool, &pool, err);
	if (r < 0)
		return r;
	v = volume_in_pool(pool, ct, "rootfs");
	r = volume_exists(v, err);
	if (r > 0)
		return err_set(err, ERR_EXISTS, "there are files at %s already", v->path);
	if (r >= 0)
		r = make_wish(o, v, err);
	if (r >= 0)
		r = volume_create(v, err);
	if (r < 0) /* nothing was made, and what is there is not ours */
		return r;
	r = o->tarball ? from_tarball(m, ct, o, v, err) : from_template(m, ct, o, v, err);
	progress_end(m->progress);
	if (r < 0) {
		if (volume_destroy(v, &undo_err) < 0 || runtime_undefine(ct, &undo_err) < 0)
			return err_prefix(
				err, "(what was made could not be removed: %s)", undo_err.text);
		return r;
	}
	/* A record of an earlier container of that name does not bind the new one. */
	r = own_forget(m->st, ct, err);
	return r < 0 ? r : containers_show(m, ct, ret, err);
}
