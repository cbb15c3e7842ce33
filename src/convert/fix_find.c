#include "convert/fix_find.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/beneath.h"

#define DEPTH_MAX  8
#define FILES_MAX  20000	 /* that are looked at, of /etc */
#define FILE_MAX   (256u * 1024) /* larger ones are not */
#define NAMED_MAX  20		 /* that are told */
#define UNIFIED_OK 232		 /* the first systemd that boots with version 2 of control groups */

struct finding {
	int root;
	struct fixup_finding_vec *v;
	unsigned files, named;
	struct str names;
};

static void add(struct fixup_finding_vec *v, const char *name, bool fatal, char *text)
{
	*fixup_finding_vec_push(v) = (struct fixup_finding){name, text, fatal};
}

/* Files that fix-ups change, or that only list what there was. */
static bool is_ours(const char *path)
{
	return str_eq(path, "etc/network/interfaces") || str_eq(path, "etc/sysconfig/network") ||
	       strstr(path, "ifcfg-venet0") || strstr(path, "ifroute-venet0") ||
	       str_eq(path, "etc/conf.d/net");
}

static void look_at(struct finding *x, const char *path)
{
	_cleanup_free_ char *text = NULL, *shown = NULL;
	struct err ignored = ERR_INIT;

	if (is_ours(path) || guest_read(x->root, path, FILE_MAX, &text, &ignored) <= 0 ||
		!strstr(text, "venet0"))
		return;
	if (x->named++ < NAMED_MAX) {
		shown = str_escape(path, strlen(path));
		str_addf(&x->names, "%s/%s", x->names.len ? ", " : "", shown);
	}
}

static void walk(struct finding *x, const char *path, int depth)
{
	_cleanup_close_ int fd = beneath_open_raw(x->root, path, O_RDONLY | O_DIRECTORY, 0, 0);
	_cleanup_closedir_ DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *d;

	if (!dir)
		return;
	fd = -1;
	while (x->files < FILES_MAX && (d = readdir(dir))) {
		_cleanup_free_ char *below = NULL;

		if (str_eq(d->d_name, ".") || str_eq(d->d_name, ".."))
			continue;
		x->files++;
		below = xasprintf("%s/%s", path, d->d_name);
		if (d->d_type == DT_DIR && depth < DEPTH_MAX)
			walk(x, below, depth + 1);
		else if (d->d_type == DT_REG || d->d_type == DT_UNKNOWN)
			look_at(x, below);
	}
}

static void find_venet(int root, struct fixup_finding_vec *v)
{
	struct finding x = {.root = root, .v = v};

	walk(&x, "etc", 0);
	if (x.named)
		add(v, "venet0", false,
			xasprintf("venet0, which is eth0 from now on, is named in %s%s: change it "
				  "there",
				x.names.buf, x.named > NAMED_MAX ? " and more" : ""));
	str_done(&x.names);
}

static void find_panels(int root, struct fixup_finding_vec *v)
{
	static const struct {
		const char *path, *name;
	} panels[] = {
		{"usr/local/cpanel", "cPanel"},
		{"usr/local/psa", "Plesk"},
		{"opt/psa", "Plesk"},
		{"usr/local/directadmin", "DirectAdmin"},
		{"usr/local/ispconfig", "ISPConfig"},
		{"usr/local/ispmgr", "ISPmanager"},
		{"usr/local/vesta", "VestaCP"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(panels); i++)
		if (guest_has(root, panels[i].path))
			add(v, "panel", false,
				xasprintf("%s is there: quotas of users, which it relies on, and a "
					  "licence bound to venet0 do not come along",
					panels[i].name));
	if (guest_has(root, "aquota.user") || guest_has(root, "aquota.group"))
		add(v, "quota", false,
			xstrdup("users had quotas (aquota.user): they do not come along; "
				"repquota -a in the container shows them while it still runs"));
}

static void find_systemd(
	const struct guest *g, const struct fixup_options *o, struct fixup_finding_vec *v)
{
	if (g->init != INIT_SYSTEMD)
		return;
	if (g->systemd && g->systemd < UNIFIED_OK)
		add(v, "systemd", o->unified,
			xasprintf("its systemd %u cannot boot on a host that has version 2 of "
				  "control "
				  "groups only: boot that host with "
				  "systemd.unified_cgroup_hierarchy=0, or upgrade the container "
				  "first",
				g->systemd));
	else if (!g->systemd)
		add(v, "systemd", false,
			xasprintf(
				"the version of its systemd cannot be seen; before %d it does not "
				"boot on a host that has version 2 of control groups only",
				UNIFIED_OK));
}

static void find_old(
	const struct guest *g, const struct fixup_options *o, struct fixup_finding_vec *v)
{
	if (g->family == FAMILY_REDHAT && g->major && g->major < 6)
		add(v, "vsyscall", false,
			xstrdup("programs this old need vsyscall=emulate on the host's kernel "
				"command "
				"line, or they crash"));
	if (guest_has(g->root, "lib/modules") && guest_has(g->root, "etc/lvm/lvm.conf"))
		add(v, "hardware", false,
			xstrdup("services that manage hardware (lvm2-monitor and the like) may "
				"fail at "
				"boot: disable them"));
	if (guest_has(g->root, "etc/ntp.conf") && o->unprivileged)
		add(v, "clock", false,
			xstrdup("ntpd cannot set the clock in an unprivileged container: the "
				"host's "
				"clock counts"));
}

static void find_mounts(int root, struct fixup_finding_vec *v)
{
	_cleanup_free_ char *text = NULL;
	struct err ignored = ERR_INIT;
	_cleanup_strv_ char **lines = NULL;

	if (guest_read(root, "etc/fstab", FILE_MAX, &text, &ignored) <= 0)
		return;
	lines = str_split(text, "\n", false);
	for (size_t i = 0; lines[i]; i++) {
		_cleanup_strv_ char **words = str_words(lines[i]);

		if (!words[0] || words[0][0] == '#' || strv_len(words) < 3 ||
			!str_starts(words[2], "nfs"))
			continue;
		add(v, "nfs", false,
			xstrdup("its fstab mounts by NFS, which a container may only if the host's "
				"policy allows it: mount it on the host and bind it in"));
		return;
	}
}

int fix_find(int root, const struct guest *g, const struct fixup_options *o,
	struct fixup_finding_vec *ret, struct err *err)
{
	find_systemd(g, o, ret);
	find_old(g, o, ret);
	find_venet(root, ret);
	find_panels(root, ret);
	find_mounts(root, ret);
	return 0;
}
