#include "convert/fixup.h"

#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <string.h>
#include <unistd.h>

#include "base/beneath.h"
#include "base/json.h"
#include "convert/fix_find.h"
#include "convert/fixup_table.h"

#define ENTRIES_MAX 4096 /* of a folder that is searched for a pattern */

static void changes_done(struct fix_change_vec *v)
{
	for (size_t i = 0; i < v->n; i++) {
		free(v->v[i].path);
		free(v->v[i].what);
	}
	fix_change_vec_done(v);
}

void fixup_result_done(struct fixup_result *res)
{
	changes_done(&res->changes);
	changes_done(&res->failed);
	for (size_t i = 0; i < res->findings.n; i++)
		free(res->findings.v[i].text);
	fixup_finding_vec_done(&res->findings);
}

const char *fixup_next(const char *name, const char **ret_summary)
{
	const struct fixup_summary *s = fixup_summaries;

	for (; name && s->name; s++)
		if (str_eq(s->name, name)) {
			s++;
			break;
		}
	*ret_summary = s->text;
	return s->name;
}

static bool is_for(
	const struct fixup_row *row, const struct guest *g, const struct fixup_options *o)
{
	if (strv_has(o->without, row->name))
		return false;
	if (row->families && !(row->families & (unsigned)g->family))
		return false;
	if (row->inits && !(row->inits & 1u << g->init))
		return false;
	if (row->below && (!g->major || g->major >= row->below))
		return false;
	return !row->only_if || guest_has(g->root, row->only_if);
}

static int apply_to(struct fix *f, const struct fixup_row *row, const char *path, struct err *err)
{
	switch (row->kind) {
	case FIXUP_LINES: return fix_lines(f, path, row->action, row->pattern, row->arg, err);
	case FIXUP_REMOVE: return fix_remove(f, path, err);
	case FIXUP_WRITE: return fix_write(f, path, row->arg, NULL, err);
	case FIXUP_LINK: return fix_link(f, path, row->arg, err);
	default: return 0;
	}
}

static void failed(
	struct fixup_result *res, const struct fixup_row *row, const char *path, struct err *err)
{
	*fix_change_vec_push(&res->failed) = (struct fix_change){
		row->name, xstrdup(path ? path : ""), xstrdup(err->text)};
	err_clear(err);
}

/* Names first: what is done to the files changes the folder. */
static char **matches(int root, const char *folder, const char *pattern)
{
	_cleanup_close_ int fd = beneath_open_raw(root, folder, O_RDONLY | O_DIRECTORY, 0, 0);
	_cleanup_closedir_ DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	char **names = NULL;
	struct dirent *d;

	if (!dir)
		return NULL;
	fd = -1;
	for (size_t n = 0; n < ENTRIES_MAX && (d = readdir(dir)); n++)
		if (fnmatch(pattern, d->d_name, FNM_PERIOD) == 0)
			strv_push(&names, d->d_name);
	return names;
}

static void apply_pattern(struct fix *f, const struct fixup_row *row, struct fixup_result *res)
{
	const char *slash = strrchr(row->path, '/');
	_cleanup_free_ char *folder = xstrndup(row->path, (size_t)(slash - row->path));
	_cleanup_strv_ char **names = matches(f->root, folder, slash + 1);

	for (size_t i = 0; names && names[i]; i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s", folder, names[i]);
		struct err err = ERR_INIT;

		if (apply_to(f, row, path, &err) < 0)
			failed(res, row, path, &err);
	}
}

/* One that fails is told; the others go on. */
static void apply_row(struct fix *f, const struct fixup_row *row, const struct fixup_options *o,
	struct fixup_result *res)
{
	struct err err = ERR_INIT;
	int r;

	f->name = row->name;
	if (row->path && strpbrk(row->path, "*[") && strchr(row->path, '/')) {
		apply_pattern(f, row, res);
		return;
	}
	r = row->kind == FIXUP_CODE ? row->run(f, &res->guest, o, &err)
				    : apply_to(f, row, row->path, &err);
	if (r < 0)
		failed(res, row, row->path, &err);
}

static int check_names(char *const *without, struct err *err)
{
	for (size_t i = 0; without && without[i]; i++) {
		const char *summary, *name = NULL;

		while ((name = fixup_next(name, &summary)))
			if (str_eq(name, without[i]))
				break;
		if (!name)
			return err_set(
				err, ERR_INVALID, "there is no fix-up \"%.32s\"", without[i]);
	}
	return 0;
}

