#include "node/pubkey.h"

#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 16384

/* What is left of a blob; every read shortens it. */
struct part {
	const unsigned char *p;
	size_t n;
};

static int malformed(struct err *err)
{
	return err_set(err, ERR_INVALID,
		"this public key is damaged: what its base64 text holds is not a key of its type");
}

/* A length in four bytes, then so many bytes. */
static bool take(struct part *from, struct part *ret)
{
	size_t n;

	if (from->n < 4)
		return false;
	n = (size_t)from->p[0] << 24 | (size_t)from->p[1] << 16 | (size_t)from->p[2] << 8 |
	    from->p[3];
	if (n > from->n - 4)
		return false;
	*ret = (struct part){from->p + 4, n};
	from->p += 4 + n;
	from->n -= 4 + n;
	return true;
}

static bool take_word(struct part *from, const char *word)
{
	struct part got;

	return take(from, &got) && got.n == strlen(word) && memcmp(got.p, word, got.n) == 0;
}

/* A positive number in its shortest form. */
static bool take_number(struct part *from, struct part *ret, unsigned *ret_bits)
{
	struct part got;

	if (!take(from, &got) || got.n == 0 || got.p[0] & 0x80)
		return false;
	if (got.p[0] == 0) { /* only in front of a high bit */
		got.p++;
		got.n--;
		if (got.n == 0 || !(got.p[0] & 0x80))
			return false;
	}
	*ret_bits = (unsigned)got.n * 8 - (unsigned)(__builtin_clz(got.p[0]) - 24);
	*ret = got;
	return true;
}

static int check_rsa(struct part *blob, unsigned curve_bits, unsigned *ret_bits, struct err *err)
{
	struct part e, n;
	unsigned e_bits, n_bits;

	if (!take_number(blob, &e, &e_bits) || !take_number(blob, &n, &n_bits) || e_bits < 2 ||
		e_bits > 64 || !(e.p[e.n - 1] & 1) || !(n.p[n.n - 1] & 1))
		return malformed(err);
	if (n_bits < RSA_BITS_MIN || n_bits > RSA_BITS_MAX)
		return err_set(err, ERR_INVALID,
			"an RSA key of %u bits is not accepted: it must have %d to %d", n_bits,
			RSA_BITS_MIN, RSA_BITS_MAX);
	*ret_bits = n_bits;
	return 0;
}

static int check_ed25519(
	struct part *blob, unsigned curve_bits, unsigned *ret_bits, struct err *err)
{
	struct part point;

	if (!take(blob, &point) || point.n != 32)
		return malformed(err);
	*ret_bits = 256;
	return 0;
}

static int check_ecdsa(struct part *blob, unsigned curve_bits, unsigned *ret_bits, struct err *err)
{
	_cleanup_free_ char *curve = xasprintf("nistp%u", curve_bits);
	struct part point;

	/* 4: an uncompressed point, two coordinates */
	if (!take_word(blob, curve) || !take(blob, &point) ||
		point.n != 1 + 2 * ((curve_bits + 7) / 8) || point.p[0] != 4)
		return malformed(err);
	*ret_bits = curve_bits;
	return 0;
}

static bool take_application(struct part *from)
{
	struct part name;

	if (!take(from, &name) || name.n == 0 || name.n > 255)
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] <= 0x20 || name.p[i] >= 0x7f)
			return false;
	return true;
}

static const struct kind {
	const char *type;
	int (*check)(struct part *blob, unsigned curve_bits, unsigned *ret_bits, struct err *err);
	unsigned curve_bits;
	bool on_token; /* a security key: the name of an application follows */
} kinds[] = {
	{"ssh-ed25519", check_ed25519},
	{"ssh-rsa", check_rsa},
	{"ecdsa-sha2-nistp256", check_ecdsa, 256},
	{"ecdsa-sha2-nistp384", check_ecdsa, 384},
	{"ecdsa-sha2-nistp521", check_ecdsa, 521},
	{"sk-ssh-ed25519@openssh.com", check_ed25519, 0, true},
	{"sk-ecdsa-sha2-nistp256@openssh.com", check_ecdsa, 256, true},
};

static const struct kind *find_kind(const char *type)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (str_eq(kinds[i].type, type))
			return &kinds[i];
	return NULL;
}

