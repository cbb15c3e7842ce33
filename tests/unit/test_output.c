#include "unit.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "cli/bar.h"
#include "cli/output.h"

/* What fn prints on standard output. */
static char *printed;

#define capture(statement)                                                                         \
	do {                                                                                       \
		FILE *file_ = tmpfile();                                                           \
		int saved_ = dup(STDOUT_FILENO);                                                   \
		fflush(stdout);                                                                    \
		dup2(fileno(file_), STDOUT_FILENO);                                                \
		statement;                                                                         \
		fflush(stdout);                                                                    \
		dup2(saved_, STDOUT_FILENO);                                                       \
		close(saved_);                                                                     \
		keep(file_);                                                                       \
	} while (0)

static void keep(FILE *f)
{
	size_t n;

	free(printed);
	printed = xcalloc(1, 65536);
	rewind(f);
	n = fread(printed, 1, 65535, f);
	printed[n] = '\0';
	fclose(f);
}

static json_t *json(const char *text)
{
	struct err err = ERR_INIT;
	json_t *v = NULL;

	assert_ok(json_parse(text, strlen(text), 65536, &v, &err), &err);
	return v;
}

static void test_values(void **state)
{
	static const struct {
		const char *field, *value, *want;
	} rows[] = {
		{"bytes", "13107200", "12.5 MiB"},
		{"free", "0", "0 B"},
		{"rate", "1048576", "1.0 MiB/s"},
		{"stop_ms", "1500", "1.5 s"},
		{"started", "1767225600", "2026-01-01 00:00:00"},
		{"job", "17", "17"},
		{"anything", "17", "17"},
		{"clone", "true", "yes"},
		{"clone", "false", "no"},
		{"peer", "null", "-"},
		{"peer", "\"\"", "-"},
		{"peer", "\"b\"", "b"},
		/* neither lines nor the terminal are a container's to command */
		{"name", "\"a\\u001b[2Jb\\nc\"", "a\\x1b[2Jb\\x0ac"},
	};

	setenv("TZ", "UTC", 1);
	tzset();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		json_t *v = json_loads(rows[i].value, JSON_DECODE_ANY, NULL);
		_cleanup_free_ char *text = output_value(rows[i].field, v);

		if (strcmp(text, rows[i].want) != 0)
			fail_msg("%s = %s: \"%s\"", rows[i].field, rows[i].value, text);
		json_decref(v);
	}
}

static void test_table(void **state)
{
	static const char *const columns[] = {"name", "state", "send?", "peer?", NULL};
	struct cli cli = {.program = "wherry"};
	_cleanup_json_ json_t *rows = json(
		"[{\"name\":\"web\",\"state\":\"running\",\"send\":\"base\",\"peer\":\"\"},"
		"{\"name\":\"a long name\",\"state\":\"stopped\"}]");
	_cleanup_json_ json_t *none = json("[]");

	capture(output_table(&cli, rows, columns));
	assert_string_equal(printed, "NAME        STATE   SEND\n"
				     "web         running base\n"
				     "a long name stopped -\n");
	capture(output_table(&cli, none, columns));
	assert_string_equal(printed, "");
}

static void test_record(void **state)
{
	struct cli cli = {.program = "wherry"};
	_cleanup_json_ json_t *o = json(
		"{\"name\":\"web\",\"stop_ms\":900,\"limits\":{\"memory\":1},"
		"\"volumes\":[{\"name\":\"rootfs\",\"bytes\":2048,\"peer\":null,"
		"\"snapshots\":[{\"name\":\"s1\"},{\"name\":\"s2\"}],\"x\":[]}],"
		"\"snapshots\":[],\"words\":[\"a\",\"b\"]}");

	capture(output_record(&cli, o));
	assert_string_equal(printed, "Name: web\n"
				     "Stop: 900 ms\n"
				     "Limits:\n"
				     "  Memory: 1\n"
				     "Volumes:\n"
				     "  rootfs, bytes 2.0 KiB, snapshots s1 s2\n"
				     "Words:\n"
				     "  a\n"
				     "  b\n");
}

static const struct progress_event half = {.phase = "rootfs",
	.done = 512 << 20,
	.total = 1024 << 20,
	.items = 10,
	.rate = 64 << 20,
	.elapsed = 8 * USEC_PER_SEC,
	.eta = 8 * USEC_PER_SEC};

