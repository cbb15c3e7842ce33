#include "base/str.h"

#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"

static void reserve(struct str *s, size_t more)
{
	size_t need, cap = s->cap ? s->cap : 64;

	if (__builtin_add_overflow(s->len, more, &need) || need >= SIZE_MAX / 2)
		abort();
	need++; /* the NUL */
	if (need <= s->cap)
		return;
	while (cap < need)
		cap *= 2;
	s->buf = xreallocarray(s->buf, cap, 1);
	s->cap = cap;
}

void str_addn(struct str *s, const void *bytes, size_t n)
{
	reserve(s, n);
	if (n)
		memcpy(s->buf + s->len, bytes, n);
	s->len += n;
	s->buf[s->len] = '\0';
}

void str_add(struct str *s, const char *text)
{
	str_addn(s, text, strlen(text));
}

void str_addc(struct str *s, char c)
{
	str_addn(s, &c, 1);
}

void str_addf(struct str *s, const char *fmt, ...)
{
	va_list ap, again;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		abort();
	reserve(s, (size_t)n);
	vsnprintf(s->buf + s->len, (size_t)n + 1, fmt, again);
	va_end(again);
	s->len += (size_t)n;
}

void str_trunc(struct str *s, size_t len)
{
	if (len < s->len) {
		s->len = len;
		s->buf[len] = '\0';
	}
}

char *str_take(struct str *s)
{
	char *p = s->buf ? s->buf : xstrdup("");

	*s = (struct str)STR_INIT;
	return p;
}

void str_done(struct str *s)
{
	free(s->buf);
	*s = (struct str)STR_INIT;
}

bool str_starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *s, const char *suffix)
{
	size_t n = strlen(s), k = strlen(suffix);

	return n >= k && memcmp(s + n - k, suffix, k) == 0;
}

bool str_eq(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

/* Takes the string over. */
static void push_owned(char ***v, char *s)
{
	size_t n = strv_len(*v);

	*v = xreallocarray(*v, n + 2, sizeof(char *));
	(*v)[n] = s;
	(*v)[n + 1] = NULL;
}

char **str_split(const char *s, const char *seps, bool keep_empty)
{
	char **v = xcalloc(1, sizeof(char *));
	size_t count = 0, cap = 1;

	for (;;) {
		size_t n = strcspn(s, seps);

		if (n || keep_empty) {
			if (count + 1 == cap) {
				cap *= 2;
				v = xreallocarray(v, cap, sizeof(char *));
			}
			v[count++] = xstrndup(s, n);
			v[count] = NULL;
		}
		if (!s[n])
			return v;
		s += n + 1;
	}
}

char **str_words(const char *s)
{
	return str_split(s, " \t\r\n\f\v", false);
}

char *str_join(char *const *v, const char *sep)
{
	struct str s = STR_INIT;

	for (size_t i = 0; v && v[i]; i++) {
		if (i)
			str_add(&s, sep);
		str_add(&s, v[i]);
	}
	return str_take(&s);
}

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

char *str_trim(char *s)
{
	size_t n;

	while (is_blank(*s))
		s++;
	n = strlen(s);
	while (n && is_blank(s[n - 1]))
		s[--n] = '\0';
	return s;
}

/* Length of the printable UTF-8 sequence at s, or 0: control characters (C1 too), overlong forms,
 * surrogates. */
static size_t printable(const unsigned char *s, size_t n)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t len = s[0] < 0x80 ? 1 : s[0] < 0xc0 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	uint32_t c;

	if (len == 1)
		return s[0] >= 0x20 && s[0] != 0x7f;
	if (len == 0 || s[0] > 0xf4 || n < len)
		return 0;
	c = s[0] & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) || c < 0xa0)
		return 0;
	return len;
}

char *str_escape(const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s;
	struct str out = STR_INIT;

	for (size_t i = 0; i < n;) {
		size_t len = printable(p + i, n - i);

		if (len)
			str_addn(&out, p + i, len);
		else
			str_addf(&out, "\\x%02x", p[i]);
		i += len ? len : 1;
	}
	return str_take(&out);
}

size_t strv_len(char *const *v)
{
	size_t n = 0;

	while (v && v[n])
		n++;
	return n;
}

void strv_free(char **v)
{
	for (size_t i = 0; v && v[i]; i++)
		free(v[i]);
	free(v);
}

void strv_freep(char ***v)
{
	strv_free(*v);
}

bool strv_has(char *const *v, const char *s)
{
	for (size_t i = 0; v && v[i]; i++)
		if (strcmp(v[i], s) == 0)
			return true;
	return false;
}

void strv_push(char ***v, const char *s)
{
	push_owned(v, xstrdup(s));
}
