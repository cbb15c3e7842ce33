#include "vz6/source.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/str.h"
#include "convert/files.h"
#include "convert/fixup.h"
#include "convert/report.h"
#include "model/wire.h"
#include "move/adopt.h"
#include "node/transfer.h"
#include "runtime/openvz.h"

static const char *const kept[] = {"netif_type", "netif_name", "netif_hwaddr", "bridge_link",
	"source_cpus", "unprivileged", "leave_out", "zfs", "zfs_dataset", "zfs_subdir"};

static int check_netif(const json_t *s, struct err *err)
{
	const char *type = json_get_str(s, "netif_type"), *name = json_get_str(s, "netif_name"),
		   *hwaddr = json_get_str(s, "netif_hwaddr"),
		   *bridge = json_get_str(s, "bridge_link");

	if (type && !str_eq(type, "bridge") && !str_eq(type, "routed"))
		return err_set(
			err, ERR_INVALID, "--netif-type is bridge or routed, not \"%.32s\"", type);
	if (name && !netif_name_ok(name))
		return err_set(err, ERR_INVALID, "\"%.32s\" is not a name of an interface", name);
	if (bridge && !netif_name_ok(bridge))
		return err_set(err, ERR_INVALID, "\"%.32s\" is not a name of a bridge", bridge);
	if (hwaddr && !netif_hwaddr_ok(hwaddr))
		return err_set(err, ERR_INVALID, "\"%.32s\" is not a hardware address", hwaddr);
	if (bridge && str_eq(type, "routed"))
		return err_set(err, ERR_INVALID,
			"--bridge-link is for --netif-type bridge; a routed interface is on none");
	return 0;
}

/* vpsAdmin's way is the only one that document 3's tool knows. */
static int check_zfs(const json_t *s, struct err *err)
{
	const char *subdir = json_get_str(s, "zfs_subdir");

	if (!json_get_bool(s, "zfs", false))
		return 0;
	if (!json_get_str(s, "zfs_dataset"))
		return err_set(err, ERR_INVALID, "--zfs needs --zfs-dataset DATASET");
	if (!str_eq(subdir, "private"))
		return err_set(err, ERR_INVALID, "--zfs needs --zfs-subdir private%s%.64s",
			subdir ? ", not " : "", subdir ? subdir : "");
	return 0;
}

int source_from_args(const json_t *args, json_t **ret, struct err *err)
{
	const char *without = json_get_str(args, "without");
	_cleanup_json_ json_t *s = json_object();
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		if (json_object_get(args, kept[i]))
			json_object_set(s, kept[i], json_object_get(args, kept[i]));
	if (without) {
		_cleanup_strv_ char **names = str_split(without, ", ", false);
		const char *name = NULL, *what;

		if (str_eq(without, "all")) {
			strv_free(names);
			names = NULL;
			while ((name = fixup_next(name, &what)))
				if (!strv_has(names, name))
					strv_push(&names, name);
		}
		wire_put_strv(s, "without", names);
	}
	r = check_netif(s, err);
	if (r >= 0)
		r = check_zfs(s, err);
	if (r < 0)
		return r;
	if (!json_get_str(s, "netif_hwaddr")) {
		_cleanup_free_ char *drawn = adopt_new_hwaddr();

		json_put_str(s, "netif_hwaddr", drawn);
	}
	*ret = TAKE_PTR(s);
	return 0;
}

static int recorded(struct vz6 *v, const char *name, json_t **ret, struct err *err)
{
	_cleanup_transfer_ struct transfer *t = NULL;
	int r;

	if (v->source) {
		*ret = json_incref(v->source);
		return 0;
	}
	r = transfer_open_of(v->st, TRANSFER_SOURCE, name, &t, err);
	if (r == -ERR_NOT_FOUND) {
		err_clear(err);
		*ret = json_object();
		return 0;
	}
	if (r >= 0)
		*ret = json_deep_copy(json_object_get(t->opts, "source")) ?: json_object();
	return r;
}

static struct convert_options options_of(const json_t *s, const char *name)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	return (struct convert_options){.name = name,
		.routed = str_eq(json_get_str(s, "netif_type"), "routed"),
		.netif_name = json_get_str(s, "netif_name"),
		.netif_hwaddr = json_get_str(s, "netif_hwaddr"),
		.bridge = json_get_str(s, "bridge_link"),
		.cpus = (uint32_t)MIN(json_get_u64(s, "source_cpus", cpus > 0 ? (uint64_t)cpus : 0),
			(uint64_t)CPU_MAX),
		.unprivileged = json_get_bool(s, "unprivileged", false)};
}