static int digit64(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* Canonical only: padded, and no bits set that belong to no byte. False if it is not. */
static bool decode64(const char *text, unsigned char *buf, size_t *ret_n)
{
	size_t len = strlen(text), n = 0, pad;

	if (len == 0 || len % 4)
		return false;
	pad = text[len - 1] != '=' ? 0 : text[len - 2] != '=' ? 1 : 2;
	for (size_t i = 0; i < len; i += 4) {
		size_t missing = i + 4 == len ? pad : 0;
		uint32_t v = 0;

		for (size_t k = 0; k < 4; k++) {
			int d = k + missing >= 4 ? 0 : digit64(text[i + k]);

			if (d < 0)
				return false;
			v = v << 6 | (uint32_t)d;
		}
		if (v & ((1u << 8 * missing) - 1))
			return false;
		for (size_t k = 0; k < 3 - missing; k++)
			buf[n++] = (unsigned char)(v >> (16 - 8 * k));
	}
	*ret_n = n;
	return true;
}

static int check_blob(const struct kind *kind, struct pubkey *k, struct err *err)
{
	_cleanup_free_ unsigned char *raw = xmalloc(strlen(k->blob) + 1);
	struct part blob = {raw, 0};
	int r;

	if (!decode64(k->blob, raw, &blob.n))
		return err_set(err, ERR_INVALID,
			"the second word of a public key is base64 text: this one is damaged or "
			"cut");
	if (!take_word(&blob, kind->type))
		return err_set(err, ERR_INVALID,
			"this public key says %s but holds a key of another type", kind->type);
	r = kind->check(&blob, kind->curve_bits, &k->bits, err);
	if (r < 0)
		return r;
	if ((kind->on_token && !take_application(&blob)) || blob.n)
		return malformed(err);
	return 0;
}

/* The word at *s, ended in place; *s moves on to the next one. */
static char *cut_word(char **s)
{
	char *word = *s + strspn(*s, " \t");
	char *end = word + strcspn(word, " \t");

	*s = end + strspn(end, " \t");
	*end = '\0';
	return word;
}

/* One line, trimmed, or an error that says what the text is instead. */
static int one_line(const char *line, size_t n, char **ret, struct err *err)
{
	_cleanup_free_ char *copy = NULL;
	char *text;

	if (n > PUBKEY_LINE_MAX)
		return err_set(err, ERR_INVALID, "a public key is one line of at most %d bytes",
			PUBKEY_LINE_MAX);
	copy = xstrndup(line, n);
	if (strlen(copy) != n)
		return err_set(err, ERR_INVALID, "a public key has no NUL bytes");
	text = str_trim(copy);
	if (!*text)
		return err_set(err, ERR_INVALID, "there is no public key: give it on one line");
	if (strstr(text, "PRIVATE KEY"))
		return err_set(err, ERR_INVALID,
			"this is a private key: it stays where it is, give the public one (.pub)");
	if (strpbrk(text, "\r\n"))
		return err_set(
			err, ERR_INVALID, "there is more than one line: give one public key");
	*ret = xstrdup(text);
	return 0;
}

static int unknown_type(const char *word, struct err *err)
{
	if (strpbrk(word, "=,\"") || str_eq(word, "restrict") || str_starts(word, "no-") ||
		str_eq(word, "cert-authority"))
		return err_set(err, ERR_INVALID,
			"options in front of a key are not accepted: give the bare public key");
	return err_set(err, ERR_INVALID,
		"\"%.64s\" is not a type of key that is accepted: ssh-ed25519, ssh-rsa from %d "
		"bits, "
		"ecdsa-sha2-nistp256, -384, -521 and those on security keys (sk-) are",
		word, RSA_BITS_MIN);
}

int pubkey_parse(const char *line, size_t n, struct pubkey *ret, struct err *err)
{
	_cleanup_(pubkey_done) struct pubkey k = {0};
	_cleanup_free_ char *text = NULL, *shown = NULL;
	const struct kind *kind;
	char *at, *type;
	int r = one_line(line, n, &text, err);

	if (r < 0)
		return r;
	at = text;
	type = cut_word(&at);
	kind = find_kind(type);
	if (!kind)
		return unknown_type(type, err);
	k.type = kind->type;
	k.blob = xstrdup(cut_word(&at));
	k.comment = xstrdup(at);
	shown = str_escape(at, strlen(at));
	if (strlen(at) > PUBKEY_COMMENT_MAX || !str_eq(shown, at))
		return err_set(err, ERR_INVALID,
			"the comment of a public key is printable and has at most %d bytes",
			PUBKEY_COMMENT_MAX);
	r = check_blob(kind, &k, err);
	if (r < 0)
		return r;
	*ret = k;
	k = (struct pubkey){0};
	return 0;
}

void pubkey_done(struct pubkey *k)
{
	free(k->blob);
	free(k->comment);
	*k = (struct pubkey){0};
}
