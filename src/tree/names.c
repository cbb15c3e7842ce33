#include "tree/names.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "tree/digest.h"

#define SEEN UINT32_C(0x80000000)

static const char *text_of(const struct names *s, uint32_t v)
{
	return s->text.buf + (v & ~SEEN) - 1;
}

static uint32_t *slot_of(const struct names *s, const char *name)
{
	size_t i = digest_u64(name, strlen(name)) & (s->cap - 1);

	while (s->v[i] && strcmp(text_of(s, s->v[i]), name) != 0)
		i = (i + 1) & (s->cap - 1);
	return &s->v[i];
}

void names_add(struct names *s, const char *name)
{
	if (s->n * 2 >= s->cap) {
		uint32_t *old = s->v;
		size_t n = s->cap;

		s->cap = n ? n * 2 : 64;
		s->v = xcalloc(s->cap, sizeof(*s->v));
		for (size_t i = 0; i < n; i++)
			if (old[i])
				*slot_of(s, text_of(s, old[i])) = old[i];
		free(old);
	}
	if (*slot_of(s, name))
		return;
	*slot_of(s, name) = (uint32_t)s->text.len + 1;
	str_addn(&s->text, name, strlen(name) + 1);
	s->n++;
}

int names_read(struct names *s, int dirfd, struct err *err)
{
	char buf[32768];

	names_clear(s);
	(void)lseek(dirfd, 0, SEEK_SET);
	for (;;) {
		ssize_t n = syscall(SYS_getdents64, dirfd, buf, sizeof(buf));

		if (n < 0)
			return err_errno(err, "list folder");
		if (n == 0)
			return 0;
		for (ssize_t at = 0; at < n;) {
			const struct dirent64 *d = (const struct dirent64 *)(buf + at);

			at += d->d_reclen;
			if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
				names_add(s, d->d_name);
		}
	}
}

bool names_see(struct names *s, const char *name)
{
	uint32_t *v = s->cap ? slot_of(s, name) : NULL;

	if (!v || !*v)
		return false;
	*v |= SEEN;
	return true;
}

const char *names_unseen(const struct names *s, size_t *pos)
{
	for (; *pos < s->cap; (*pos)++)
		if (s->v[*pos] && !(s->v[*pos] & SEEN))
			return text_of(s, s->v[(*pos)++]);
	return NULL;
}

void names_clear(struct names *s)
{
	if (s->n)
		memset(s->v, 0, s->cap * sizeof(*s->v));
	s->n = 0;
	str_trunc(&s->text, 0);
}

void names_done(struct names *s)
{
	free(s->v);
	str_done(&s->text);
	*s = (struct names){0};
}
