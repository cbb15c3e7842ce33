#include "cli/command.h"

#include <string.h>

#include "base/str.h"

static size_t table_of(const struct command *c)
{
	for (size_t t = 0; command_tables[t]; t++)
		for (const struct command *x = command_tables[t]; x->words; x++)
			if (x == c)
				return t;
	return 0;
}

const struct command *command_next(const struct command *c)
{
	size_t t;

	if (!c)
		return command_tables[0];
	t = table_of(c);
	c++;
	while (!c->words) {
		c = command_tables[++t];
		if (!c)
			return NULL;
	}
	return c;
}

/* The last word may be an alias. */
static bool is_called(const struct command *c, char *const *words, size_t n)
{
	_cleanup_strv_ char **own = str_words(c->words);
	_cleanup_strv_ char **aliases = c->alias ? str_words(c->alias) : NULL;

	if (strv_len(own) != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!str_eq(own[i], words[i]) &&
			!(i == n - 1 && aliases && strv_has(aliases, words[i])))
			return false;
	return true;
}

const struct command *command_find(char *const *words, size_t n)
{
	for (const struct command *c = command_next(NULL); c; c = command_next(c))
		if (is_called(c, words, n))
			return c;
	return NULL;
}

bool command_is_group(char *const *words, size_t n)
{
	for (const struct command *c = command_next(NULL); c; c = command_next(c)) {
		_cleanup_strv_ char **own = str_words(c->words);
		size_t same = 0;

		while (same < n && own[same] && str_eq(own[same], words[same]))
			same++;
		if (same == n && own[n])
			return true;
	}
	return false;
}

/* How many letters must be put in, left out, changed or swapped. */
static size_t distance(const char *a, const char *b)
{
	size_t d[3][32], n = strlen(a), m = strlen(b);

	if (n >= 32 || m >= 32)
		return 32;
	for (size_t j = 0; j <= m; j++)
		d[0][j] = j;
	for (size_t i = 1; i <= n; i++) {
		size_t *now = d[i % 3], *before = d[(i + 2) % 3], *two = d[(i + 1) % 3];

		now[0] = i;
		for (size_t j = 1; j <= m; j++) {
			size_t cost = a[i - 1] != b[j - 1];

			now[j] = MIN(MIN(before[j] + 1, now[j - 1] + 1), before[j - 1] + cost);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = MIN(now[j], two[j - 2] + 1);
		}
	}
	return d[n % 3][m];
}

const char *nearest(const char *word, char *const *candidates)
{
	size_t best = MIN((size_t)3, strlen(word) / 2 + 1); /* further is no typing error */
	const char *found = NULL;

	for (size_t i = 0; candidates && candidates[i]; i++) {
		size_t far = distance(word, candidates[i]);

		if (far < best) {
			best = far;
			found = candidates[i];
		}
	}
	return found;
}
