/*
 * OpenVZ's tools: what they may answer, and the script that guards a container's start. The tools
 * themselves stand in for in tests/lab/test_vz6.sh.
 */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"
#include "runtime/openvz_guard.h"
#include "runtime/openvz_tool.h"

static void test_status(void **state)
{
	static const struct {
		const char *text;
		bool ok, exists, mounted, running, suspended;
	} rows[] = {
		{"CTID 101 exist mounted running\n", true, true, true, true, false},
		{"VEID 101 exist unmounted down", true, true, false, false, false},
		{"CTID 101 deleted unmounted down\n", true, false, false, false, false},
		{"CTID 101 exist unmounted down suspended\n", true, true, false, false, true},
		{"CTID 101 exist mounted running locked\n", true, true, true, true, false},
		{"CTID 102 exist mounted running\n", false},
		{"CTID 1011 exist mounted running\n", false},
		{"CTID 101 exist mounted perhaps\n", false},
		{"CTID 101 exist mounted\n", false},
		{"CTID 101 exist unmounted running\n", false}, /* can't be */
		{"CTID 101 exist mounted down\nCTID 102 exist mounted running\n", false},
		{"CTID 101 exist mounted down melting\n", false},
		{"exist mounted down", false},
		{"", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct vz_status s;
		struct err err = ERR_INIT;
		int r = vz_status_parse(rows[i].text, "101", &s, &err);

		assert_row((r >= 0) == rows[i].ok, rows[i].text);
		if (r < 0)
			continue;
		assert_row(s.exists == rows[i].exists && s.mounted == rows[i].mounted &&
				   s.running == rows[i].running && s.suspended == rows[i].suspended,
			rows[i].text);
	}
}

static void test_ctid(void **state)
{
	static const char *const bad[] = {
		"", "0", "01", "-1", "1 2", "web", "1;reboot", "2147483648", "--fast"};

	assert_true(vz_ctid_ok("101"));
	assert_true(vz_ctid_ok("2147483647"));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_row(!vz_ctid_ok(bad[i]), bad[i]);
}

static char *read_script(const char *dir, const char *name)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, name);
	struct err err = ERR_INIT;
	char *text = NULL;

	return file_read(path, 65536, &text, NULL, &err) < 0 ? NULL : text;
}

static void test_guard(void **state)
{
	char dir[] = "/tmp/wherry-openvz-XXXXXX";
	_cleanup_free_ char *own = NULL, *guarded = NULL, *again = NULL, *back = NULL,
			    *script = NULL, *before = NULL;
	static const char theirs[] = "#!/bin/sh\nexit 0\n";
	struct err err = ERR_INIT;

	assert_non_null(mkdtemp(dir));
	setenv("WHERRY_VZ_CONF", dir, 1);
	own = xasprintf("%s/101.mount", dir);
	before = xasprintf("%s/101.mount.before-wherry", dir);

	/* None was there, none is after it. */
	assert_int_equal(openvz_guard("101", true, &err), 0);
	guarded = read_script(dir, "101.mount");
	assert_non_null(strstr(guarded, "vz6 may-start 101"));
	assert_true(access(own, X_OK) == 0);
	assert_int_equal(openvz_guard("101", true, &err), 0);
	assert_int_equal(openvz_guard("101", false, &err), 0);
	assert_false(file_exists(own));
	assert_int_equal(openvz_guard("101", false, &err), 0);

	/* One that was there runs after ours, and is there again. */
	assert_int_equal(file_replace(own, theirs, strlen(theirs), 0755, &err), 0);
	assert_int_equal(openvz_guard("101", true, &err), 0);
	again = read_script(dir, "101.mount");
	assert_non_null(strstr(again, "exec '"));
	script = read_script(dir, "101.mount.before-wherry");
	assert_string_equal(script, theirs);
	assert_int_equal(openvz_guard("101", true, &err), 0);
	assert_int_equal(openvz_guard("101", false, &err), 0);
	back = read_script(dir, "101.mount");
	assert_string_equal(back, theirs);
	assert_false(file_exists(before));

	/* Killed between the two steps of putting it up: both names are one file. */
	assert_int_equal(link(own, before), 0);
	assert_int_equal(openvz_guard("101", true, &err), 0);
	assert_int_equal(openvz_guard("101", false, &err), 0);
	assert_int_equal(link(own, before), 0);
	assert_int_equal(openvz_guard("101", false, &err), 0);
	assert_false(file_exists(before));

	/* Two that are not ours: nobody can say which is to run. */
	assert_int_equal(file_replace(before, "other", 5, 0755, &err), 0);
	assert_int_equal(openvz_guard("101", true, &err), -ERR_EXISTS);

	assert_int_equal(unlink(own), 0);
	assert_int_equal(unlink(before), 0);
	assert_int_equal(rmdir(dir), 0);
}

/* Where Virtuozzo 7 looks for it, of a container on a disk. */
static void test_guard_disk(void **state)
{
	char dir[] = "/tmp/wherry-openvz-XXXXXX";
	_cleanup_free_ char *scripts = NULL, *own = NULL, *layout = NULL, *guarded = NULL,
			    *back = NULL;
	static const char theirs[] = "#!/bin/sh\nexit 0\n";
	struct err err = ERR_INIT;

	assert_non_null(mkdtemp(dir));
	scripts = xasprintf("%s/scripts", dir);
	own = xasprintf("%s/mount", scripts);
	layout = xasprintf("%s/.ve.layout", dir);

	/* The older vzctl has no such folder, and has none after it. */
	assert_int_equal(openvz_guard_disk("101", dir, false, &err), 0);
	assert_int_equal(openvz_guard_disk("101", dir, true, &err), 0);
	guarded = read_script(scripts, "mount");
	assert_non_null(strstr(guarded, "vz6 may-start 101"));
	assert_true(access(own, X_OK) == 0);
	assert_int_equal(openvz_guard_disk("101", dir, false, &err), 0);
	assert_false(file_exists(scripts));

	/* The newer one has it, and it stays, as does a script that was there. */
	assert_int_equal(symlink("5", layout), 0);
	assert_int_equal(mkdir(scripts, 0755), 0);
	assert_int_equal(openvz_guard_disk("101", dir, true, &err), 0);
	assert_int_equal(openvz_guard_disk("101", dir, false, &err), 0);
	assert_true(file_exists(scripts));
	assert_int_equal(file_replace(own, theirs, strlen(theirs), 0755, &err), 0);
	assert_int_equal(openvz_guard_disk("101", dir, true, &err), 0);
	assert_int_equal(openvz_guard_disk("101", dir, false, &err), 0);
	back = read_script(scripts, "mount");
	assert_string_equal(back, theirs);

	assert_int_equal(unlink(own), 0);
	assert_int_equal(rmdir(scripts), 0);
	assert_int_equal(unlink(layout), 0);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_ctid),
		cmocka_unit_test(test_guard),
		cmocka_unit_test(test_guard_disk),
	};

	return cmocka_run_group_tests_name("openvz", tests, NULL, NULL);
}