static void test_bar(void **state)
{
	_cleanup_free_ char *text = bar_text(&half, 200), *cut = bar_text(&half, 30);
	struct progress_event end = half;
	_cleanup_free_ char *summary = NULL;

	assert_string_equal(text, "rootfs      [############------------]  50%"
				  "  512.0 MiB of 1.0 GiB  64.0 MiB/s  ETA 8.0 s");
	assert_int_equal(strlen(cut), 30);
	end.done = end.total;
	summary = bar_summary(&end);
	assert_string_equal(summary, "rootfs      1.0 GiB, 10 files, 8.0 s (128.0 MiB/s)");
}

static void test_bar_knows_little(void **state)
{
	const struct progress_event ev = {
		.phase = "stop", .elapsed = 700 * USEC_PER_MSEC, .eta = CLOCK_NEVER};
	_cleanup_free_ char *text = bar_text(&ev, 80), *summary = bar_summary(&ev);

	assert_string_equal(text, "stop        700 ms");
	assert_string_equal(summary, "stop        700 ms");
}

static void play(struct cli *cli)
{
	struct bar bar = {.cli = cli};
	struct progress_event ev = half;

	bar_progress(&bar, &ev);
	ev.done += 1 << 20;
	bar_progress(&bar, &ev);
	bar_line(&bar, "a word\x1b");
	ev.final = true;
	ev.done = ev.total;
	bar_progress(&bar, &ev);
	bar_end(&bar);
}

/* Without a terminal: the begin and the end of a phase, nothing between. */
static void test_progress_plain(void **state)
{
	struct cli cli = {.program = "wherry"};

	capture(play(&cli));
	assert_string_equal(printed, "rootfs ...\n"
				     "a word\\x1b\n"
				     "rootfs      1.0 GiB, 10 files, 8.0 s (128.0 MiB/s)\n");
}

static void test_progress_quiet(void **state)
{
	struct cli cli = {.program = "wherry", .quiet = true};

	capture(play(&cli));
	assert_string_equal(printed, "");
}

static void test_progress_terminal(void **state)
{
	struct cli cli = {.program = "wherry", .terminal = true};
	size_t n;

	capture(play(&cli));
	n = strlen(printed);
	assert_true(strncmp(printed, "rootfs      [####", 17) == 0);
	/* what is said stands alone on its line; the summary is the last word, with no bar after it
	 */
	assert_has(printed, "\r\033[Ka word\\x1b\n");
	assert_string_equal(printed + n - 12, "28.0 MiB/s)\n");
}

/* Each line is JSON by itself. */
static void test_progress_json(void **state)
{
	struct cli cli = {.program = "wherry", .json = true};
	char *line, *rest = NULL;
	int n = 0;

	capture(play(&cli));
	for (line = strtok_r(printed, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest), n++) {
		_cleanup_json_ json_t *v = json(line);

		assert_int_equal(json_object_size(v), 1);
		assert_true(json_object_get(v, "progress") || json_object_get(v, "line"));
	}
	assert_int_equal(n, 4);
}

static void test_error(void **state)
{
	struct cli cli = {.program = "wherry", .json = true};
	int saved = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY);
	_cleanup_json_ json_t *v = NULL;
	struct err err = ERR_INIT;
	const json_t *error;

	err_set(&err, ERR_NOT_FOUND, "there is no container web");
	dup2(null, STDERR_FILENO);
	capture(output_error(&cli, &err));
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(null);
	v = json(printed);
	error = json_object_get(v, "error");
	assert_string_equal(json_get_str(error, "code"), "not-found");
	assert_string_equal(json_get_str(error, "text"), "there is no container web");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_record),
		cmocka_unit_test(test_bar),
		cmocka_unit_test(test_bar_knows_little),
		cmocka_unit_test(test_progress_plain),
		cmocka_unit_test(test_progress_quiet),
		cmocka_unit_test(test_progress_terminal),
		cmocka_unit_test(test_progress_json),
		cmocka_unit_test(test_error),
	};
	int failed = cmocka_run_group_tests_name("output", tests, NULL, NULL);

	free(printed);
	return failed;
}
