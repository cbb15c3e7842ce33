#include "node/config.h"

#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"
#include "model/idmap.h"

#define TEXT_MAX  65536
#define VALUE_MAX 1024
#define PAIRS_MAX 1024

#define LETTERS	  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

enum kind {
	KIND_USER,
	KIND_PORT,
	KIND_COMMAND,
	KIND_DURATION,
	KIND_SIZE,
	KIND_COUNT,
	KIND_SSH,
	KIND_IDMAP
};

/* clang-format off */
static const struct item {
	const char *section, *key;
	enum kind kind;
	size_t offset;
	uint64_t min, max; /* of a number; a duration in seconds */
} items[] = {
	{"node",   "receive_user", KIND_USER,	  offsetof(struct config, receive_user)},
	{"receive", "idmap",	   KIND_IDMAP,	  offsetof(struct config, idmap)},
	{"receive", "expire",	   KIND_DURATION, offsetof(struct config, receive_expire), 0, 31536000},
	{"receive", "open_per_key", KIND_COUNT,	  offsetof(struct config, open_per_key), 0, 1000000},
	{"send",   "sync_rounds",  KIND_COUNT,	  offsetof(struct config, sync_rounds), 0, 100},
	{"stop",   "timeout",	   KIND_DURATION, offsetof(struct config, stop_timeout), 1, 86400},
	{"health", "timeout",	   KIND_DURATION, offsetof(struct config, health_timeout), 1, 86400},
	{"health", "tcp",	   KIND_PORT,	  offsetof(struct config, health_tcp)},
	{"health", "command",	   KIND_COMMAND,  offsetof(struct config, health_command)},
	{"link",   "timeout",	   KIND_DURATION, offsetof(struct config, link_timeout), 1, 3600},
	{"link",   "bwlimit",	   KIND_SIZE,	  offsetof(struct config, bwlimit)},
	{"link",   "ssh_option",   KIND_SSH,	  offsetof(struct config, ssh_options)},
};
/* clang-format on */

#define BRIDGES "bridges" /* the section whose keys are free */

/* Where the parser stands. */
struct reader {
	struct config *config;
	const char *section; /* of the table; NULL before the first */
	bool seen[ARRAY_SIZE(items)];
};

static int set_string(char **field, const char *value)
{
	free(*field);
	*field = xstrdup(value);
	return 0;
}

static int set_user(char **field, const char *value, struct err *err)
{
	if (strlen(value) > 32 || value[strspn(value, LETTERS "_-")] || value[0] == '-')
		return err_set(err, ERR_INVALID, "\"%.64s\" is not the name of a user", value);
	return set_string(field, value);
}

static int set_port(char **field, const char *value, struct err *err)
{
	uint16_t port;
	int r = num_port(value, &port, err);

	return r < 0 ? r : set_string(field, value);
}

static int set_command(char **field, const char *value, struct err *err)
{
	if (value[0] != '/')
		return err_set(err, ERR_INVALID,
			"\"%.64s\" does not begin with the path of a program in the container",
			value);
	return set_string(field, value);
}

static int set_duration(usec_t *field, const char *value, const struct item *item, struct err *err)
{
	usec_t t;
	int r = num_duration(value, &t, err);

	if (r < 0)
		return r;
	if (t < item->min * USEC_PER_SEC || t > item->max * USEC_PER_SEC)
		return err_set(err, ERR_INVALID, "\"%.64s\" is not between %llus and %llus", value,
			(unsigned long long)item->min, (unsigned long long)item->max);
	*field = t;
	return 0;
}

/* "b 0 200000 65536" */
static int set_idmap(char **field, const char *value, struct err *err)
{
	struct idmap m = {0};
	int r = idmap_add(&m, value, err);

	if (r >= 0 && value[0] != 'b')
		r = err_set(err, ERR_INVALID,
			"\"%.64s\" maps only users or only groups: begin it with b, for both",
			value);
	idmap_done(&m);
	return r < 0 ? r : set_string(field, value);
}

