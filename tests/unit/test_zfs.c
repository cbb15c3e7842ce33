#include "unit.h"

#include "base/alloc.h"
#include "base/str.h"
#include "storage/zfs_dataset.h"
#include "storage/zfs_props.h"
#include "storage/zfs_stream.h"

static void test_names(void **state)
{
	static const char *const good[] = {"tank", "tank/ct/web.1/rootfs", "Pool-2/.wherry/a_b:c"};
	static const char *const bad[] = {"", "-tank", "1tank", "/tank", "tank/", "tank//a",
		"tank/../a", "tank/a@b", "tank/a#b", "tank/a b", "tank/%recv", "tank/a\tb",
		"tank/a\n"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_row(zfs_name_ok(good[i]), good[i]);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_row(!zfs_name_ok(bad[i]), bad[i]);
	assert_true(zfs_relative_ok(""));
	assert_true(zfs_relative_ok("srv/data"));
	assert_false(zfs_relative_ok("../other"));
	assert_false(zfs_relative_ok("/srv"));
}

/* Everything that acts outside of the dataset, and everything of a form that is not the property's.
 */
static void test_props(void **state)
{
	static const char *const refused[][2] = {{"mountpoint", "/etc"}, {"sharenfs", "on"},
		{"sharesmb", "on"}, {"exec", "on"}, {"setuid", "on"}, {"devices", "on"},
		{"canmount", "on"}, {"keylocation", "file:///etc/shadow"}, {"reservation", "1T"},
		{"refreservation", "1"}, {"zoned", "on"}, {"com.sun:auto-snapshot", "true"},
		{"sync", "disabled"}, {"compression", "lz4 -o mountpoint=/"}, {"compression", ""},
		{"quota", "-1"}, {"recordsize", "1M"}, {"atime", "On"},
		{"compression", "abcdefghijklmnopqrstuvwxyz0123456789"}};
	static const char *const taken[][2] = {{"compression", "zstd-3"}, {"atime", "off"},
		{"quota", "none"}, {"refquota", "1073741824"}, {"recordsize", "16384"},
		{"xattr", "sa"}, {"acltype", "posix"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		assert_row(!zfs_prop_ok(refused[i][0], refused[i][1]), refused[i][0]);
	for (size_t i = 0; i < ARRAY_SIZE(taken); i++)
		assert_row(zfs_prop_ok(taken[i][0], taken[i][1]), taken[i][0]);
}

static void test_arguments(void **state)
{
	_cleanup_json_ json_t *props = zfs_props_parse(
		"compression\tlz4\nmountpoint\t/tank/web\nquota\t1000\natime\toff\nno tab\n");
	_cleanup_strv_ char **argv = NULL;
	_cleanup_free_ char *line = NULL;

	(void)state;
	zfs_props_arguments(props, &argv);
	line = str_join(argv, " ");
	assert_string_equal(line, "-o atime=off -o compression=lz4");
	assert_int_equal(json_object_size(props), 3);
}

static void test_snapshots(void **state)
{
	struct snapshot_vec v = {0};
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(zfs_parse_snapshots("tank/web@daily-1\t1700000000\ntank/web@.hidden\t1\n"
				      "tank/web@wherry-12-1\t1700000060\n",
			  &v, &err),
		&err);
	assert_int_equal(v.n, 2);
	assert_string_equal(v.v[0].name, "daily-1");
	assert_int_equal(v.v[0].created, 1700000000);
	assert_false(v.v[0].own);
	assert_true(v.v[1].own);
	assert_fails(zfs_parse_snapshots("tank/web\t17\n", &v, &err), ERR_INTERNAL, &err);
	assert_true(zfs_parse_snapshots("tank/web@a\tyesterday\n", &v, &err) < 0);
	snapshot_vec_done(&v);
}

static int read_header(const char *text, struct zfs_part_vec *parts, struct err *err)
{
	_cleanup_stream_ struct stream *in = stream_mem_new(text, strlen(text));

	return zfs_header_read(in, parts, err);
}

static void test_header(void **state)
{
	struct zfs_part sent[] = {
		{.name = (char *)"", .automount = true},
		{.name = (char *)"srv", .skip = true},
		{.name = (char *)"srv/data", .from = (char *)"wherry-1", .resume = true},
	};
	struct zfs_part_vec parts = {.v = sent, .n = ARRAY_SIZE(sent)}, got = {0};
	_cleanup_stream_ struct stream *out = stream_mem_new("", 0), *in = NULL;
	struct err err = ERR_INIT;
	const void *bytes;
	size_t n;

	(void)state;
	assert_ok(zfs_header_write(out, &parts, &err), &err);
	bytes = stream_mem_data(out, &n);
	in = stream_mem_new(bytes, n);
	assert_ok(zfs_header_read(in, &got, &err), &err);
	assert_int_equal(got.n, 3);
	assert_true(got.v[0].automount && !got.v[0].skip && !got.v[0].from);
	assert_true(got.v[1].skip && !got.v[1].automount);
	assert_string_equal(got.v[2].name, "srv/data");
	assert_string_equal(got.v[2].from, "wherry-1");
	assert_true(got.v[2].resume);
	zfs_parts_free(&got);
}

static void test_hostile_header(void **state)
{
	static const char *const bad[] = {"\n", "{}\n", "[]\n", "{\"zfs\":1}\n",
		"{\"zfs\":2,\"parts\":[{\"name\":\"\"}]}\n", "{\"zfs\":1,\"parts\":[]}\n",
		"{\"zfs\":1,\"parts\":[{\"name\":\"a\"}]}\n",
		"{\"zfs\":1,\"parts\":[{\"name\":\"\"},{\"name\":\"\"}]}\n",
		"{\"zfs\":1,\"parts\":[{\"name\":\"\"},{\"name\":\"../x\"}]}\n",
		"{\"zfs\":1,\"parts\":[{\"name\":\"\"},{\"name\":\"a/b\"}]}\n",
		"{\"zfs\":1,\"parts\":[{\"name\":\"\"},{\"name\":\"a@b\"}]}\n",
		"{\"zfs\":1,\"parts\":[{\"name\":\"\",\"from\":\"../x\"}]}\n",
		"{\"zfs\":1,\"parts\":[{\"name\":\"\",\"props\":[1]}]}\n", "{\"zfs\":1,\"parts\":"};
	struct zfs_part_vec parts = {0};
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_row(read_header(bad[i], &parts, &err) == -ERR_PROTOCOL, bad[i]);
		assert_int_equal(parts.n, 0);
	}
}

static void test_chunks(void **state)
{
	static const uint8_t too_long[] = {0xff, 0xff, 0xff, 0x7f};
	_cleanup_stream_ struct stream *out = stream_mem_new("", 0), *in = NULL, *bad = NULL;
	_cleanup_free_ char *buf = malloc(ZFS_CHUNK_MAX);
	struct err err = ERR_INIT;
	const void *bytes;
	size_t n;

	(void)state;
	assert_ok(zfs_chunk_write(out, "hello", 5, &err), &err);
	assert_ok(zfs_chunk_write(out, NULL, 0, &err), &err);
	bytes = stream_mem_data(out, &n);
	in = stream_mem_new(bytes, n);
	assert_ok(zfs_chunk_read(in, buf, &n, &err), &err);
	assert_int_equal(n, 5);
	assert_memory_equal(buf, "hello", 5);
	assert_ok(zfs_chunk_read(in, buf, &n, &err), &err);
	assert_int_equal(n, 0);
	assert_fails(zfs_chunk_read(in, buf, &n, &err), ERR_PROTOCOL, &err);
	bad = stream_mem_new(too_long, sizeof(too_long));
	assert_fails(zfs_chunk_read(bad, buf, &n, &err), ERR_PROTOCOL, &err);
}

static void put(uint8_t *p, uint64_t v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

static void test_begin(void **state)
{
	uint8_t p[ZFS_BEGIN_SIZE] = {0};
	struct zfs_begin b;
	struct err err = ERR_INIT;

	(void)state;
	assert_fails(zfs_begin_check(p, sizeof(p), &b, &err), ERR_PROTOCOL, &err);
	put(p + 8, 0x2F5bacbac, 8);
	put(p + 16, 1 | UINT64_C(4) << 2, 8);
	put(p + 32, 2, 4);
	put(p + 36, 4, 4);
	put(p + 40, 77, 8);
	put(p + 48, 66, 8);
	assert_ok(zfs_begin_check(p, sizeof(p), &b, &err), &err);
	assert_int_equal(b.toguid, 77);
	assert_int_equal(b.fromguid, 66);
	assert_fails(zfs_begin_check(p, sizeof(p) - 1, &b, &err), ERR_PROTOCOL, &err);
	put(p + 36, 1, 4);
	assert_fails(zfs_begin_check(p, sizeof(p), &b, &err), ERR_PROTOCOL, &err);
	put(p + 36, 0, 4);
	put(p + 32, 3, 4);
	assert_fails(zfs_begin_check(p, sizeof(p), &b, &err), ERR_PROTOCOL, &err);
	put(p + 32, 2, 4);
	put(p + 16, 2, 8);
	assert_fails(zfs_begin_check(p, sizeof(p), &b, &err), ERR_PROTOCOL, &err);
	put(p + 16, 1 | UINT64_C(1) << 26, 8);
	assert_fails(zfs_begin_check(p, sizeof(p), &b, &err), ERR_UNSUPPORTED, &err);
}

static void test_nested(void **state)
{
	_cleanup_strv_ char **names = NULL;
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(zfs_parse_nested("tank/web\tfilesystem\ntank/web/srv\tfilesystem\n", "tank/web",
			  &names, &err),
		&err);
	assert_int_equal(strv_len(names), 2);
	assert_string_equal(names[0], "");
	assert_string_equal(names[1], "srv");
	strv_free(TAKE_PTR(names));
	assert_fails(zfs_parse_nested("tank/web\tfilesystem\ntank/web/swap\tvolume\n", "tank/web",
			     &names, &err),
		ERR_UNSUPPORTED, &err);
	assert_fails(zfs_parse_nested("tank/web\tfilesystem\ntank/web2\tfilesystem\n", "tank/web",
			     &names, &err),
		ERR_INTERNAL, &err);
	assert_fails(zfs_parse_nested("tank/web\tfilesystem\ntank/web/a b\tfilesystem\n",
			     "tank/web", &names, &err),
		ERR_UNSUPPORTED, &err);
	assert_fails(zfs_parse_nested("", "tank/web", &names, &err), ERR_INTERNAL, &err);
	assert_null(names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_props),
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_snapshots),
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_hostile_header),
		cmocka_unit_test(test_chunks),
		cmocka_unit_test(test_begin),
		cmocka_unit_test(test_nested),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
