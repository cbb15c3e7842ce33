#include "convert/guest.h"

#include <ctype.h>
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/beneath.h"
#include "base/str.h"

#define SMALL	    65536
#define DPKG_MAX    (64u << 20)
#define ENTRIES_MAX 20000

/* A link at the end is opened as itself. */
bool guest_has(int root, const char *path)
{
	struct stat st;

	return beneath_stat(root, path, &st) == 0;
}

int guest_read(int root, const char *path, size_t max, char **ret, struct err *err)
{
	_cleanup_close_ int fd = beneath_open_raw(
		root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, 0);
	_cleanup_free_ char *text = NULL;
	struct stat st;
	size_t n = 0;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (fd < 0 && (errno == ELOOP || errno == ENXIO))
		return 0;
	if (fd < 0)
		return err_errno(err, "open %s in the container", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	if ((uint64_t)st.st_size > max)
		return err_set(
			err, ERR_INVALID, "%s in the container is too large to be read", path);
	text = xmalloc((size_t)st.st_size + 1);
	while (n < (size_t)st.st_size) {
		ssize_t r = read(fd, text + n, (size_t)st.st_size - n);

		if (r < 0)
			return err_errno(err, "read %s in the container", path);
		if (r == 0)
			break;
		n += (size_t)r;
	}
	text[n] = '\0';
	if (strlen(text) != n)
		return err_set(err, ERR_INVALID, "%s in the container is not a text", path);
	*ret = TAKE_PTR(text);
	return 1;
}

/* Without its error: what cannot be read says nothing. */
static char *read_text(int root, const char *path)
{
	struct err ignored = ERR_INIT;
	char *text = NULL;

	return guest_read(root, path, SMALL, &text, &ignored) > 0 ? text : NULL;
}

static void copy_word(char out[32], const char *word)
{
	size_t n = 0;

	for (; *word && n < 31; word++)
		if (isascii(*word) && (isalnum((unsigned char)*word) || strchr("._-", *word)))
			out[n++] = (char)tolower((unsigned char)*word);
	out[n] = '\0';
}

/* ID=centos, VERSION_ID="7" */
static bool read_os_release(struct guest *g, const char *path)
{
	_cleanup_free_ char *text = read_text(g->root, path);
	_cleanup_strv_ char **lines = text ? str_split(text, "\n", false) : NULL;

	for (size_t i = 0; lines && lines[i]; i++) {
		if (str_starts(lines[i], "ID="))
			copy_word(g->id, lines[i] + 3);
		else if (str_starts(lines[i], "VERSION_ID="))
			copy_word(g->version, lines[i] + 11);
	}
	return g->id[0];
}

/* "CentOS release 6.10 (Final)": the first word, and the first number. */
static bool read_release(struct guest *g, const char *path, const char *id)
{
	_cleanup_free_ char *text = read_text(g->root, path);
	_cleanup_strv_ char **words = text ? str_words(text) : NULL;

	if (!text)
		return false;
	copy_word(g->id, id ? id : words[0] ? words[0] : "");
	for (size_t i = 0; words[i]; i++)
		if (isdigit((unsigned char)words[i][0])) {
			copy_word(g->version, words[i]);
			break;
		}
	return true;
}

static const struct {
	const char *id;
	enum guest_family family;
} families[] = {
	{"debian", FAMILY_DEBIAN},
	{"ubuntu", FAMILY_DEBIAN},
	{"devuan", FAMILY_DEBIAN},
	{"raspbian", FAMILY_DEBIAN},
	{"centos", FAMILY_REDHAT},
	{"rhel", FAMILY_REDHAT},
	{"red", FAMILY_REDHAT},
	{"redhat", FAMILY_REDHAT},
	{"fedora", FAMILY_REDHAT},
	{"almalinux", FAMILY_REDHAT},
	{"rocky", FAMILY_REDHAT},
	{"ol", FAMILY_REDHAT},
	{"scientific", FAMILY_REDHAT},
	{"cloudlinux", FAMILY_REDHAT},
	{"virtuozzo", FAMILY_REDHAT},
	{"opensuse", FAMILY_SUSE},
	{"opensuse-leap", FAMILY_SUSE},
	{"opensuse-tumbleweed", FAMILY_SUSE},
	{"sles", FAMILY_SUSE},
	{"suse", FAMILY_SUSE},
	{"alpine", FAMILY_ALPINE},
	{"arch", FAMILY_ARCH},
	{"gentoo", FAMILY_GENTOO},
	{"funtoo", FAMILY_GENTOO},
	{"slackware", FAMILY_SLACKWARE},
	{"void", FAMILY_VOID},
	{"nixos", FAMILY_NIXOS},
};

static void look_distribution(struct guest *g)
{
	static const struct {
		const char *path, *id; /* NULL: its first word */
	} releases[] = {
		{"etc/redhat-release", NULL},
		{"etc/SuSE-release", "suse"},
		{"etc/alpine-release", "alpine"},
		{"etc/gentoo-release", "gentoo"},
		{"etc/arch-release", "arch"},
		{"etc/slackware-version", "slackware"},
		{"etc/debian_version", "debian"},
	};

	if (!read_os_release(g, "etc/os-release") && !read_os_release(g, "usr/lib/os-release"))
		for (size_t i = 0; i < ARRAY_SIZE(releases); i++)
			if (read_release(g, releases[i].path, releases[i].id))
				break;
	for (size_t i = 0; i < ARRAY_SIZE(families); i++)
		if (str_eq(families[i].id, g->id))
			g->family = families[i].family;
	for (const char *p = g->version; isdigit((unsigned char)*p) && g->major < 10000; p++)
		g->major = g->major * 10 + (unsigned)(*p - '0');
}

/* libsystemd-shared-252.so tells the version; those before 231 have none. */
static unsigned systemd_in(int root, const char *folder)
{
	_cleanup_close_ int fd = beneath_open_raw(root, folder, O_RDONLY | O_DIRECTORY, 0, 0);
	_cleanup_closedir_ DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	static const char prefix[] = "libsystemd-shared-";
	unsigned found = 0;
	struct dirent *d;

	if (!dir)
		return 0;
	fd = -1;
	for (size_t n = 0; n < ENTRIES_MAX && (d = readdir(dir)); n++)
		if (str_starts(d->d_name, prefix) &&
			isdigit((unsigned char)d->d_name[strlen(prefix)]))
			found = (unsigned)strtoul(d->d_name + strlen(prefix), NULL, 10);
	return found;
}

/* What dpkg says of the package. */
static unsigned systemd_of_dpkg(int root)
{
	_cleanup_free_ char *text = NULL;
	struct err ignored = ERR_INIT;
	const char *at, *end;

	if (guest_read(root, "var/lib/dpkg/status", DPKG_MAX, &text, &ignored) <= 0)
		return 0;
	at = strstr(text, "\nPackage: systemd\n");
	end = at ? strstr(at, "\n\n") : NULL;
	at = at ? strstr(at, "\nVersion: ") : NULL;
	if (!at || (end && at > end))
		return 0;
	return (unsigned)strtoul(at + strlen("\nVersion: "), NULL, 10);
}

static unsigned systemd_version(const struct guest *g)
{
	static const char *const folders[] = {"lib/systemd", "usr/lib/systemd",
		"usr/lib/x86_64-linux-gnu/systemd", "usr/lib64/systemd"};
	unsigned found = 0;

	for (size_t i = 0; !found && i < ARRAY_SIZE(folders); i++)
		found = systemd_in(g->root, folders[i]);
	if (!found)
		found = systemd_of_dpkg(g->root);
	if (!found && g->family == FAMILY_REDHAT && g->major == 7)
		found = 219; /* of all releases of 7 */
	return found;
}

static bool has_any(int root, const char *const *paths)
{
	for (; *paths; paths++)
		if (guest_has(root, *paths))
			return true;
	return false;
}

static void look_init(struct guest *g)
{
	static const char *const systemd[] = {
		"lib/systemd/systemd", "usr/lib/systemd/systemd", "bin/systemd", NULL};
	static const char *const upstart[] = {"sbin/initctl", "etc/init/rc.conf", NULL};
	static const char *const openrc[] = {"sbin/openrc", "sbin/rc", "etc/runlevels", NULL};
	static const char *const runit[] = {"etc/runit", NULL};
	static const char *const sysv[] = {"etc/inittab", NULL};

	/* A Debian may have the files of systemd and start something else: its inittab decides. */
	if (has_any(g->root, systemd) && !(g->family == FAMILY_DEBIAN && has_any(g->root, sysv)))
		g->init = INIT_SYSTEMD;
	else if (has_any(g->root, openrc))
		g->init = INIT_OPENRC;
	else if (has_any(g->root, runit))
		g->init = INIT_RUNIT;
	else if (has_any(g->root, upstart))
		g->init = INIT_UPSTART;
	else if (has_any(g->root, sysv))
		g->init = INIT_SYSV;
	if (g->init == INIT_SYSTEMD)
		g->systemd = systemd_version(g);
}

static void look_bits(struct guest *g)
{
	static const char *const programs[] = {"bin/bash", "usr/bin/bash", "bin/dash",
		"usr/bin/dash", "bin/busybox", "sbin/init", "usr/lib/systemd/systemd", "bin/mount",
		"usr/bin/mount"};

	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		_cleanup_close_ int fd = beneath_open_raw(
			g->root, programs[i], O_RDONLY | O_NONBLOCK, 0, 0);
		unsigned char ident[EI_NIDENT];

		if (fd < 0 || pread(fd, ident, sizeof(ident), 0) != (ssize_t)sizeof(ident) ||
			memcmp(ident, ELFMAG, SELFMAG) != 0)
			continue;
		g->is_32_bit = ident[EI_CLASS] == ELFCLASS32;
		return;
	}
}

