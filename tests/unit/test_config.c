/* For its table of keys. */
#include "node/config.c"

#include "unit.h"

static struct config *parse(const char *text)
{
	struct err err = ERR_INIT;
	struct config *c = NULL;

	assert_ok(config_parse(text, strlen(text), "w.conf", &c, &err), &err);
	return c;
}

static void test_defaults(void **state)
{
	static const char *const empty[] = {
		"", "\n", "# x\n", "  \t\n#\n\n", "[link]\n", "[node] # nothing\n[stop]"};

	for (size_t i = 0; i < ARRAY_SIZE(empty); i++) {
		_cleanup_config_ struct config *c = parse(empty[i]);

		assert_string_equal(c->receive_user, "wherry-receive");
		assert_int_equal(c->stop_timeout, 60 * USEC_PER_SEC);
		assert_int_equal(c->health_timeout, 30 * USEC_PER_SEC);
		assert_int_equal(c->link_timeout, 15 * USEC_PER_SEC);
		assert_int_equal(c->bwlimit, 0);
		assert_int_equal(c->sync_rounds, 3);
		assert_null(c->health_tcp);
		assert_null(c->health_command);
		assert_null(c->bridges);
		assert_null(c->ssh_options);
		assert_string_equal(config_bridge(c, "br0"), "br0");
	}
}

static void test_all(void **state)
{
	_cleanup_config_ struct config *c = parse("# Wherry\n"
						  "[node]\n"
						  "receive_user = osctl-ct-receive\t# document 1\n"
						  "[bridges]\n"
						  "br0 = lxcbr0\n"
						  "  vmbr1=br1  # the other\n"
						  "[receive]\n"
						  "idmap = b 0 200000 65536\n"
						  "[ send ]\n"
						  "sync_rounds=0\n"
						  "[stop]\n"
						  "timeout = 2m\n"
						  "[health]\n"
						  "timeout = 90\n"
						  "tcp = 80\n"
						  "command = /bin/sh -c test#1\n"
						  "[link]\n"
						  "timeout = 5s\n"
						  "bwlimit = 1.5M\n"
						  "ssh_option = ProxyJump=gate\n"
						  "ssh_option = Ciphers=a,b\n"
						  "[node]");

	assert_string_equal(c->receive_user, "osctl-ct-receive");
	assert_string_equal(config_bridge(c, "br0"), "lxcbr0");
	assert_string_equal(config_bridge(c, "vmbr1"), "br1");
	assert_string_equal(config_bridge(c, "lxcbr0"), "lxcbr0");
	assert_string_equal(c->idmap, "b 0 200000 65536");
	assert_int_equal(c->sync_rounds, 0);
	assert_int_equal(c->stop_timeout, 120 * USEC_PER_SEC);
	assert_int_equal(c->health_timeout, 90 * USEC_PER_SEC);
	assert_string_equal(c->health_tcp, "80");
	assert_string_equal(c->health_command, "/bin/sh -c test#1");
	assert_int_equal(c->link_timeout, 5 * USEC_PER_SEC);
	assert_int_equal(c->bwlimit, 3 << 19);
	assert_int_equal(strv_len(c->ssh_options), 2);
	assert_string_equal(c->ssh_options[0], "ProxyJump=gate");
	assert_string_equal(c->ssh_options[1], "Ciphers=a,b");
}

