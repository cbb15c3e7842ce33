#include "unit.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/log.h"

/* What the calls wrote to stderr. */
struct captured {
	int saved, file;
};

static struct captured capture(void)
{
	struct captured c = {
		.saved = dup(STDERR_FILENO), .file = open("/tmp", O_TMPFILE | O_RDWR, 0600)};

	assert_true(c.file >= 0);
	dup2(c.file, STDERR_FILENO);
	return c;
}

static char *captured_text(struct captured *c)
{
	char *text = xcalloc(1, 8192);

	dup2(c->saved, STDERR_FILENO);
	assert_true(pread(c->file, text, 8191, 0) >= 0);
	close(c->saved);
	close(c->file);
	return text;
}

static void test_lines(void **state)
{
	_cleanup_free_ char *text = NULL;
	struct captured c = capture();

	log_open("wherryd", LOG_LEVEL_INFO);
	log_debug("not shown");
	log_info("started %d", 1);
	log_context("job %d", 17);
	log_warning("careful");
	log_error("bad");
	log_context(NULL);
	log_info("end");
	text = captured_text(&c);
	assert_string_equal(text, "<6>wherryd: started 1\n<4>wherryd: job 17: careful\n"
				  "<3>wherryd: job 17: bad\n<6>wherryd: end\n");
}

static void test_forged_lines(void **state)
{
	_cleanup_free_ char *text = NULL;
	struct captured c = capture();

	log_open("w", LOG_LEVEL_INFO);
	log_context("ct a\nb");
	log_info("peer: %s", "x\n<3>w: forged\x1b[2J\xff");
	log_context(NULL);
	text = captured_text(&c);
	assert_string_equal(text, "<6>w: ct a\\x0ab: peer: x\\x0a<3>w: forged\\x1b[2J\\xff\n");
}

static void test_level_from_environment(void **state)
{
	static const struct {
		const char *value;
		size_t shown;
	} rows[] = {{"debug", 4}, {"info", 3}, {"warning", 2}, {"error", 1}, {"nonsense", 2}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *text = NULL;
		struct captured c = capture();
		size_t lines = 0;

		setenv("WHERRY_LOG", rows[i].value, 1);
		log_open("w", LOG_LEVEL_WARNING);
		log_debug("1");
		log_info("2");
		log_warning("3");
		log_error("4");
		unsetenv("WHERRY_LOG");
		text = captured_text(&c);
		for (const char *p = text; *p; p++)
			lines += *p == '\n';
		assert_row(lines == rows[i].shown, rows[i].value);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_forged_lines),
		cmocka_unit_test(test_level_from_environment),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
