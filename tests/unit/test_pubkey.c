#include "unit.h"

#include "base/str.h"
#include "node/pubkey.h"

/* Written by ssh-keygen. */
#define ED25519                                                                                    \
	"ssh-ed25519 "                                                                             \
	"AAAAC3NzaC1lZDI1NTE5AAAAIHFPmeYIokAZ80Y673RlRTtYCPdSDaV4CmwRbuLTP1ix"
#define ECDSA256                                                                                   \
	"ecdsa-sha2-nistp256 "                                                                     \
	"AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBOpUMpmIakWRHVqMMjdUmdApWXwnzxp+"     \
	"MM5Fv2r6el9+oAuECz8kzS1c4r+rCG760aNidiF0TkbQ76AiZuKn7hA="

static int parse(const char *line, struct err *err)
{
	struct pubkey k = {0};
	int r = pubkey_parse(line, strlen(line), &k, err);

	pubkey_done(&k);
	return r;
}

static void test_good(void **state)
{
	static const struct {
		const char *line, *comment;
	} table[] = {
		{ED25519, ""},
		{ED25519 "\n", ""},
		{ED25519 " root@a\r\n", "root@a"},
		{" \t" ED25519 "  root  on a ", "root  on a"},
		{ED25519 " J\xc3\xb6rg's \"laptop\" $(x)", "J\xc3\xb6rg's \"laptop\" $(x)"},
	};
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct pubkey k = {0};

		if (pubkey_parse(table[i].line, strlen(table[i].line), &k, &err) < 0)
			fail_msg("%s: %s", table[i].line, err.text);
		assert_string_equal(k.type, "ssh-ed25519");
		assert_string_equal(k.blob, &ED25519[strlen("ssh-ed25519 ")]);
		assert_string_equal(k.comment, table[i].comment);
		assert_int_equal(k.bits, 256);
		pubkey_done(&k);
	}
	assert_ok(parse(ECDSA256 " x", &err), &err);
}

static void test_bad_lines(void **state)
{
	static const struct {
		const char *line, *says;
	} table[] = {
		{"", "no public key"},
		{" \n\n", "no public key"},
		{ED25519 "\n" ED25519, "more than one line"},
		{ED25519 "\r" ED25519, "more than one line"},
		{ED25519 " a\n# b", "more than one line"},
		{"command=\"/bin/sh\" " ED25519, "options"},
		{"restrict " ED25519, "options"},
		{"no-pty " ED25519, "options"},
		{"cert-authority " ED25519, "options"},
		{"from=\"*\",restrict " ED25519, "options"},
		{"environment=\"A=b c\" " ED25519, "options"},
		{"ssh-ed25519", "base64"},
		{"AAAAC3NzaC1lZDI1NTE5", "not a type"},
		{"ssh-dss AAAAB3NzaC1kc3MAAACBANqG", "not a type"},
		{"ssh-ed25519-cert-v01@openssh.com AAAA", "not a type"},
		{"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n", "private"},
		{ED25519 " bell\a", "comment"},
		{ED25519 " tab\there", "comment"},
		{ED25519 " \xff\xfe", "comment"},
		{ED25519 " \xc2\x9b", "comment"}, /* a control character of Unicode */
		{"ssh-rsa " ED25519, "base64"},
	};
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		if (parse(table[i].line, &err) != -ERR_INVALID)
			fail_msg("accepted: %s", table[i].line);
		if (!strstr(err.text, table[i].says))
			fail_msg("%s: %s", table[i].line, err.text);
	}
	err_clear(&err);
}

static void test_bad_base64(void **state)
{
	static const char *const lines[] = {
		"ssh-ed25519 A",
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHFPmeYIokAZ80Y673RlRTtYCPdSDaV4CmwRbuLTP1i",
		"ssh-ed25519 "
		"AAAAC3NzaC1lZDI1NTE5AAAAIHFPmeYIokAZ80Y673RlRTtYCPdSDaV4CmwRbuLTP1ix====",
		"ssh-ed25519 =AAAC3NzaC1lZDI1NTE5AAAAIHFPmeYIokAZ80Y673RlRTtYCPdSDaV4CmwRbuLTP1ix",
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA_HFPmeYIokAZ80Y673RlRTtYCPdSDaV4CmwRbuLTP1ix",
		/* as ECDSA256 above, with one of the bits set that belong to no byte */
		"ecdsa-sha2-nistp256 "
		"AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBOpUMpmIakWRHVqMMjdUmdApWXwnzx"
		"p"
		"+MM5Fv2r6el9+oAuECz8kzS1c4r+rCG760aNidiF0TkbQ76AiZuKn7hB=",
	};
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		if (parse(lines[i], &err) != -ERR_INVALID)
			fail_msg("accepted: %s", lines[i]);
		assert_has(err.text, "base64");
	}
	err_clear(&err);
}

