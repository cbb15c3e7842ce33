#include "storage/settings.h"

#include <fcntl.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/num.h"
#include "base/str.h"
#include "storage/blockfs.h"
#include "storage/blockrec.h"
#include "storage/place.h"

#define CONF	    "pool.conf"
#define CONF_MAX    65536
#define DEVICES_MAX 1024

void pool_settings_done(struct pool_settings *s)
{
	free(s->vg);
	strv_free(s->devices);
	*s = (struct pool_settings){0};
}

static bool vg_ok(const char *vg)
{
	const char *slash = strchr(vg, '/');

	return vg[0] && vg[0] != '-' && vg[0] != '/' && blockrec_value_ok(vg) &&
	       (!slash || (slash[1] && !strchr(slash + 1, '/')));
}

static int check(const struct pool_settings *s, struct err *err)
{
	if (s->fs[0] && !blockfs_type_ok(s->fs))
		return err_set(err, ERR_INVALID,
			"\"%s\" is no filesystem that can be made here: ext4 or xfs", s->fs);
	if (s->vg && !vg_ok(s->vg))
		return err_set(err, ERR_INVALID, "\"%s\" is neither a volume group nor VG/THINPOOL",
			s->vg);
	if (strv_len(s->devices) > DEVICES_MAX)
		return err_set(err, ERR_INVALID, "over %d devices", DEVICES_MAX);
	for (size_t i = 0; s->devices && s->devices[i]; i++)
		if (!str_starts(s->devices[i], "/dev/") || !blockrec_value_ok(s->devices[i]))
			return err_set(err, ERR_INVALID,
				"\"%s\" is no device's name: it begins with /dev/", s->devices[i]);
	return 0;
}

static int read_line(struct pool_settings *s, char *line, struct err *err)
{
	char *equals = strchr(line, '='), *key, *value;

	line = str_trim(line);
	if (!line[0] || line[0] == '#')
		return 0;
	if (!equals)
		return err_set(err, ERR_INVALID, "a line without \"=\": %.64s", line);
	*equals = '\0';
	key = str_trim(line);
	value = str_trim(equals + 1);
	if (str_eq(key, "fs"))
		snprintf(s->fs, sizeof(s->fs), "%s", value);
	else if (str_eq(key, "size"))
		return num_size(value, &s->size, err);
	else if (str_eq(key, "device"))
		strv_push(&s->devices, value);
	else if (str_eq(key, "mmp")) {
		s->mmp = str_eq(value, "yes");
		if (!s->mmp && !str_eq(value, "no"))
			return err_set(err, ERR_INVALID, "mmp is yes or no, not \"%.64s\"", value);
	} else if (str_eq(key, "vg")) {
		free(s->vg);
		s->vg = xstrdup(value);
	} else
		return err_set(err, ERR_INVALID, "there is no setting \"%.64s\"", key);
	return 0;
}

int pool_settings_read(const char *pool_path, struct pool_settings *ret, struct err *err)
{
	_cleanup_settings_ struct pool_settings s = {0};
	_cleanup_close_ int own = place_open(pool_path, ".", false, err);
	_cleanup_free_ char *text = NULL;
	_cleanup_strv_ char **lines = NULL;
	size_t n;
	int r = own < 0 ? own : file_read_at(own, CONF, CONF_MAX, &text, &n, err);

	*ret = (struct pool_settings){0};
	if (r == -ERR_NOT_FOUND) {
		err_clear(err);
		return 0;
	}
	if (r < 0)
		return r;
	lines = str_split(text, "\n", false);
	for (size_t i = 0; r >= 0 && lines[i]; i++)
		r = read_line(&s, lines[i], err);
	if (r >= 0)
		r = check(&s, err);
	if (r < 0)
		return err_prefix(err, "%s/.wherry/" CONF, pool_path);
	*ret = s;
	s = (struct pool_settings){0};
	return 0;
}

int pool_settings_write(const char *pool_path, const struct pool_settings *s, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/.wherry/" CONF, pool_path);
	_cleanup_(str_done) struct str text = STR_INIT;
	_cleanup_close_ int own = -1;
	int r = check(s, err);

	if (r >= 0)
		r = own = place_open(pool_path, ".", true, err);
	if (r < 0)
		return r;
	str_add(&text, "# Of this pool, for Wherry: yours to edit; see wherry-pool(1).\n");
	if (s->fs[0])
		str_addf(&text, "fs = %s\n", s->fs);
	if (s->size)
		str_addf(&text, "size = %llu\n", (unsigned long long)s->size);
	if (s->vg)
		str_addf(&text, "vg = %s\n", s->vg);
	for (size_t i = 0; s->devices && s->devices[i]; i++)
		str_addf(&text, "device = %s\n", s->devices[i]);
	if (s->mmp)
		str_add(&text, "mmp = yes\n");
	return file_replace(path, text.buf, text.len, 0600, err);
}