int guest_look(int root, struct guest *ret, struct err *err)
{
	struct guest g = {.root = root};

	if (!guest_has(root, "etc") ||
		(!guest_has(root, "sbin") && !guest_has(root, "usr") && !guest_has(root, "bin")))
		return err_set(err, ERR_INVALID,
			"there is no system in that folder (no etc, or no programs): is the "
			"container's file system mounted?");
	look_distribution(&g);
	look_init(&g);
	look_bits(&g);
	*ret = g;
	return 0;
}

const char *guest_init_name(enum guest_init init)
{
	static const char *const names[] = {
		"unknown", "systemd", "upstart", "sysvinit", "openrc", "runit"};

	return names[init];
}

static bool mentions(int root, const char *path, const char *const *words)
{
	_cleanup_free_ char *text = read_text(root, path);

	for (size_t i = 0; text && words[i]; i++)
		if (strstr(text, words[i]))
			return true;
	return false;
}

bool guest_has_traces(int root)
{
	static const char *const left[] = {"var/lib/wherry-fixups", "etc/init.d/vzquota",
		"etc/rc.d/init.d/vzquota", "etc/sysconfig/network-scripts/ifcfg-venet0",
		"etc/sysconfig/network/ifcfg-venet0", "etc/netctl/venet0", "etc/network.d/venet0",
		"etc/runit/core-services/90-venet.sh", "etc/init.d/net.venet0"};
	static const char *const files[] = {"etc/fstab", "etc/mtab", "etc/network/interfaces",
		"etc/sysconfig/network", "etc/conf.d/net", "etc/rc.conf", "etc/inittab"};
	static const char *const words[] = {
		"simfs", "ploop", "vzfs", "venet0", "openvz", "/proc/vz", NULL};

	for (size_t i = 0; i < ARRAY_SIZE(left); i++)
		if (guest_has(root, left[i]))
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (mentions(root, files[i], words))
			return true;
	return false;
}

bool guest_is_host(int root)
{
	static const char *const roots[] = {"/", "/proc/1/root/."};
	struct stat st, here;

	if (fstat(root, &st) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(roots); i++)
		if (stat(roots[i], &here) >= 0 && here.st_dev == st.st_dev &&
			here.st_ino == st.st_ino)
			return true;
	return false;
}
