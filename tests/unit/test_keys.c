#include "node.h"

#include <sys/stat.h>

#include "base/file.h"
#include "base/proc.h"
#include "base/str.h"
#include "node/keys.h"

#define K1                                                                                         \
	"ssh-ed25519 "                                                                             \
	"AAAAC3NzaC1lZDI1NTE5AAAAIHFPmeYIokAZ80Y673RlRTtYCPdSDaV4CmwRbuLTP1ix"
#define K2                                                                                         \
	"sk-ssh-ed25519@openssh.com "                                                              \
	"AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f" \
	"AAAABHNzaDo="
#define K3                                                                                         \
	"ecdsa-sha2-nistp256 "                                                                     \
	"AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBOpUMpmIakWRHVqMMjdUmdApWXwnzxp+"     \
	"MM5Fv2r6el9+oAuECz8kzS1c4r+rCG760aNidiF0TkbQ76AiZuKn7hA="

static char *read_text(const char *path)
{
	struct err err = ERR_INIT;
	char *text = NULL;

	assert_ok(file_read(path, 65536, &text, NULL, &err), &err);
	return text;
}

static char *authorized_keys(void)
{
	_cleanup_free_ char *path = xasprintf("%s/send-receive/authorized_keys", node_tmp);

	return read_text(path);
}

static int add(struct state *s, const char *line, const struct auth_key *with,
	const char *passphrase, char **ret_name, struct err *err)
{
	return auth_key_add(s, line, strlen(line), with, passphrase, ret_name, err);
}

/* Adds and returns the name, which the test frees. */
static char *must_add(struct state *s, const char *line, const struct auth_key *with)
{
	struct err err = ERR_INIT;
	char *name = NULL;

	assert_ok(add(s, line, with, NULL, &name, &err), &err);
	return name;
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void test_send_key(void **state)
{
	static const struct {
		const char *type;
		unsigned bits;
		const char *begins;
	} table[] = {
		{NULL, 0, "ssh-ed25519 "},
		{"ed25519", 256, "ssh-ed25519 "},
		{"ecdsa", 0, "ecdsa-sha2-nistp521 "},
		{"ecdsa", 384, "ecdsa-sha2-nistp384 "},
		{"rsa", 2048, "ssh-rsa "},
	};
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		_cleanup_free_ char *public = NULL, *private = NULL, *name = NULL;
		_cleanup_state_ struct state *s = node_open();
		struct auth_key k = {0};

		assert_ok(send_key_gen(table[i].type, table[i].bits, i > 0, &err), &err);
		public = read_text(send_key_path(true));
		private = read_text(send_key_path(false));
		assert_int_equal(strncmp(public, table[i].begins, strlen(table[i].begins)), 0);
		assert_has(public, " wherry@");
		assert_has(private, "PRIVATE KEY");
		assert_int_equal(mode_of(send_key_path(false)), 0600);
		/* What one node makes, another accepts. */
		assert_ok(add(s, public, NULL, NULL, &name, &err), &err);
		assert_int_equal(strncmp(name, "wherry@", 7), 0);
		assert_ok(auth_key_get(s, name, &k, &err), &err);
		str_trim(public);
		assert_string_equal(k.pubkey, public);
		auth_key_done(&k);
	}
}

static void test_send_key_pair_fits(void **state)
{
	const char *argv[] = {"ssh-keygen", "-y", "-f", NULL, NULL};
	_cleanup_free_ char *derived = NULL, *public = NULL;
	struct err err = ERR_INIT;

	assert_ok(send_key_gen("ed25519", 0, false, &err), &err);
	assert_ok(send_key_gen("ed25519", 0, true, &err), &err);
	argv[3] = send_key_path(false);
	assert_ok(proc_capture(argv, 65536, &derived, &err), &err);
	public = read_text(send_key_path(true));
	assert_int_equal(strncmp(public, derived, strlen("ssh-ed25519 ") + 68), 0);
}

