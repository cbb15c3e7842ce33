#include "unit.h"

#include "node/address.h"
#include "node/passphrase.h"

static void test_check(void **state)
{
	static const char *const good[] = {
		"192.0.2.1",
		"192.0.2.1,192.0.2.2",
		"10.0.0.0/8",
		"0.0.0.0/0",
		"10.1.*",
		"*",
		"!10.1.2.3,10.1.2.?",
		"2001:db8::1",
		"2001:db8::/32,::1",
		"2001:db8:*",
		"!10.0.0.0/8,*",
	};
	static const char *const bad[] = {
		"",
		",",
		"10.0.0.1,",
		",10.0.0.1",
		"10.0.0.1, 10.0.0.2",
		"host.example.com",
		"*.example.com",
		"10.0.0.1/8",
		"10.0.0.0/33",
		"10.0.0.0/",
		"/8",
		"10.0.0.0/-1",
		"10.0.0.0/8/8",
		"300.1.1.1",
		"10.1.2",
		"2001:db8::1/32",
		"2001:DB8:*",
		"!",
		"!!10.0.0.1",
		"10.0.0.1\"",
		"10.*\",command=\"/bin/sh",
		"10.*\n",
		"[0-9]*",
		"10.\\*",
	};
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_row(address_list_check(good[i], &err) >= 0, good[i]);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_row(address_list_check(bad[i], &err) == -ERR_INVALID, bad[i]);
}

static void test_long_list(void **state)
{
	char list[1100] = "";
	struct err err = ERR_INIT;

	while (strlen(list) < 1020)
		strcat(list, "1.1.1.1,");
	assert_fails(address_list_check(list, &err), ERR_INVALID, &err);
	list[strlen(list) - 1] = '\0';
	assert_ok(address_list_check(list, &err), &err);
	strcat(list, ",1.1.1.1");
	assert_fails(address_list_check(list, &err), ERR_INVALID, &err);
}

static void test_has(void **state)
{
	static const struct {
		const char *list, *address;
		bool has;
	} table[] = {
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.10", false},
		{"192.0.2.1,192.0.2.2", "192.0.2.2", true},
		{"10.0.0.0/8", "10.255.3.4", true},
		{"10.0.0.0/8", "11.0.0.1", false},
		{"10.128.0.0/9", "10.128.0.1", true},
		{"10.128.0.0/9", "10.127.255.255", false},
		{"0.0.0.0/0", "203.0.113.9", true},
		{"0.0.0.0/0", "::1", false},
		{"192.0.2.7/32", "192.0.2.7", true},
		{"192.0.2.7/32", "192.0.2.6", false},
		{"10.1.*", "10.1.2.3", true},
		{"10.1.*", "10.10.2.3", false},
		{"10.1.2.?", "10.1.2.3", true},
		{"10.1.2.?", "10.1.2.33", false},
		{"!10.1.2.3,10.*", "10.1.2.3", false},
		{"10.*,!10.1.2.3", "10.1.2.3", false},
		{"!10.1.2.3,10.*", "10.1.2.4", true},
		{"!10.1.2.3", "10.1.2.4", false},
		{"2001:db8::/32", "2001:db8:1::5", true},
		{"2001:db8::/32", "2001:db9::5", false},
		{"2001:db8::/33", "2001:db8:7fff::", true},
		{"2001:db8::/33", "2001:db8:8000::", false},
		{"2001:db8:*", "2001:DB8:0:0::5", true},
		{"::1", "0:0:0:0:0:0:0:1", true},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"192.0.2.*", "::ffff:192.0.2.1", true},
		{"*", "192.0.2.1", true},
		{"*", "", false},
		{"*", NULL, false},
		{"*", "host.example.com", false},
		{"", "192.0.2.1", false},
		{"not-an-entry", "192.0.2.1", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (address_list_has(table[i].list, table[i].address) != table[i].has)
			fail_msg("%s in %s", table[i].address, table[i].list);
}

static void test_passphrase(void **state)
{
	_cleanup_free_ char *a = NULL, *b = NULL;
	char text[PASSPHRASE_MAX + 2];
	struct err err = ERR_INIT;

	assert_ok(passphrase_digest("open sesame", &a, &err), &err);
	assert_ok(passphrase_digest("open sesame", &b, &err), &err);
	assert_string_not_equal(a, b); /* salted */
	assert_int_equal(strncmp(a, "$y$", 3), 0);
	assert_null(strstr(a, "sesame"));
	assert_true(passphrase_matches(a, "open sesame"));
	assert_true(passphrase_matches(b, "open sesame"));
	assert_false(passphrase_matches(a, "open sesam"));
	assert_false(passphrase_matches(a, "open sesame "));
	assert_false(passphrase_matches(a, ""));
	assert_false(passphrase_matches("damaged", "open sesame"));
	assert_false(passphrase_matches("", ""));

	memset(text, 'p', sizeof(text));
	text[PASSPHRASE_MAX + 1] = '\0';
	assert_false(passphrase_matches(a, text));
	free(a);
	a = NULL;
	assert_fails(passphrase_digest(text, &a, &err), ERR_INVALID, &err);
	assert_fails(passphrase_digest("", &a, &err), ERR_INVALID, &err);
	text[PASSPHRASE_MAX] = '\0';
	assert_ok(passphrase_digest(text, &a, &err), &err);
	assert_true(passphrase_matches(a, text));
	text[PASSPHRASE_MAX - 1] = 'q'; /* the last byte counts */
	assert_false(passphrase_matches(a, text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_long_list),
		cmocka_unit_test(test_has),
		cmocka_unit_test(test_passphrase),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
