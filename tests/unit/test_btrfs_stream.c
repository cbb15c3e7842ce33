#include "unit.h"

#include "base/str.h"
#include "storage/btrfs_cut.h"
#include "storage/btrfs_stream.h"

/* A stream that gives a byte at a time, as a slow link may. */
struct drip {
	struct stream stream;
	const char *bytes;
	size_t n, pos;
};

static ssize_t drip_read(struct stream *s, void *buf, size_t n, struct err *err)
{
	struct drip *d = (struct drip *)s;

	(void)n;
	(void)err;
	if (d->pos == d->n)
		return 0;
	*(char *)buf = d->bytes[d->pos++];
	return 1;
}

static const struct stream_ops drip_ops = {.name = "drip", .read = drip_read};

static void put_file(struct str *s, const char *path, uint64_t offset, const char *data, size_t n)
{
	size_t c = btrfs_put_command(s, BTRFS_WRITE);

	btrfs_put_attr(s, BTRFS_A_PATH, path, strlen(path));
	btrfs_put_u64(s, BTRFS_A_FILE_OFFSET, offset);
	btrfs_put_attr(s, BTRFS_A_DATA, data, n);
	btrfs_put_done(s, c);
}

static void put_sample(struct str *s)
{
	btrfs_put_header(s, 1);
	put_file(s, "a/b", 4096, "content", 7);
	btrfs_put_done(s, btrfs_put_command(s, BTRFS_END));
}

static void check_sample(struct stream *in)
{
	_cleanup_btrfs_reader_ struct btrfs_reader *r = btrfs_reader_new(in, 100);
	struct btrfs_command c;
	struct err err = ERR_INIT;
	char path[8];
	uint64_t offset;

	assert_ok(btrfs_reader_header(r, &err), &err);
	assert_int_equal(btrfs_reader_version(r), 1);
	assert_int_equal(btrfs_reader_bytes(r).n, 17);
	assert_int_equal(btrfs_reader_next(r, &c, &err), 1);
	assert_string_equal(btrfs_number_name(c.number), "write");
	assert_ok(btrfs_text(&c, BTRFS_A_PATH, path, sizeof(path), &err), &err);
	assert_string_equal(path, "a/b");
	assert_ok(btrfs_u64(&c, BTRFS_A_FILE_OFFSET, &offset, &err), &err);
	assert_int_equal(offset, 4096);
	assert_int_equal(c.attr[BTRFS_A_DATA].n, 7);
	assert_memory_equal(c.attr[BTRFS_A_DATA].p, "content", 7);
	assert_int_equal(btrfs_reader_offset(r), 117 + btrfs_reader_bytes(r).n);
	assert_int_equal(btrfs_reader_next(r, &c, &err), 1);
	assert_int_equal(c.number, BTRFS_END);
	assert_ok(btrfs_reader_end(r, &err), &err);
	assert_int_equal(btrfs_reader_next(r, &c, &err), 0);
}

static void test_there_and_back(void **state)
{
	_cleanup_(str_done) struct str s = STR_INIT;
	_cleanup_stream_ struct stream *in = NULL;
	struct drip drip;

	(void)state;
	put_sample(&s);
	in = stream_mem_new(s.buf, s.len);
	check_sample(in);
	drip = (struct drip){{.ops = &drip_ops}, s.buf, s.len, 0};
	check_sample(&drip.stream);
}

static int read_all(const char *bytes, size_t n, struct err *err)
{
	_cleanup_stream_ struct stream *in = stream_mem_new(bytes, n);
	_cleanup_btrfs_reader_ struct btrfs_reader *r = btrfs_reader_new(in, 0);
	struct btrfs_command c;
	int k = btrfs_reader_header(r, err);

	while (k >= 0 && (k = btrfs_reader_next(r, &c, err)) > 0)
		if (c.number == BTRFS_END)
			return btrfs_reader_end(r, err);
	return k;
}

/* Any byte that is another one is noticed, and so is any end that comes too early. */
static void test_every_flip_and_cut(void **state)
{
	_cleanup_(str_done) struct str s = STR_INIT;
	struct err err = ERR_INIT;

	(void)state;
	put_sample(&s);
	assert_ok(read_all(s.buf, s.len, &err), &err);
	for (size_t i = 0; i < s.len; i++) {
		s.buf[i] ^= 0x10;
		if (read_all(s.buf, s.len, &err) >= 0)
			fail_msg("a flip at %zu of %zu was not noticed", i, s.len);
		s.buf[i] ^= 0x10;
	}
	for (size_t n = 0; n < s.len; n++) {
		int r = read_all(s.buf, n, &err);

		/* Between two commands it is for the caller to say that END is missing. */
		if (r >= 0 && n != 17 && n != s.len - 10)
			fail_msg("an end after %zu of %zu was not noticed", n, s.len);
	}
}

