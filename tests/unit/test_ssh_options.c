#include "unit.h"

#include "base/str.h"
#include "link/ssh_options.h"

/* What becomes of it: "user port accept options...". */
static char *said(const char *text)
{
	struct ssh_options o = {0};
	struct err err = ERR_INIT;
	_cleanup_free_ char *list = NULL;
	char *s;

	if (ssh_options_parse(text, &o, &err) < 0)
		return xasprintf("refused: %s", err.text);
	list = o.options ? str_join(o.options, " ") : xstrdup("");
	s = xasprintf("%s %u %d %s", o.user ? o.user : "-", o.port, o.accept_new, list);
	ssh_options_done(&o);
	return s;
}

static void test_taken(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{"", "- 0 0 "},
		{"-p 2222", "- 2222 0 "},
		{"-p2222 -C", "- 2222 0 Compression=yes"},
		{"-o Port=22 -oCompression=no", "- 22 0 Compression=no"},
		{"-o BatchMode=yes", "- 0 0 "},
		{"-qvC4", "- 0 0 Compression=yes AddressFamily=inet"},
		{"-c aes128-gcm@openssh.com -l vz", "vz 0 0 Ciphers=aes128-gcm@openssh.com"},
		{"-o StrictHostKeyChecking=no", "- 0 1 "},
		{"-o stricthostkeychecking=yes", "- 0 0 "},
		{"-J root@gate:22,[::1]:22", "- 0 0 ProxyJump=root@gate:22,[::1]:22"},
		{"-o ciphers=+aes128-cbc", "- 0 0 ciphers=+aes128-cbc"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *got = said(rows[i].text);

		assert_row(str_eq(got, rows[i].want), got);
	}
}

static void test_refused(void **state)
{
	static const char *const rows[] = {
		"-o ProxyCommand=id",
		"-oProxyCommand=id",
		"-o proxycommand=id",
		"-o LocalCommand=id",
		"-o PermitLocalCommand=yes",
		"-o KnownHostsCommand=id",
		"-o RemoteCommand=id",
		"-o Match=exec",
		"-o Include=/tmp/x",
		"-o IdentityAgent=/tmp/x",
		"-o PKCS11Provider=/tmp/x",
		"-o SecurityKeyProvider=/tmp/x",
		"-o XAuthLocation=/tmp/x",
		"-o SendEnv=X",
		"-F /tmp/x",
		"-i /tmp/key",
		"-I /tmp/x.so",
		"-L 1:b:2",
		"-R1:b:2",
		"-D 1",
		"-w 0",
		"-W b:1",
		"-A",
		"-X",
		"-f",
		"-S /tmp/x",
		"-M",
		"-qA",
		"-E /tmp/log",
		"b",
		"--",
		"-",
		"-o",
		"-p",
		"-p 0",
		"-p 65536",
		"-p x",
		"-o Compression",
		"-o Compression=",
		"-o HostName=$(id)",
		"-o HostName=%h",
		"-o HostName=`id`",
		"-o HostName=-x",
		"-o HostName=a;b",
		"-o HostName=a\nProxyCommand=id",
		"-J -oProxyCommand=id",
		"-J root@-oProxyCommand=id",
		"-J b,",
		"-l -x",
		"-o StrictHostKeyChecking=maybe",
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *got = said(rows[i]);

		assert_row(str_starts(got, "refused: --ssh"), rows[i]);
	}
}

/* What was kept in a record, and may have been written by hand. */
static void test_kept(void **state)
{
	assert_true(ssh_option_ok("Compression=yes"));
	assert_true(ssh_option_ok("ProxyJump=gate"));
	assert_false(ssh_option_ok("ProxyCommand=id"));
	assert_false(ssh_option_ok("Port=22")); /* the record has a field for it */
	assert_false(ssh_option_ok("Compression"));
	assert_false(ssh_option_ok("ProxyJump=-x"));
	assert_false(ssh_option_ok(""));
}

static void test_too_many(void **state)
{
	_cleanup_(str_done) struct str s = STR_INIT;
	_cleanup_free_ char *got = NULL;

	for (int i = 0; i < 40; i++)
		str_add(&s, "-C ");
	got = said(s.buf);
	assert_true(str_starts(got, "refused: --ssh has too many"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_taken),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_kept),
		cmocka_unit_test(test_too_many),
	};

	return cmocka_run_group_tests_name("ssh_options", tests, NULL, NULL);
}
