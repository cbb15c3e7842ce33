#include "node/keys.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/dirs.h"
#include "base/file.h"
#include "base/proc.h"
#include "base/str.h"

#define FILE_MAX 65536

const char *send_key_path(bool public_half)
{
	static char path[2][PATH_MAX];

	snprintf(path[public_half], sizeof(path[0]), "%s/send-receive/key%s", dirs_state(),
		public_half ? ".pub" : "");
	return path[public_half];
}

static const struct kind {
	const char *name;
	unsigned usual, sizes[4]; /* of the key in bits; least and most if only two */
} kinds[] = {
	{"ed25519", 256, {256, 256}},
	{"rsa", 4096, {2048, 16384}},
	{"ecdsa", 521, {256, 384, 521}},
};

static bool size_fits(const struct kind *k, unsigned bits)
{
	if (!k->sizes[2])
		return bits >= k->sizes[0] && bits <= k->sizes[1];
	for (size_t i = 0; i < ARRAY_SIZE(k->sizes); i++)
		if (bits && bits == k->sizes[i])
			return true;
	return false;
}

static int choose(const char *type, unsigned bits, const struct kind **ret, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const struct kind *k = &kinds[i];

		if (!str_eq(k->name, type))
			continue;
		if (bits && !size_fits(k, bits))
			return err_set(err, ERR_INVALID,
				"a key of type %s cannot have %u bits: rsa has 2048 to 16384, "
				"ecdsa 256, 384 or 521, ed25519 256",
				type, bits);
		*ret = k;
		return 0;
	}
	return err_set(
		err, ERR_INVALID, "\"%.32s\" is not a type of key: ed25519, rsa or ecdsa", type);
}

static char *comment(void)
{
	char host[HOST_NAME_MAX + 1] = "";

	gethostname(host, sizeof(host) - 1);
	for (char *p = host; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr(".-_", *p))
			*p = '_';
	return xasprintf("wherry@%s", host);
}

static int generate(const struct kind *k, unsigned bits, const char *path, struct err *err)
{
	_cleanup_free_ char *size = xasprintf("%u", bits ? bits : k->usual), *who = comment();
	const char *argv[] = {"ssh-keygen", "-q", "-t", k->name, "-b", size, "-N", "", "-C", who,
		"-f", path, NULL};

	return proc_run(argv, err);
}

/* The old private half goes last out and the new one first in: ssh manages without the public half,
 * but not with one of another pair. */
static int install(const char *path, const char *path_pub, struct err *err)
{
	_cleanup_free_ char *private = NULL, *public = NULL;
	size_t n_private, n_public;
	int r = file_read(path, FILE_MAX, &private, &n_private, err);

	if (r >= 0)
		r = file_read(path_pub, FILE_MAX, &public, &n_public, err);
	if (r >= 0)
		r = file_remove(send_key_path(true), err);
	if (r >= 0)
		r = file_replace(send_key_path(false), private, n_private, 0600, err);
	if (r >= 0)
		r = file_replace(send_key_path(true), public, n_public, 0644, err);
	if (private)
		explicit_bzero(private, n_private);
	return r;
}

static int replace(const struct kind *k, unsigned bits, struct err *err)
{
	_cleanup_free_ char *tmp = xasprintf("%s.new", send_key_path(false));
	_cleanup_free_ char *tmp_pub = xasprintf("%s.pub", tmp);
	struct err ignored = ERR_INIT;
	int r;

	unlink(tmp);
	unlink(tmp_pub);
	r = generate(k, bits, tmp, err);
	if (r >= 0)
		r = install(tmp, tmp_pub, err);
	if (file_remove(tmp, &ignored) < 0 || file_remove(tmp_pub, &ignored) < 0)
		return r < 0 ? r : err_copy(err, &ignored);
	return r;
}

int send_key_gen(const char *type, unsigned bits, bool force, struct err *err)
{
	_cleanup_free_ char *folder = xasprintf("%s/send-receive", dirs_state());
	_cleanup_free_ char *lock_path = xasprintf("%s/.lock", folder);
	_cleanup_close_ int lock = -1;
	const struct kind *k = NULL;
	int r = choose(type ? type : "ed25519", bits, &k, err);

	if (r >= 0)
		r = file_mkdirs(dirs_state(), 0711, err);
	if (r >= 0)
		r = file_mkdirs(folder, 0711, err);
	if (r >= 0)
		r = file_lock(lock_path, true, &lock, err);
	if (r < 0)
		return r;
	if (!force && (file_exists(send_key_path(false)) || file_exists(send_key_path(true))))
		return err_set(err, ERR_EXISTS,
			"there is a send key already, %s: a new one (--force) must be authorised "
			"again on every host",
			send_key_path(false));
	return replace(k, bits, err);
}