/* "Name=value": the other form, with a blank, would be two words to whoever reads it. */
static int add_ssh_option(char ***field, const char *value, struct err *err)
{
	size_t n = strspn(value, LETTERS);

	if (n == 0 || value[n] != '=' || !value[n + 1])
		return err_set(err, ERR_INVALID,
			"\"%.64s\" is not an option of ssh in the form Name=value", value);
	if (strv_len(*field) >= PAIRS_MAX)
		return err_set(err, ERR_INVALID, "there are over %d options of ssh", PAIRS_MAX);
	strv_push(field, value);
	return 0;
}

static int set_item(struct reader *rd, const struct item *item, const char *value, struct err *err)
{
	void *field = (char *)rd->config + item->offset;
	bool *seen = &rd->seen[item - items];

	if (*seen && item->kind != KIND_SSH)
		return err_set(err, ERR_INVALID, "%s stands here a second time", item->key);
	*seen = true;
	switch (item->kind) {
	case KIND_USER: return set_user(field, value, err);
	case KIND_PORT: return set_port(field, value, err);
	case KIND_COMMAND: return set_command(field, value, err);
	case KIND_DURATION: return set_duration(field, value, item, err);
	case KIND_SIZE: return num_size(value, field, err);
	case KIND_COUNT: return num_u32(value, (uint32_t)item->max, field, err);
	case KIND_IDMAP: return set_idmap(field, value, err);
	case KIND_SSH: return add_ssh_option(field, value, err);
	}
	return err_set(err, ERR_INTERNAL, "%s has no kind", item->key);
}

static bool is_bridge_name(const char *name)
{
	size_t n = strlen(name);

	return n > 0 && n < 16 && strspn(name, LETTERS "_.:-") == n && name[0] != '-' &&
	       !str_eq(name, ".") && !str_eq(name, "..");
}

static int add_bridge(struct reader *rd, const char *from, const char *to, struct err *err)
{
	char ***pairs = &rd->config->bridges;

	if (!is_bridge_name(from) || !is_bridge_name(to))
		return err_set(err, ERR_INVALID, "\"%.64s\" is not the name of a bridge",
			is_bridge_name(from) ? to : from);
	for (size_t i = 0; *pairs && (*pairs)[i]; i += 2)
		if (str_eq((*pairs)[i], from))
			return err_set(err, ERR_INVALID, "%s stands here a second time", from);
	if (strv_len(*pairs) >= 2 * PAIRS_MAX)
		return err_set(err, ERR_INVALID, "there are over %d bridges", PAIRS_MAX);
	strv_push(pairs, from);
	strv_push(pairs, to);
	return 0;
}

/* "a, b, c": the sections, or the keys of one. */
static char *known(const char *section)
{
	struct str s = STR_INIT;
	const char *last = "";

	for (size_t i = 0; i < ARRAY_SIZE(items); i++) {
		const char *word = section ? items[i].key : items[i].section;

		if ((section && !str_eq(section, items[i].section)) || str_eq(word, last))
			continue;
		str_addf(&s, "%s%s", s.len ? ", " : "", word);
		last = word;
	}
	if (!section)
		str_add(&s, ", " BRIDGES);
	return str_take(&s);
}

static int set_key(struct reader *rd, const char *key, const char *value, struct err *err)
{
	_cleanup_free_ char *names = NULL;

	if (!rd->section)
		return err_set(err, ERR_INVALID, "%.64s stands before the first [section]", key);
	if (!*value)
		return err_set(err, ERR_INVALID, "%.64s has no value", key);
	if (strlen(value) > VALUE_MAX)
		return err_set(err, ERR_INVALID, "the value of %.64s is longer than %d bytes", key,
			VALUE_MAX);
	if (str_eq(rd->section, BRIDGES))
		return add_bridge(rd, key, value, err);
	for (size_t i = 0; i < ARRAY_SIZE(items); i++)
		if (str_eq(items[i].section, rd->section) && str_eq(items[i].key, key))
			return set_item(rd, &items[i], value, err);
	names = known(rd->section);
	return err_set(err, ERR_INVALID, "unknown key \"%.64s\" in [%s]: it has %s", key,
		rd->section, names);
}

