/*
 * Fix-ups of the system: mtab, and what templates of OpenVZ say over systemd's services.
 */
#include <string.h>

#include "convert/fixup_table.h"

/* vzctl wrote one line into it, of a device that is not there any more. */
int fix_mtab(struct fix *f, const struct guest *g, const struct fixup_options *o, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	int r = guest_read(f->root, "etc/mtab", FIX_FILE_MAX, &text, err);

	if (r <= 0)
		return r;
	if (!strstr(text, "simfs") && !strstr(text, "/dev/ploop") && !strstr(text, "/dev/DEVFS"))
		return 0;
	return fix_link(f, "etc/mtab", "/proc/self/mounts", err);
}

/* Drop-ins that only loosen what OpenVZ's kernel did not know. */
static bool only_loosens(const char *text)
{
	_cleanup_strv_ char **lines = str_split(text, "\n", false);
	size_t n = 0;

	for (size_t i = 0; lines[i]; i++) {
		const char *line = str_trim(lines[i]);

		if (!*line || *line == '#' || *line == ';' || str_eq(line, "[Service]"))
			continue;
		if (!str_eq(line, "SystemCallFilter=") &&
			!str_eq(line, "MemoryDenyWriteExecute=no") &&
			!str_eq(line, "MemoryDenyWriteExecute="))
			return false;
		n++;
	}
	return n > 0;
}

int fix_overrides(
	struct fix *f, const struct guest *g, const struct fixup_options *o, struct err *err)
{
	static const char *const services[] = {
		"systemd-journald", "systemd-logind", "systemd-resolved", "systemd-networkd"};
	static const char *const names[] = {"override", "vz", "openvz", "vpsadminos"};
	int changed = 0;

	for (size_t i = 0; i < ARRAY_SIZE(services) * ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *text = NULL;
		_cleanup_free_ char *path = xasprintf("etc/systemd/system/%s.service.d/%s.conf",
			services[i / ARRAY_SIZE(names)], names[i % ARRAY_SIZE(names)]);
		int r = guest_read(f->root, path, FIX_FILE_MAX, &text, err);

		if (r > 0 && only_loosens(text))
			r = fix_remove(f, path, err);
		else if (r > 0)
			r = 0;
		if (r < 0)
			return r;
		changed |= r;
	}
	return changed;
}
