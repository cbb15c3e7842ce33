#include "runtime/lxc_mount.h"

#include <string.h>

#include "base/alloc.h"
#include "base/beneath.h"
#include "base/str.h"

#define BAD_OPTION "has a mount option that may reach outside"

/* fstab's octal escapes: \040 is a blank. */
static char *decode(const char *s)
{
	struct str out = STR_INIT;

	for (; *s; s++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
			s[3] >= '0' && s[3] <= '7') {
			str_addc(
				&out, (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0')));
			s += 3;
		} else {
			str_addc(&out, *s);
		}
	}
	return str_take(&out);
}

static void encode(struct str *out, const char *s)
{
	if (!*s)
		str_add(out, "none");
	for (; *s; s++) {
		if (strchr(" \t\n\\", *s) || (*s == '#'))
			str_addf(out, "\\%03o", (unsigned char)*s);
		else
			str_addc(out, *s);
	}
}

/* "//srv//data/" becomes "/srv/data". */
static char *squeeze(const char *path)
{
	_cleanup_strv_ char **parts = str_split(path, "/", false);
	_cleanup_free_ char *joined = str_join(parts, "/");

	return xasprintf("%s%s", path[0] == '/' ? "/" : "", joined);
}

/* Relative to the root, or NULL: LXC ignores absolute targets outside it. */
static char *target_of(const char *field, const char *root)
{
	_cleanup_free_ char *decoded = decode(field);
	_cleanup_free_ char *path = squeeze(decoded);
	const char *rest = path;
	size_t n = root ? strlen(root) : 0;

	if (path[0] == '/') {
		if (!root || strncmp(path, root, n) != 0 || path[n] != '/')
			return NULL;
		rest = path + n + 1;
	}
	return beneath_path_ok(rest) ? xstrdup(rest) : NULL;
}

bool lxc_mount_parse(const char *value, const char *root, struct mount_entry *ret)
{
	_cleanup_strv_ char **fields = str_words(value);
	size_t n = strv_len(fields);
	char *target;

	if (n < 4 || n > 6 || fields[0][0] == '#')
		return false;
	target = target_of(fields[1], root);
	if (!target)
		return false;
	*ret = (struct mount_entry){
		.source = decode(fields[0]),
		.target = target,
		.type = decode(fields[2]),
		.options = str_split(fields[3], ",", false),
	};
	return true;
}

char *lxc_mount_text(const struct mount_entry *m)
{
	_cleanup_free_ char *options = str_join(m->options, ",");
	struct str s = STR_INIT;

	encode(&s, m->source);
	str_addc(&s, ' ');
	encode(&s, m->target);
	str_addc(&s, ' ');
	encode(&s, m->type);
	str_addf(&s, " %s 0 0", options[0] ? options : "defaults");
	return str_take(&s);
}

bool lxc_mount_is_bind(const struct mount_entry *m)
{
	return strv_has(m->options, "bind") || strv_has(m->options, "rbind");
}

static bool is_one_of(const char *const *list, const char *s)
{
	for (; *list; list++)
		if (strcmp(*list, s) == 0)
			return true;
	return false;
}

bool lxc_mount_option_ok(const char *option)
{
	/* Not "shared": mounts made inside would show outside. Not "dev", which would undo the
	 * host's "nodev". */
	static const char *const fine[] = {"ro", "rw", "nosuid", "nodev", "noexec", "noatime",
		"atime", "nodiratime", "diratime", "relatime", "norelatime", "strictatime",
		"nostrictatime", "lazytime", "sync", "async", "dirsync", "defaults", "private",
		"rprivate", "slave", "rslave", "unbindable", "runbindable", "optional", NULL};

	return is_one_of(fine, option);
}

static bool create_option(const char *option)
{
	return strcmp(option, "create=dir") == 0 || strcmp(option, "create=file") == 0;
}

/* LXC looks for "relative" and "idmap=" anywhere in the options, and takes "bindx" for "bind": only
 * what is known word by word passes. */
static bool data_ok(const char *option)
{
	static const char *const names[] = {"size", "mode", "uid", "gid", "nr_inodes", "nr_blocks",
		"hidepid", "ptmxmode", "max", NULL};
	_cleanup_free_ char *name = xstrndup(option, strcspn(option, "="));
	const char *value = option + strlen(name);

	return *value == '=' && is_one_of(names, name) &&
	       strspn(value, "=0123456789abcdefghijklmnopqrstuvwxyzKMGT%") == strlen(value) &&
	       !strstr(value, "relative");
}

static bool pseudo_option_ok(const char *option)
{
	static const char *const without_effect[] = {"nofail", "noauto", "newinstance", NULL};

	return lxc_mount_option_ok(option) || create_option(option) || data_ok(option) ||
	       is_one_of(without_effect, option);
}

/* File systems of which each mount is the container's own, or shows what it sees anyway. */
static const char *pseudo_reason(const struct mount_entry *m)
{
	static const char *const types[] = {
		"proc", "sysfs", "tmpfs", "ramfs", "mqueue", "devpts", "cgroup", "cgroup2", NULL};

	if (!is_one_of(types, m->type))
		return "mounts a file system of the host";
	for (size_t i = 0; m->options[i]; i++)
		if (!pseudo_option_ok(m->options[i]))
			return BAD_OPTION;
	return NULL;
}

/* What of the host a container may see by a bind mount: devices that hold nothing, and what the
 * distribution's own configuration shows of the kernel. */
static const struct {
	const char *source;
	bool read_only;
} host_files[] = {
	{"/dev/null", false},
	{"/dev/zero", false},
	{"/dev/full", false},
	{"/dev/random", false},
	{"/dev/urandom", false},
	{"/dev/fuse", false},
	{"/dev/net/tun", false},
	{"/sys/fs/fuse/connections", false},
	{"/sys/kernel/security", true},
};

static const char *bind_reason(const struct mount_entry *m)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(host_files); i++)
		if (strcmp(host_files[i].source, m->source) == 0)
			break;
	if (i == ARRAY_SIZE(host_files))
		return "binds a path of the host";
	if (host_files[i].read_only && !strv_has(m->options, "ro"))
		return "binds a path of the host for writing";
	for (size_t j = 0; m->options[j]; j++) {
		const char *o = m->options[j];

		if (strcmp(o, "bind") != 0 && !create_option(o) && !lxc_mount_option_ok(o))
			return BAD_OPTION;
		if (host_files[i].read_only && strcmp(o, "rw") == 0)
			return "binds a path of the host for writing";
	}
	return NULL;
}

const char *lxc_mount_reason(const struct mount_entry *m)
{
	return lxc_mount_is_bind(m) ? bind_reason(m) : pseudo_reason(m);
}

void lxc_mount_done(struct mount_entry *m)
{
	free(m->source);
	free(m->target);
	free(m->type);
	strv_free(m->options);
	*m = (struct mount_entry){0};
}