static void test_send_key_refusals(void **state)
{
	_cleanup_free_ char *before = NULL, *after = NULL;
	struct err err = ERR_INIT;

	assert_fails(send_key_gen("dsa", 0, false, &err), ERR_INVALID, &err);
	assert_fails(send_key_gen("rsa", 1024, false, &err), ERR_INVALID, &err);
	assert_fails(send_key_gen("ecdsa", 400, false, &err), ERR_INVALID, &err);
	assert_fails(send_key_gen("ed25519", 512, false, &err), ERR_INVALID, &err);
	assert_false(file_exists(send_key_path(false)));

	assert_ok(send_key_gen("ed25519", 0, false, &err), &err);
	before = read_text(send_key_path(false));
	assert_fails(send_key_gen("ed25519", 0, false, &err), ERR_EXISTS, &err);
	after = read_text(send_key_path(false));
	assert_string_equal(before, after);
	assert_int_equal(unlink(send_key_path(false)), 0);
	assert_fails(send_key_gen("ed25519", 0, false, &err), ERR_EXISTS, &err); /* half a pair */
}

static void test_names(void **state)
{
	static const struct {
		const char *line, *name;
	} table[] = {
		{K1 " root@web1", "root@web1"},
		{K2 " root@web1", "root@web1-2"},
		{K3 " root@web1", "root@web1-3"},
	};
	static const struct {
		const char *line, *name;
	} odd[] = {
		{K1, "key"},
		{K1 " my key; $(rm -rf /) 'x'", "my_key____rm_-rf_____x_"},
		{K1 " --help", "help"},
		{K1 " J\xc3\xb6rg", "J__rg"},
		{K1 " 0123456789012345678901234567890123456789012345678901234567890123456789",
			"0123456789012345678901234567890123456789012345678901234567"},
	};
	_cleanup_state_ struct state *s = node_open();
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		_cleanup_free_ char *name = must_add(s, table[i].line, NULL);

		assert_string_equal(name, table[i].name);
	}
	assert_ok(auth_key_del(s, "root@web1", &err), &err);
	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		_cleanup_free_ char *name = must_add(s, odd[i].line, NULL);

		assert_string_equal(name, odd[i].name);
		assert_ok(auth_key_del(s, name, &err), &err);
	}
}

static void test_add_refusals(void **state)
{
	static const struct auth_key bad[] = {
		{.name = "-x"},
		{.name = "a b"},
		{.name = "a\"b"},
		{.name = "a/b"},
		{.ctid = (char *)"web;"},
		{.ctid = (char *)""},
		{.from = (char *)"10.0.0.1\""},
		{.from = (char *)"example.com"},
		{.pool = (char *)"../x"},
	};
	_cleanup_state_ struct state *s = node_open();
	_cleanup_free_ char *first = must_add(s, K1 " a", NULL), *file = NULL, *none = NULL;
	struct auth_key with = {.name = "a"};
	struct auth_key_vec list = {0};
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (add(s, K2, &bad[i], NULL, &none, &err) != -ERR_INVALID)
			fail_msg("row %zu was accepted", i);
	assert_string_equal(first, "a");
	assert_fails(add(s, K2, &with, NULL, &none, &err), ERR_EXISTS, &err);	  /* the name */
	assert_fails(add(s, K1 " b", NULL, NULL, &none, &err), ERR_EXISTS, &err); /* the key */
	assert_fails(add(s, K2, NULL, "", &none, &err), ERR_INVALID, &err);
	assert_null(none);
	assert_ok(auth_key_list(s, &list, &err), &err);
	assert_int_equal(list.n, 1);
	auth_key_vec_free(&list);
	file = authorized_keys();
	assert_null(strstr(file, "sk-"));
}