int fixup_apply(int root, const struct fixup_options *o, struct fixup_result *ret, struct err *err)
{
	struct fixup_result res = {0};
	struct fix f = {.root = root, .dry = o->dry_run};
	int r = check_names(o->without, err);

	if (r >= 0)
		r = guest_look(root, &res.guest, err);
	if (r >= 0)
		r = fix_find(root, &res.guest, o, &res.findings, err);
	if (r < 0) {
		fixup_result_done(&res);
		return r;
	}
	for (const struct fixup_row *row = fixup_rows; row->name; row++)
		if (is_for(row, &res.guest, o))
			apply_row(&f, row, o, &res);
	/* Busybox's init does not know SIGPWR. */
	if (res.guest.family == FAMILY_ALPINE)
		res.halt_signal = "SIGUSR2";
	res.changes = f.changes;
	f.changes = (struct fix_change_vec){0};
	fix_done(&f);
	*ret = res;
	return 0;
}

static json_t *changes_json(const struct fix_change_vec *v)
{
	json_t *list = json_array();

	for (size_t i = 0; i < v->n; i++) {
		json_t *o = json_object();

		json_put_str(o, "fixup", v->v[i].name);
		json_put_str(o, "path", v->v[i].path);
		json_put_str(o, "what", v->v[i].what);
		json_array_append_new(list, o);
	}
	return list;
}

json_t *fixup_json(const struct fixup_result *res)
{
	json_t *o = json_object(), *guest = json_object(), *findings = json_array();

	json_put_str(guest, "id", res->guest.id);
	json_put_str(guest, "version", res->guest.version);
	json_put_str(guest, "init", guest_init_name(res->guest.init));
	if (res->guest.systemd)
		json_put_u64(guest, "systemd", res->guest.systemd);
	json_put_u64(guest, "bits", res->guest.is_32_bit ? 32 : 64);
	for (size_t i = 0; i < res->findings.n; i++) {
		json_t *f = json_object();

		json_put_str(f, "finding", res->findings.v[i].name);
		json_put_str(f, "text", res->findings.v[i].text);
		json_put_bool(f, "fatal", res->findings.v[i].fatal);
		json_array_append_new(findings, f);
	}
	json_object_set_new(o, "guest", guest);
	json_object_set_new(o, "changes", changes_json(&res->changes));
	json_object_set_new(o, "failed", changes_json(&res->failed));
	json_object_set_new(o, "findings", findings);
	json_put_str(o, "halt_signal", res->halt_signal);
	return o;
}

static void add_changes(struct str *s, const struct fix_change_vec *v)
{
	for (size_t i = 0; i < v->n; i++) {
		_cleanup_free_ char *path = str_escape(v->v[i].path, strlen(v->v[i].path));

		str_addf(s, "  %-10s /%s: %s\n", v->v[i].name, path, v->v[i].what);
	}
}

char *fixup_text(const struct fixup_result *res, bool dry_run)
{
	const struct guest *g = &res->guest;
	struct str s = STR_INIT;

	str_addf(&s, "It is %s%s%s, with %s", g->id[0] ? g->id : "a system that is not known",
		g->version[0] ? " " : "", g->version, guest_init_name(g->init));
	if (g->systemd)
		str_addf(&s, " %u", g->systemd);
	str_addf(&s, ", of %u bits.\n", g->is_32_bit ? 32 : 64);
	str_add(&s, res->changes.n ? dry_run ? "Would change:\n" : "Changed:\n"
				   : "Nothing to change.\n");
	add_changes(&s, &res->changes);
	if (res->failed.n)
		str_add(&s, "Not possible:\n");
	add_changes(&s, &res->failed);
	if (res->findings.n)
		str_add(&s, "For you to look after:\n");
	for (size_t i = 0; i < res->findings.n; i++)
		str_addf(&s, "  %s%s\n", res->findings.v[i].fatal ? "IT WILL NOT BOOT: " : "",
			res->findings.v[i].text);
	if (res->halt_signal)
		str_addf(&s, "In its configuration: lxc.signal.halt = %s\n", res->halt_signal);
	return str_take(&s);
}