/* The configuration and the tools must mean the same folder. */
static int same_folder(const char *a, const char *b)
{
	struct stat x, y;

	return stat(a, &x) >= 0 && stat(b, &y) >= 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static int check_place(const struct conversion *c, const struct openvz_place *p, struct err *err)
{
	if (!same_folder(c->private, p->private))
		return err_set(err, ERR_STATE,
			"vzlist says that the files of container %s are at %s, its configuration "
			"says %s: "
			"which of both is right? Make them agree first",
			c->ct->name, p->private, c->private);
	if (c->layout == VE_LAYOUT_PLOOP && !p->ploop)
		return err_set(err, ERR_STATE,
			"the configuration of container %s says that it is on a ploop disk, and "
			"there "
			"is none at %s/root.hdd",
			c->ct->name, p->private);
	return 0;
}

/* Document 3's only form: one dataset a container, its files in the folder private. */
static int check_dataset(const json_t *s, const struct openvz_place *p, struct err *err)
{
	const char *dataset = json_get_str(s, "zfs_dataset");

	if (!json_get_bool(s, "zfs", false))
		return 0;
	if (p->ploop || !str_ends(p->private, "/private"))
		return err_set(err, ERR_INVALID,
			"--zfs is for a container whose files are in the folder private of dataset "
			"%.200s; they are at %s",
			dataset, p->private);
	return 0;
}

/* The root of the files, whatever the layout is. */
static int find_root(
	const struct conversion *c, const json_t *s, struct openvz_place *p, struct err *err)
{
	int r = openvz_place(c->ct->name, p, err);

	if (r >= 0)
		r = check_place(c, p, err);
	if (r >= 0)
		r = check_dataset(s, p, err);
	if (r >= 0 && p->ploop && !p->mounted) {
		r = openvz_hold(c->ct->name, err);
		p->mounted = r >= 0;
	}
	return r;
}

static void drop_refused(struct container *c)
{
	option_vec_free(&c->refused);
}

/* What is to be changed inside is only looked for: the destination changes it, on its own copy. */
static int look_inside(
	struct vz6 *v, struct conversion *c, const json_t *s, const char *path, struct err *err)
{
	_cleanup_(fixup_result_done) struct fixup_result res = {0};
	_cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct origin *o = origin_new("openvz");
	struct fixup_options fo = {
		.dry_run = true, .unprivileged = json_get_bool(s, "unprivileged", false)};
	int r = wire_strv(
		json_object_get(s, "without"), "without", ORIGIN_LIST_MAX, 64, &o->without, err);

	c->ct->origin = o;
	if (r < 0)
		return r;
	if (fd < 0)
		return err_errno(err, "open the files of container %s at %s", c->ct->name, path);
	o->nameservers = c->nameservers;
	o->domains = c->domains;
	c->nameservers = c->domains = NULL;
	fo.without = o->without;
	fo.nameservers = o->nameservers;
	fo.domains = o->domains;
	r = fixup_apply(fd, &fo, &res, err);
	if (r < 0)
		return err_prefix(err, "the files of container %s", c->ct->name);
	if (res.guest.init == INIT_SYSTEMD)
		o->systemd = res.guest.systemd;
	if (res.halt_signal)
		option_add(&c->ct->options, "lxc.signal.halt", res.halt_signal, NULL);
	json_decref(v->guest);
	v->guest = fixup_json(&res);
	return 0;
}

static void keep_report(struct vz6 *v, const struct conversion *c)
{
	free(v->report);
	v->report = report_text(c);
	json_decref(v->report_v);
	v->report_v = report_json(c);
}

int source_load(void *ctx, const char *name, struct container **ret, struct err *err)
{
	struct vz6 *v = ctx;
	_cleanup_(openvz_place_done) struct openvz_place p = {0};
	_cleanup_(ve_files_done) struct ve_files files = {0};
	_cleanup_conversion_ struct conversion *c = NULL;
	_cleanup_json_ json_t *s = NULL;
	struct convert_options o;
	int r = recorded(v, name, &s, err);

	if (r >= 0)
		r = ve_files_load(name, NULL, &files, err);
	if (r < 0)
		return r;
	o = options_of(s, name);
	r = convert_config(&files.source, &o, &c, err);
	if (r < 0)
		return err_prefix(err, "%s", files.path);
	if (json_get_bool(s, "leave_out", false))
		drop_refused(c->ct);
	keep_report(v, c);
	r = find_root(c, s, &p, err);
	if (r >= 0)
		r = look_inside(v, c, s, p.ploop ? p.root : p.private, err);
	if (r < 0)
		return r;
	free(c->ct->volumes.v[0].path);
	c->ct->volumes.v[0].path = xstrdup(p.ploop ? p.root : p.private);
	/* The ids on disk are the container's own, with a range or without. */
	c->ct->idmap.unshifted = c->ct->idmap.ranges.n > 0;
	*ret = TAKE_PTR(c->ct);
	return 0;
}