static void test_file(void **state)
{
	_cleanup_free_ char *path = xasprintf("%s/send-receive/authorized_keys", node_tmp);
	_cleanup_free_ char *folder = xasprintf("%s/send-receive", node_tmp);
	_cleanup_free_ char *a = NULL, *b = NULL, *text = NULL, *shown = NULL, *after = NULL;
	_cleanup_state_ struct state *s = node_open();
	struct auth_key with = {.name = "beta", .from = (char *)"10.*,!10.0.0.0/30"};
	const char *argv[] = {"ssh-keygen", "-lf", path, NULL};
	struct err err = ERR_INIT;

	assert_int_equal(chmod(node_tmp, 0700), 0);
	a = must_add(s, K1 " root@a b", NULL);
	b = must_add(s, K2, &with);
	text = authorized_keys();
	assert_has(text, "\ncommand=\"" WHERRY_LIBDIR "/wherry-receive root@a_b\",restrict " K1
			 " root@a b\n");
	assert_has(text, "\nfrom=\"10.*,!10.0.0.0/30\",command=\"" WHERRY_LIBDIR
			 "/wherry-receive beta\",restrict " K2 "\n");
	assert_int_equal(mode_of(path), 0644);
	assert_int_equal(mode_of(folder), 0711);
	assert_int_equal(mode_of(node_tmp), 0711); /* passable again */
	assert_ok(proc_capture(argv, 65536, &shown, &err), &err);
	assert_has(shown, "root@a b (ED25519)");
	assert_has(shown, "(ED25519-SK)");

	assert_ok(auth_key_del(s, "root@a_b", &err), &err);
	after = authorized_keys();
	assert_null(strstr(after, "root@a"));
	assert_has(after, K2);
}

static void test_get_list_del(void **state)
{
	_cleanup_state_ struct state *s = node_open();
	_cleanup_free_ char *a = NULL, *b = NULL;
	struct auth_key with = {.name = "z1",
		.ctid = (char *)"web*",
		.from = (char *)"192.0.2.0/24",
		.pool = (char *)"fast",
		.single_use = true,
		.allow_refused = true};
	struct auth_key_vec list = {0};
	struct auth_key k = {0};
	struct err err = ERR_INIT;

	assert_ok(add(s, K1 " note", &with, "secret", &a, &err), &err);
	b = must_add(s, K2 " b", NULL);
	assert_ok(auth_key_get(s, "z1", &k, &err), &err);
	assert_string_equal(k.name, "z1");
	assert_string_equal(k.pubkey, K1 " note");
	assert_string_equal(k.ctid, "web*");
	assert_string_equal(k.from, "192.0.2.0/24");
	assert_string_equal(k.pool, "fast");
	assert_true(k.single_use && k.allow_refused && !k.in_use);
	assert_true(k.added > 0);
	assert_null(strstr(k.passphrase, "secret"));
	auth_key_done(&k);

	assert_ok(auth_key_list(s, &list, &err), &err);
	assert_int_equal(list.n, 2);
	assert_string_equal(list.v[0].name, "b");
	assert_null(list.v[0].ctid);
	assert_null(list.v[0].passphrase);
	assert_false(list.v[0].single_use);
	assert_string_equal(list.v[1].name, "z1");
	auth_key_vec_free(&list);

	assert_ok(auth_key_del(s, "z1", &err), &err);
	assert_fails(auth_key_del(s, "z1", &err), ERR_NOT_FOUND, &err);
	assert_fails(auth_key_get(s, "z1", &k, &err), ERR_NOT_FOUND, &err);
	assert_fails(auth_key_set_in_use(s, "z1", true, &err), ERR_NOT_FOUND, &err);
	assert_ok(auth_key_set_in_use(s, "z1", false, &err), &err);
}