static void test_errors(void **state)
{
	static const struct {
		const char *text, *says;
	} table[] = {
		{"timeout = 1", "w.conf:1: timeout stands before"},
		{"[nod]", "w.conf:1: unknown section [nod]: there are node, receive, send, stop, "
			  "health, "
			  "link"},
		{"\n[node", "w.conf:2: a section"},
		{"[node] x", "a section"},
		{"[link]\nbandwidth = 1", "w.conf:2: unknown key \"bandwidth\" in [link]"},
		{"[link]\nbandwidth = 1", "timeout, bwlimit, ssh_option"},
		{"[link]\n\n\nTimeout = 1", "w.conf:4: unknown key"},
		{"[link]\ntimeout", "neither"},
		{"[link]\ntimeout =", "no value"},
		{"[link]\ntimeout = # 5", "no value"},
		{"[link]\ntimeout = 5 s", "duration"},
		{"[link]\ntimeout = 0", "between"},
		{"[link]\ntimeout = 2h", "between 1s and 3600s"},
		{"[link]\ntimeout = 1\ntimeout = 2", "w.conf:3: timeout stands here a second time"},
		{"[link]\ntimeout = 1\n[stop]\n[link]\ntimeout = 1", "w.conf:5: timeout stands"},
		{"[link]\nbwlimit = -1", "size"},
		{"[link]\nssh_option = -oProxyCommand=x", "ssh"},
		{"[link]\nssh_option = ProxyJump gate", "ssh"},
		{"[link]\nssh_option = ProxyJump=", "ssh"},
		{"[health]\ntcp = 0", "port"},
		{"[health]\ntcp = 80,443", "port"},
		{"[health]\ncommand = true", "begin with the path"},
		{"[receive]\nidmap = b 0 200000", "w.conf:2"},
		{"[receive]\nidmap = u 0 200000 65536", "only users"},
		{"[receive]\nidmap = b 0 4294967290 65536", "w.conf:2"},
		{"[send]\nsync_rounds = 101", "0 to 100"},
		{"[send]\nsync_rounds = many", "number"},
		{"[node]\nreceive_user = -root", "user"},
		{"[node]\nreceive_user = a b", "user"},
		{"[bridges]\nbr0 = sixteen-letters-", "bridge"},
		{"[bridges]\nbr/0 = br1", "bridge"},
		{"[bridges]\nbr0 = a\nbr0 = b", "w.conf:3: br0 stands here a second time"},
		{"[bridges]\n= a", "bridge"},
		{"[health]\ncommand = /bin/true\a", "control"},
		{"[link]\r\n", "control"},
		{"[health]\ncommand = /bin/\xff", "control"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		const char *text = table[i].text;
		struct err err = ERR_INIT;
		struct config *c = NULL;

		if (config_parse(text, strlen(text), "w.conf", &c, &err) != -ERR_INVALID)
			fail_msg("accepted: %s", text);
		assert_null(c);
		if (!strstr(err.text, table[i].says))
			fail_msg("%s: %s", text, err.text);
	}
}

static void test_bounds(void **state)
{
	struct err err = ERR_INIT;
	struct config *c = NULL;
	struct str s = STR_INIT;

	assert_fails(config_parse("[link]\0", 7, "w", &c, &err), ERR_INVALID, &err);
	str_add(&s, "[health]\ncommand = /");
	for (int i = 0; i < 1024; i++)
		str_addc(&s, 'x');
	assert_fails(config_parse(s.buf, s.len, "w", &c, &err), ERR_INVALID, &err);
	while (s.len <= 65536)
		str_addc(&s, '\n');
	assert_fails(config_parse(s.buf, s.len, "w", &c, &err), ERR_INVALID, &err);
	str_done(&s);
}

static void test_load(void **state)
{
	_cleanup_tmp_ char *tmp = unit_tmp();
	_cleanup_free_ char *path = xasprintf("%s/wherry.conf", tmp);
	_cleanup_config_ struct config *c = NULL;
	struct err err = ERR_INIT;

	setenv("WHERRY_CONFIG", path, 1);
	assert_ok(config_load(&c, &err), &err); /* none */
	assert_int_equal(c->sync_rounds, 3);
	config_free(c);
	c = NULL;
	assert_ok(file_replace(path, "[send]\nsync_rounds = 7\n", 23, 0644, &err), &err);
	assert_ok(config_load(&c, &err), &err);
	assert_int_equal(c->sync_rounds, 7);
	config_free(c);
	c = NULL;
	assert_ok(file_replace(path, "[send]\nsync = 7\n", 16, 0644, &err), &err);
	assert_int_equal(config_load(&c, &err), -ERR_INVALID);
	assert_has(err.text, path);
	assert_has(err.text, ":2:");
	unlink(path);
	assert_int_equal(symlink(tmp, path), 0); /* there, but not readable as a file */
	assert_true(config_load(&c, &err) < 0);
	unsetenv("WHERRY_CONFIG");
}

static char **source_lines(const char *name)
{
	const char *root = getenv("SOURCE_ROOT");
	_cleanup_free_ char *path = xasprintf("%s/%s", root ? root : "..", name), *text = NULL;
	struct err err = ERR_INIT;

	assert_ok(file_read(path, 1 << 20, &text, NULL, &err), &err);
	return str_split(text, "\n", true);
}

/* A key's line begins with `before`, the key and `after`, below the section's heading. */
static void must_have(
	char **lines, const char *heading, const char *before, const char *key, const char *after)
{
	_cleanup_free_ char *begin = xasprintf("%s%s%s", before, key, after);
	bool inside = false;

	for (; *lines; lines++) {
		if (inside && str_starts(*lines, begin))
			return;
		if (str_starts(*lines, "[") || (heading[0] == '#' && str_starts(*lines, "# ")))
			inside = str_eq(*lines, heading);
	}
	fail_msg("%s is not below %s", begin, heading);
}

static void test_manual_has_all(void **state)
{
	_cleanup_strv_ char **page = source_lines("docs/man/wherry.conf.5.scd");
	_cleanup_strv_ char **sample = source_lines("data/wherry.conf");

	for (size_t i = 0; i < ARRAY_SIZE(items); i++) {
		_cleanup_free_ char *section = xasprintf("[%s]", items[i].section);
		_cleanup_free_ char *title = xasprintf("# %s", section);

		must_have(page, title, "*", items[i].key, "* = ");
		must_have(sample, section, "#", items[i].key, " = ");
	}
}

/* The sample is all comments: what they show is right, and where there is a default, it is that. */
static void test_sample(void **state)
{
	_cleanup_strv_ char **lines = source_lines("data/wherry.conf");
	_cleanup_config_ struct config *usual = parse(""), *c = NULL, *shown = NULL;
	_cleanup_free_ char *text = str_join(lines, "\n"), *uncommented = NULL;

	c = parse(text);
	assert_null(c->bridges);
	assert_null(c->health_tcp);
	for (size_t i = 0; lines[i]; i++)
		if (lines[i][0] == '#' && lines[i][1] != ' ')
			memmove(lines[i], lines[i] + 1, strlen(lines[i]));
	uncommented = str_join(lines, "\n");
	shown = parse(uncommented);
	assert_string_equal(shown->receive_user, usual->receive_user);
	assert_int_equal(shown->sync_rounds, usual->sync_rounds);
	assert_int_equal(shown->stop_timeout, usual->stop_timeout);
	assert_int_equal(shown->health_timeout, usual->health_timeout);
	assert_int_equal(shown->link_timeout, usual->link_timeout);
	assert_int_equal(shown->bwlimit, usual->bwlimit);
	assert_non_null(shown->bridges);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_all),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_load),
		cmocka_unit_test(test_manual_has_all),
		cmocka_unit_test(test_sample),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
