#include "storage/zfs_props.h"

#include <string.h>

#include "base/alloc.h"
#include "storage/zfs_dataset.h"

#define VALUE_MAX 32
#define LATE	  "wherry:late."

enum form { CHOICE, WORD, NUMBER, NUMBER_OR_NONE };

static const struct {
	const char *name;
	enum form form;
	bool late;
	const char *choices;
} known[] = {
	{"aclinherit", CHOICE, false, "discard noallow restricted passthrough passthrough-x"},
	{"acltype", CHOICE, false, "off noacl posix posixacl"},
	{"atime", CHOICE, false, "on off"},
	{"checksum", WORD, false, NULL},
	{"compression", WORD, false, NULL},
	{"copies", CHOICE, false, "1 2 3"},
	{"dnodesize", CHOICE, false, "legacy auto 1k 2k 4k 8k 16k 1024 2048 4096 8192 16384"},
	{"logbias", CHOICE, false, "latency throughput"},
	{"primarycache", CHOICE, false, "all none metadata"},
	{"quota", NUMBER_OR_NONE, true, NULL},
	{"recordsize", NUMBER, false, NULL},
	{"redundant_metadata", CHOICE, false, "all most"},
	{"refquota", NUMBER_OR_NONE, true, NULL},
	{"relatime", CHOICE, false, "on off"},
	{"secondarycache", CHOICE, false, "all none metadata"},
	{"snapdir", CHOICE, false, "hidden visible"},
	{"sync", CHOICE, false, "standard always"},
	{"xattr", CHOICE, false, "on off sa dir"},
};

static int find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strcmp(known[i].name, name) == 0)
			return (int)i;
	return -1;
}

static bool is_choice(const char *choices, const char *value)
{
	_cleanup_strv_ char **words = str_words(choices);

	return strv_has(words, value);
}

static bool made_of(const char *value, const char *set)
{
	return *value && !value[strspn(value, set)];
}

bool zfs_prop_ok(const char *name, const char *value)
{
	int i = find(name);

	if (i < 0 || strlen(value) >= VALUE_MAX)
		return false;
	switch (known[i].form) {
	case CHOICE: return is_choice(known[i].choices, value);
	case WORD: return made_of(value, "abcdefghijklmnopqrstuvwxyz0123456789-");
	case NUMBER: return made_of(value, "0123456789");
	case NUMBER_OR_NONE: return made_of(value, "0123456789") || !strcmp(value, "none");
	}
	return false;
}

json_t *zfs_props_parse(const char *text)
{
	_cleanup_strv_ char **lines = str_split(text, "\n", false);
	json_t *props = json_object();

	for (size_t i = 0; lines[i]; i++) {
		char *tab = strchr(lines[i], '\t');

		if (!tab)
			continue;
		*tab = '\0';
		if (zfs_prop_ok(lines[i], tab + 1))
			json_put_str(props, lines[i], tab + 1);
	}
	return props;
}

/* With the names under which late ones are kept, or without. */
static char *all_names(bool kept)
{
	struct str s = STR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		str_addf(&s, "%s%s", i ? "," : "", known[i].name);
		if (kept && known[i].late)
			str_addf(&s, "," LATE "%s", known[i].name);
	}
	return str_take(&s);
}

static int read_text(const char *dataset, bool kept, char **ret, struct err *err)
{
	_cleanup_free_ char *names = all_names(kept);
	const char *argv[] = {"zfs", "get", "-H", "-p", "-s", "local,received", "-o",
		"property,value", names, dataset, NULL};

	return zfs_capture(argv, ret, err);
}

int zfs_props_read(const char *dataset, json_t **ret, struct err *err)
{
	_cleanup_free_ char *out = NULL;
	int r = read_text(dataset, false, &out, err);

	if (r < 0)
		return r;
	*ret = zfs_props_parse(out);
	return 0;
}

void zfs_props_arguments(const json_t *props, char ***argv)
{
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		const char *value = json_get_str(props, known[i].name);
		_cleanup_free_ char *word = NULL;

		if (known[i].late || !value || !zfs_prop_ok(known[i].name, value))
			continue;
		word = xasprintf("%s=%s", known[i].name, value);
		strv_push(argv, "-o");
		strv_push(argv, word);
	}
}

/* The value of a property among the lines "property<tab>value". */
static const char *value_of(char *const *lines, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; lines[i]; i++)
		if (strncmp(lines[i], name, n) == 0 && lines[i][n] == '\t')
			return lines[i] + n + 1;
	return NULL;
}

/* Each call of the tool costs more than it does: what is to be set is set at once. */
int zfs_props_apply(const char *dataset, const json_t *props, struct err *err)
{
	_cleanup_strv_ char **argv = NULL, **now = NULL;
	_cleanup_free_ char *text = NULL;
	int r = read_text(dataset, true, &text, err);

	if (r < 0)
		return r;
	now = str_split(text, "\n", false);
	strv_push(&argv, "zfs");
	strv_push(&argv, "set");
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(known); i++) {
		_cleanup_free_ char *name = xasprintf(
			"%s%s", known[i].late ? LATE : "", known[i].name);
		const char *have = value_of(now, name), *want = json_get_str(props, known[i].name);
		_cleanup_free_ char *word = NULL;

		if (want && !zfs_prop_ok(known[i].name, want))
			want = NULL;
		if (!want && have)
			r = zfs_unset(dataset, name, err);
		if (!want || str_eq(want, have))
			continue;
		word = xasprintf("%s=%s", name, want);
		strv_push(&argv, word);
	}
	strv_push(&argv, dataset);
	return r < 0 || strv_len(argv) == 3 ? r : zfs_run((const char *const *)argv, err);
}

int zfs_props_settle(const char *dataset, struct err *err)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(known); i++) {
		_cleanup_free_ char *kept = xasprintf(LATE "%s", known[i].name);
		_cleanup_free_ char *value = NULL;

		if (!known[i].late)
			continue;
		r = zfs_get(dataset, kept, &value, err);
		if (r < 0 || str_eq(value, "-"))
			continue;
		if (zfs_prop_ok(known[i].name, value))
			r = zfs_set(dataset, known[i].name, value, err);
		if (r >= 0)
			r = zfs_unset(dataset, kept, err);
	}
	return r;
}