static void test_allows(void **state)
{
	static const struct {
		struct auth_key k;
		const char *ct, *address, *passphrase, *pool, *says; /* says NULL: allowed */
	} table[] = {
		{{.name = "k"}, "web", "192.0.2.1", NULL, "default", NULL},
		{{.name = "k"}, "web", NULL, "given for nothing", "default", NULL},
		{{.ctid = (char *)"web*"}, "web1", NULL, NULL, "p", NULL},
		{{.ctid = (char *)"web*"}, "db", NULL, NULL, "p", "named db"},
		{{.ctid = (char *)"web?"}, "web", NULL, NULL, "p", "named web"},
		{{.ctid = (char *)"w[ab]"}, "wb", NULL, NULL, "p", NULL},
		{{.ctid = (char *)"web"}, "web1", NULL, NULL, "p", "named web1"},
		{{.from = (char *)"10.*"}, "web", "10.1.1.1", NULL, "p", NULL},
		{{.from = (char *)"10.*"}, "web", "11.1.1.1", NULL, "p", "from 11.1.1.1"},
		{{.from = (char *)"10.*"}, "web", NULL, NULL, "p", "unknown address"},
		{{.from = (char *)"10.*"}, "web", "", NULL, "p", "not be used"},
		{{.pool = (char *)"fast"}, "web", NULL, NULL, "fast", NULL},
		{{.pool = (char *)"fast"}, "web", NULL, NULL, "slow", "pool fast"},
		{{.pool = (char *)"fast"}, "web", NULL, NULL, NULL, "pool fast"},
		{{.single_use = true}, "web", NULL, NULL, "p", NULL},
		{{.in_use = true}, "web", NULL, NULL, "p", NULL},
		{{.single_use = true, .in_use = true}, "web", NULL, NULL, "p", "single send"},
	};
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		int r = auth_key_allows(&table[i].k, table[i].ct, table[i].address,
			table[i].passphrase, table[i].pool, &err);

		if (r != (table[i].says ? -ERR_DENIED : 0))
			fail_msg("row %zu: %d %s", i, r, err.text);
		if (table[i].says)
			assert_has(err.text, table[i].says);
	}
}

static void test_allows_passphrase(void **state)
{
	_cleanup_state_ struct state *s = node_open();
	_cleanup_free_ char *name = NULL;
	struct auth_key k = {0};
	struct err err = ERR_INIT;

	assert_ok(add(s, K1 " a", NULL, "open sesame", &name, &err), &err);
	assert_ok(auth_key_get(s, "a", &k, &err), &err);
	assert_ok(auth_key_allows(&k, "web", NULL, "open sesame", "p", &err), &err);
	assert_fails(auth_key_allows(&k, "web", NULL, "open", "p", &err), ERR_DENIED, &err);
	assert_fails(auth_key_allows(&k, "web", NULL, "", "p", &err), ERR_DENIED, &err);
	assert_fails(auth_key_allows(&k, "web", NULL, NULL, "p", &err), ERR_DENIED, &err);
	auth_key_done(&k);
}

static void test_single_use(void **state)
{
	_cleanup_state_ struct state *s = node_open();
	struct auth_key with = {.name = "once", .single_use = true}, k = {0};
	_cleanup_free_ char *once = must_add(s, K1, &with), *many = must_add(s, K2 " many", NULL);
	struct err err = ERR_INIT;

	assert_ok(auth_key_set_in_use(s, once, true, &err), &err);
	assert_fails(auth_key_set_in_use(s, once, true, &err), ERR_DENIED, &err);
	assert_ok(auth_key_get(s, once, &k, &err), &err);
	assert_true(k.in_use);
	auth_key_done(&k);
	assert_ok(auth_key_set_in_use(s, once, false, &err), &err);
	assert_ok(auth_key_set_in_use(s, once, true, &err), &err);
	assert_ok(auth_key_set_in_use(s, many, true, &err), &err);
	assert_ok(auth_key_set_in_use(s, many, true, &err), &err);
}

/* A list that can't be written is no change at all. */
static void test_all_or_nothing(void **state)
{
	_cleanup_free_ char *folder = xasprintf("%s/send-receive", node_tmp), *name = NULL;
	_cleanup_state_ struct state *s = node_open();
	struct auth_key_vec list = {0};
	struct err err = ERR_INIT;

	assert_ok(file_replace(folder, "", 0, 0600, &err), &err); /* in the way */
	assert_true(add(s, K1 " a", NULL, NULL, &name, &err) < 0);
	assert_null(name);
	err_clear(&err);
	assert_ok(auth_key_list(s, &list, &err), &err);
	assert_int_equal(list.n, 0);
	auth_key_vec_free(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		node_test(test_send_key),
		node_test(test_send_key_pair_fits),
		node_test(test_send_key_refusals),
		node_test(test_names),
		node_test(test_add_refusals),
		node_test(test_file),
		node_test(test_get_list_del),
		node_test(test_allows),
		node_test(test_allows_passphrase),
		node_test(test_single_use),
		node_test(test_all_or_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