static void test_bounds(void **state)
{
	struct err err = ERR_INIT;
	struct pubkey k = {0};
	struct str s = STR_INIT;

	str_add(&s, ED25519 " ");
	for (int i = 0; i < PUBKEY_COMMENT_MAX; i++)
		str_addc(&s, 'c');
	assert_ok(parse(s.buf, &err), &err);
	str_addc(&s, 'c');
	assert_fails(parse(s.buf, &err), ERR_INVALID, &err);
	while (s.len <= PUBKEY_LINE_MAX)
		str_addc(&s, ' ');
	assert_fails(parse(s.buf, &err), ERR_INVALID, &err);
	str_done(&s);
	assert_fails(
		pubkey_parse(ED25519 "\0 x", strlen(ED25519) + 3, &k, &err), ERR_INVALID, &err);
}

/* Blobs made here: what is inside base64 that ssh-keygen would never write. */
struct blob {
	unsigned char b[4096];
	size_t n;
};

static void put(struct blob *b, const void *bytes, size_t n)
{
	unsigned char len[4] = {n >> 24, n >> 16, n >> 8, n};

	memcpy(b->b + b->n, len, 4);
	memcpy(b->b + b->n + 4, bytes, n);
	b->n += 4 + n;
}

static void put_word(struct blob *b, const char *word)
{
	put(b, word, strlen(word));
}

/* A number of so many bits, odd, with the sign's zero byte where it is needed. */
static void put_number(struct blob *b, unsigned bits)
{
	unsigned char v[2100] = {0};
	size_t n = (bits + 7) / 8;
	size_t zero = bits % 8 == 0;

	memset(v + zero, 0xab, n);
	v[zero] = (unsigned char)(1u << (bits - 1) % 8);
	v[zero + n - 1] |= 1;
	put(b, v, zero + n);
}

static char *line_of(const char *type, const struct blob *b)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	struct str s = STR_INIT;

	str_addf(&s, "%s ", type);
	for (size_t i = 0; i < b->n; i += 3) {
		size_t have = MIN(b->n - i, 3);
		unsigned v = (unsigned)b->b[i] << 16 | (have > 1 ? b->b[i + 1] << 8 : 0) |
			     (have > 2 ? b->b[i + 2] : 0);

		for (size_t k = 0; k < 4; k++)
			str_addc(&s, k > have ? '=' : digits[v >> (18 - 6 * k) & 63]);
	}
	return str_take(&s);
}

static int parse_blob(const char *type, const struct blob *b, struct err *err)
{
	_cleanup_free_ char *line = line_of(type, b);

	return parse(line, err);
}

static struct blob rsa(unsigned e_bits, unsigned n_bits)
{
	struct blob b = {.n = 0};

	put_word(&b, "ssh-rsa");
	put_number(&b, e_bits);
	put_number(&b, n_bits);
	return b;
}

static void test_rsa(void **state)
{
	static const struct {
		unsigned e, n;
		bool good;
	} table[] = {{17, 2048, true}, {2, 2048, true}, {17, 2049, true}, {17, 16384, true},
		{17, 2047, false}, {17, 1024, false}, {17, 16385, false}, {1, 2048, false},
		{65, 2048, false}};
	struct err err = ERR_INIT;
	struct blob b;

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		b = rsa(table[i].e, table[i].n);
		if ((parse_blob("ssh-rsa", &b, &err) >= 0) != table[i].good)
			fail_msg(
				"e of %u bits, n of %u bits: %s", table[i].e, table[i].n, err.text);
	}
	b = rsa(17, 1024);
	assert_int_equal(parse_blob("ssh-rsa", &b, &err), -ERR_INVALID);
	assert_has(err.text, "1024 bits");
	err_clear(&err);

	b = rsa(17, 2048);
	b.b[b.n - 1] &= 0xfe; /* even */
	assert_fails(parse_blob("ssh-rsa", &b, &err), ERR_INVALID, &err);
	b = rsa(17, 2048);
	b.b[b.n - 262] &= 0xfe; /* an even exponent */
	assert_fails(parse_blob("ssh-rsa", &b, &err), ERR_INVALID, &err);
	b = rsa(17, 2047);
	b.b[b.n - 256] = 0x80; /* negative */
	assert_fails(parse_blob("ssh-rsa", &b, &err), ERR_INVALID, &err);
	b = rsa(17, 2048);
	b.b[b.n - 256] = 0x7f; /* a zero byte that is not needed */
	assert_fails(parse_blob("ssh-rsa", &b, &err), ERR_INVALID, &err);
}

