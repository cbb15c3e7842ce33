#include "node/passphrase.h"

#include <crypt.h>
#include <string.h>

#include "base/alloc.h"

#define METHOD "$y$"

/* setting: a fresh salt or a digest. NULL if libcrypt fails. */
static char *digest_with(const char *setting, const char *text)
{
	struct crypt_data *data = xnew(struct crypt_data);
	char *got = crypt_rn(text, setting, data, (int)sizeof(*data));
	char *copy = got ? xstrdup(got) : NULL;

	explicit_bzero(data, sizeof(*data));
	free(data);
	return copy;
}

int passphrase_digest(const char *text, char **ret, struct err *err)
{
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];
	char *digest;

	if (!*text || strlen(text) > PASSPHRASE_MAX)
		return err_set(err, ERR_INVALID, "a passphrase has 1 to %d bytes", PASSPHRASE_MAX);
	if (!crypt_gensalt_rn(METHOD, 0, NULL, 0, setting, (int)sizeof(setting)))
		return err_errno(err, "make a salt");
	digest = digest_with(setting, text);
	if (!digest)
		return err_errno(err, "digest the passphrase");
	*ret = digest;
	return 0;
}

static bool equal(const char *a, const char *b)
{
	size_t n = strlen(a);
	unsigned char differs = 0;

	if (strlen(b) != n)
		return false;
	for (size_t i = 0; i < n; i++)
		differs |= (unsigned char)(a[i] ^ b[i]);
	return differs == 0;
}

bool passphrase_matches(const char *digest, const char *text)
{
	_cleanup_free_ char *got = NULL;

	if (strlen(text) > PASSPHRASE_MAX)
		return false;
	got = digest_with(digest, text);
	return got && equal(got, digest);
}
