#include "unit.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/json.h"
#include "storage/sameness.h"

#define TOKEN "0123456789abcdef0123456789abcdef01234567"

static struct sameness example(void)
{
	struct sameness s = {.fs = "ext4",
		.uuid = "1b4e28ba-2fa1-11d2-883f-0016d3cca427",
		.size = 1 << 30,
		.identity = "wwid:naa.60014051",
		.offset = 8192};

	memset(s.nonce, 'a', SAMENESS_NONCE_MAX - 1);
	return s;
}

static void test_wire(void **state)
{
	struct sameness s = example(), back;
	_cleanup_json_ json_t *v = sameness_json(&s);
	struct err err = ERR_INIT;

	assert_ok(sameness_from_json(v, &back, &err), &err);
	assert_memory_equal(&s, &back, sizeof(s));
}

/* Everything in it comes from a peer. */
static void test_malformed(void **state)
{
	static const struct {
		const char *name, *value; /* as JSON; NULL: left out */
	} rows[] = {
		{"fs", "\"ntfs\""},
		{"fs", "\"ext4ext4ext4\""},
		{"fs", NULL},
		{"uuid", "\"1b4e28ba\""},
		{"uuid", "\"1b4e28ba-2fa1-11d2-883f-0016d3cca42/\""},
		{"uuid", NULL},
		{"size", "0"},
		{"size", "9000"},
		{"size", "-1"},
		{"identity", "\"a\\nb\""},
		{"identity", NULL},
		{"nonce", "\"aa\""},
		{"nonce", "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\""},
		{"nonce", NULL},
		{"offset", "1073741824"},
		{"offset", "9223372036854775807"},
		{"offset", "1000"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sameness s = example(), back;
		_cleanup_json_ json_t *v = sameness_json(&s);
		struct err err = ERR_INIT;

		if (rows[i].value)
			json_object_set_new(
				v, rows[i].name, json_loads(rows[i].value, JSON_DECODE_ANY, NULL));
		else
			json_object_del(v, rows[i].name);
		assert_row(sameness_from_json(v, &back, &err) == -ERR_PROTOCOL, rows[i].name);
	}
}

static int folder(char path[64])
{
	strcpy(path, "/tmp/sameness-XXXXXX");
	assert_non_null(mkdtemp(path));
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* On whatever the folder lies on: the mark is seen as written, and as nothing else. */
static void test_mark(void **state)
{
	char path[64];
	_cleanup_close_ int fd = folder(path);
	struct sameness s = example(), other;
	struct err err = ERR_INIT;
	int r = sameness_mark(fd, TOKEN, &s, &err);

	if (r == -ERR_UNSUPPORTED || r == -ERR_INVALID || r == -ERR_IO) {
		/* tmpfs, overlayfs: no places on a device */
		assert_int_equal(rmdir(path), 0);
		skip();
	}
	assert_ok(r, &err);
	assert_ok(sameness_seen(fd, TOKEN, &s, &err), &err);
	other = s;
	other.nonce[0] ^= 1;
	assert_int_equal(sameness_seen(fd, TOKEN, &other, &err), -ERR_CORRUPT);
	other = s;
	other.nonce[0] = '\0';
	assert_int_equal(sameness_seen(fd, TOKEN, &other, &err), -ERR_CORRUPT);
	other = s;
	assert_ok(sameness_mark(fd, TOKEN, &s, &err), &err);
	assert_int_equal(sameness_seen(fd, TOKEN, &other, &err), -ERR_CORRUPT);
	assert_ok(sameness_unmark(fd, TOKEN, &err), &err);
	assert_ok(sameness_unmark(fd, TOKEN, &err), &err);
	assert_int_equal(sameness_seen(fd, TOKEN, &s, &err), -ERR_CORRUPT);
	assert_int_equal(rmdir(path), 0);
}

/* A container that is still running may have put something in the way. */
static void test_not_followed(void **state)
{
	char path[64];
	_cleanup_close_ int fd = folder(path);
	struct sameness s = example();
	struct err err = ERR_INIT;
	int target;

	assert_int_equal(symlinkat("target", fd, ".wherry-" TOKEN), 0);
	target = openat(fd, "target", O_CREAT | O_WRONLY, 0600);
	assert_true(target >= 0);
	close(target);
	assert_int_equal(sameness_seen(fd, TOKEN, &s, &err), -ERR_CORRUPT);
	(void)!sameness_mark(fd, TOKEN, &s, &err);
	target = openat(fd, "target", O_RDONLY);
	assert_int_equal(lseek(target, 0, SEEK_END), 0);
	close(target);
	assert_ok(sameness_unmark(fd, TOKEN, &err), &err);
	assert_int_equal(unlinkat(fd, "target", 0), 0);
	assert_int_equal(rmdir(path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wire),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_mark),
		cmocka_unit_test(test_not_followed),
	};

	return cmocka_run_group_tests_name("sameness", tests, NULL, NULL);
}