static void put_point(struct blob *b, size_t n, unsigned char form)
{
	unsigned char v[140] = {form};

	memset(v + 1, 0x11, n - 1);
	put(b, v, n);
}

static void test_ecdsa(void **state)
{
	static const struct {
		const char *type, *inner, *curve;
		size_t point;
		unsigned char form;
		bool good;
	} table[] = {
		{"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", "nistp256", 65, 4, true},
		{"ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384", "nistp384", 97, 4, true},
		{"ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521", "nistp521", 133, 4, true},
		{"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", "nistp384", 65, 4, false},
		{"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "nistp256", 65, 4, false},
		{"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", "nistp256", 64, 4, false},
		{"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", "nistp256", 33, 2, false},
		{"ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521", "nistp521", 131, 4, false},
	};
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct blob b = {.n = 0};

		put_word(&b, table[i].inner);
		put_word(&b, table[i].curve);
		put_point(&b, table[i].point, table[i].form);
		if ((parse_blob(table[i].type, &b, &err) >= 0) != table[i].good)
			fail_msg("row %zu: %s", i, err.text);
	}
}

static void test_security_keys(void **state)
{
	struct err err = ERR_INIT;
	struct blob b = {.n = 0}, app;

	put_word(&b, "sk-ssh-ed25519@openssh.com");
	put(&b, "01234567890123456789012345678901", 32);
	assert_fails(parse_blob("sk-ssh-ed25519@openssh.com", &b, &err), ERR_INVALID, &err);
	app = b;
	put_word(&app, "ssh:");
	assert_ok(parse_blob("sk-ssh-ed25519@openssh.com", &app, &err), &err);
	app = b;
	put_word(&app, "");
	assert_fails(parse_blob("sk-ssh-ed25519@openssh.com", &app, &err), ERR_INVALID, &err);
	app = b;
	put_word(&app, "ssh:\n");
	assert_fails(parse_blob("sk-ssh-ed25519@openssh.com", &app, &err), ERR_INVALID, &err);

	b = (struct blob){.n = 0};
	put_word(&b, "sk-ecdsa-sha2-nistp256@openssh.com");
	put_word(&b, "nistp256");
	put_point(&b, 65, 4);
	put_word(&b, "ssh:");
	assert_ok(parse_blob("sk-ecdsa-sha2-nistp256@openssh.com", &b, &err), &err);
	put_word(&b, "more");
	assert_fails(parse_blob("sk-ecdsa-sha2-nistp256@openssh.com", &b, &err), ERR_INVALID, &err);
}

static void test_ed25519_blob(void **state)
{
	struct err err = ERR_INIT;
	struct blob b = {.n = 0};

	put_word(&b, "ssh-ed25519");
	put(&b, "01234567890123456789012345678901", 32);
	assert_ok(parse_blob("ssh-ed25519", &b, &err), &err);
	for (size_t n = 1; n < b.n; n++) { /* cut anywhere */
		struct blob cut = b;

		cut.n = n;
		assert_fails(parse_blob("ssh-ed25519", &cut, &err), ERR_INVALID, &err);
	}
	b.b[15] = 0xff; /* a length of 4 GiB */
	assert_fails(parse_blob("ssh-ed25519", &b, &err), ERR_INVALID, &err);
	b = (struct blob){.n = 0};
	put_word(&b, "ssh-ed25519");
	put(&b, "0123456789012345678901234567890", 31);
	assert_fails(parse_blob("ssh-ed25519", &b, &err), ERR_INVALID, &err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad_lines),
		cmocka_unit_test(test_bad_base64),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_rsa),
		cmocka_unit_test(test_ecdsa),
		cmocka_unit_test(test_security_keys),
		cmocka_unit_test(test_ed25519_blob),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