static void test_attributes(void **state)
{
	struct btrfs_command c = {.number = BTRFS_CHOWN};
	struct err err = ERR_INIT;
	struct timespec time;
	char text[4];
	uint64_t wide;
	uint32_t narrow;

	(void)state;
	c.attr[BTRFS_A_UID] = (struct btrfs_bytes){(const uint8_t *)"\1\2\3\4\5\6\7\10", 8};
	assert_ok(btrfs_u64(&c, BTRFS_A_UID, &wide, &err), &err);
	assert_true(wide == UINT64_C(0x0807060504030201));
	assert_fails(btrfs_u32(&c, BTRFS_A_UID, &narrow, &err), ERR_PROTOCOL, &err);
	assert_fails(btrfs_u64(&c, BTRFS_A_GID, &wide, &err), ERR_PROTOCOL, &err);
	c.attr[BTRFS_A_PATH] = (struct btrfs_bytes){(const uint8_t *)"abc", 3};
	assert_ok(btrfs_text(&c, BTRFS_A_PATH, text, sizeof(text), &err), &err);
	c.attr[BTRFS_A_PATH].n = 4;
	assert_fails(btrfs_text(&c, BTRFS_A_PATH, text, sizeof(text), &err), ERR_PROTOCOL, &err);
	c.attr[BTRFS_A_PATH] = (struct btrfs_bytes){(const uint8_t *)"a\0c", 3};
	assert_fails(btrfs_text(&c, BTRFS_A_PATH, text, sizeof(text), &err), ERR_PROTOCOL, &err);
	c.attr[BTRFS_A_ATIME] = (struct btrfs_bytes){
		(const uint8_t *)"\xff\xff\xff\xff\xff\xff\xff\xff\x01\0\0\0", 12};
	assert_ok(btrfs_time(&c, BTRFS_A_ATIME, &time, &err), &err);
	assert_int_equal(time.tv_sec, -1);
	assert_int_equal(time.tv_nsec, 1);
}

/* Feeds commands of odd lengths; returns the cuts. */
#define CUTS_MAX 8
static size_t cut_all(
	const struct storage_resume *from, uint64_t total, struct storage_resume ret[CUTS_MAX])
{
	static uint8_t bytes[100003];
	struct btrfs_cutter c;
	size_t n = 0;

	memset(bytes, 7, sizeof(bytes));
	btrfs_cutter_init(&c, from);
	for (uint64_t at = from->offset; at + sizeof(bytes) <= total; at += sizeof(bytes)) {
		bytes[0] = (uint8_t)(at / sizeof(bytes));
		if (btrfs_cutter_feed(&c, bytes, sizeof(bytes)) && n < CUTS_MAX)
			ret[n++] = c.at;
	}
	btrfs_cutter_done(&c);
	return n;
}

static void test_cuts(void **state)
{
	struct storage_resume whole[CUTS_MAX], rest[CUTS_MAX], zero = {0};
	uint64_t total = UINT64_C(100) << 20;
	size_t n = cut_all(&zero, total, whole);

	(void)state;
	assert_int_equal(n, 6);
	for (size_t i = 0; i < n; i++) {
		uint64_t before = i ? whole[i - 1].offset : 0;

		assert_true(whole[i].offset - before >= BTRFS_CUT);
		assert_true(whole[i].offset - before <= UINT64_C(16) << 20);
		assert_int_equal(strlen(whole[i].digest), 32);
	}
	/* Whoever goes on from one comes to the same ones. */
	for (size_t from = 0; from < n; from++) {
		assert_int_equal(cut_all(&whole[from], total, rest), n - from - 1);
		for (size_t i = 0; i < n - from - 1; i++) {
			assert_true(rest[i].offset == whole[from + 1 + i].offset);
			assert_string_equal(rest[i].digest, whole[from + 1 + i].digest);
		}
	}
}

/* A digest says something of everything before it. */
static void test_cuts_of_other_bytes(void **state)
{
	struct storage_resume a[CUTS_MAX], b[CUTS_MAX], zero = {0};
	struct storage_resume other = {.digest = "00000000000000000000000000000000"};

	(void)state;
	assert_int_equal(cut_all(&zero, UINT64_C(40) << 20, a), 2);
	assert_int_equal(cut_all(&other, UINT64_C(40) << 20, b), 2);
	assert_string_not_equal(a[1].digest, b[1].digest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_every_flip_and_cut),
		cmocka_unit_test(test_attributes),
		cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_cuts_of_other_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