static int enter_section(struct reader *rd, char *line, struct err *err)
{
	char *name = line + 1, *end = strchr(name, ']');
	_cleanup_free_ char *names = NULL;

	if (!end || end[1])
		return err_set(err, ERR_INVALID, "a section is one name in brackets: [link]");
	*end = '\0';
	name = str_trim(name);
	rd->section = str_eq(name, BRIDGES) ? BRIDGES : NULL;
	for (size_t i = 0; i < ARRAY_SIZE(items) && !rd->section; i++)
		if (str_eq(items[i].section, name))
			rd->section = items[i].section;
	if (rd->section)
		return 0;
	names = known(NULL);
	return err_set(err, ERR_INVALID, "unknown section [%.64s]: there are %s", name, names);
}

static int check_characters(const char *line, struct err *err)
{
	_cleanup_free_ char *shown = str_escape(line, strlen(line));
	size_t tabs = 0;

	for (const char *p = line; *p; p++)
		tabs += *p == '\t';
	/* Each byte that is not printable takes three more. */
	if (strlen(shown) != strlen(line) + 3 * tabs)
		return err_set(err, ERR_INVALID,
			"control characters, or text that is not UTF-8: %.128s", shown);
	return 0;
}

static void cut_comment(char *line)
{
	for (char *p = line; *p; p++)
		if (*p == '#' && (p == line || p[-1] == ' ' || p[-1] == '\t')) {
			*p = '\0';
			return;
		}
}

static int read_line(struct reader *rd, char *line, struct err *err)
{
	char *equals;
	int r = check_characters(line, err);

	if (r < 0)
		return r;
	cut_comment(line);
	line = str_trim(line);
	if (!*line)
		return 0;
	if (*line == '[')
		return enter_section(rd, line, err);
	equals = strchr(line, '=');
	if (!equals)
		return err_set(
			err, ERR_INVALID, "\"%.64s\" is neither key = value nor [section]", line);
	*equals = '\0';
	return set_key(rd, str_trim(line), str_trim(equals + 1), err);
}

static struct config *defaults(void)
{
	struct config *c = xnew(struct config);

	c->receive_user = xstrdup("wherry-receive");
	c->stop_timeout = 60 * USEC_PER_SEC;
	c->health_timeout = 30 * USEC_PER_SEC;
	c->link_timeout = 15 * USEC_PER_SEC;
	c->sync_rounds = 3;
	c->receive_expire = 7 * 86400 * USEC_PER_SEC;
	c->open_per_key = 100;
	return c;
}

int config_parse(const char *text, size_t n, const char *name, struct config **ret, struct err *err)
{
	_cleanup_config_ struct config *c = defaults();
	_cleanup_strv_ char **lines = NULL;
	_cleanup_free_ char *copy = NULL;
	struct reader rd = {.config = c};

	if (n > TEXT_MAX)
		return err_set(err, ERR_INVALID, "%s is longer than %d bytes", name, TEXT_MAX);
	copy = xstrndup(n ? text : "", n);
	if (strlen(copy) != n)
		return err_set(err, ERR_INVALID, "%s is not text: it has NUL bytes", name);
	lines = str_split(copy, "\n", true);
	for (size_t i = 0; lines && lines[i]; i++)
		if (read_line(&rd, lines[i], err) < 0)
			return err_prefix(err, "%s:%zu", name, i + 1);
	*ret = TAKE_PTR(c);
	return 0;
}

int config_load(struct config **ret, struct err *err)
{
	const char *path = getenv("WHERRY_CONFIG");
	_cleanup_free_ char *text = NULL;
	size_t n = 0;
	int r;

	if (!path || !*path)
		path = "/etc/wherry/wherry.conf";
	r = file_read(path, TEXT_MAX, &text, &n, err);
	if (r == -ERR_NOT_FOUND)
		return config_parse("", 0, path, ret, err);
	return r < 0 ? r : config_parse(text, n, path, ret, err);
}

const char *config_bridge(const struct config *c, const char *arriving)
{
	for (size_t i = 0; c->bridges && c->bridges[i]; i += 2)
		if (str_eq(c->bridges[i], arriving))
			return c->bridges[i + 1];
	return arriving;
}

void config_free(struct config *c)
{
	if (!c)
		return;
	free(c->receive_user);
	free(c->idmap);
	strv_free(c->bridges);
	free(c->health_tcp);
	free(c->health_command);
	strv_free(c->ssh_options);
	free(c);
}

void config_freep(struct config **c)
{
	config_free(*c);
}
