#include "node/keys.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/str.h"
#include "node/address.h"
#include "node/passphrase.h"
#include "node/pools.h"
#include "node/pubkey.h"
#include "node/state_sql.h"

#define NAME_MAX_BYTES 64 /* as struct auth_key has it */
#define CTID_MAX       128

/* Nothing that a shell, sshd or a terminal reads as more than a name: names stand in the forced
 * command, which sshd gives to the receive user's shell. */
#define NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:@-"
#define CTID_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-*?[]!^"

#define COLUMNS                                                                                    \
	"name, type || ' ' || blob || ' ' || comment, ctid, addresses, passphrase, single_use, "   \
	"in_use, allow_refused, pool, added, allow_devices"

static int check_name(const char *name, struct err *err)
{
	size_t n = strlen(name);

	if (n == 0 || n > NAME_MAX_BYTES || strspn(name, NAME_CHARS) != n || name[0] == '-')
		return err_set(err, ERR_INVALID,
			"\"%.80s\" is not a name for a key: up to %d letters, digits, _ . : @ and "
			"-, "
			"not - in front",
			name, NAME_MAX_BYTES);
	return 0;
}

static int check_rules(const struct auth_key *with, struct err *err)
{
	int r = with->name[0] ? check_name(with->name, err) : 0;

	if (r >= 0 && with->from)
		r = address_list_check(with->from, err);
	if (r >= 0 && with->pool)
		r = pools_check_name(with->pool, err);
	if (r < 0 || !with->ctid)
		return r;
	if (!*with->ctid || strlen(with->ctid) > CTID_MAX ||
		with->ctid[strspn(with->ctid, CTID_CHARS)])
		return err_set(err, ERR_INVALID,
			"\"%.64s\" is not a pattern of container names: 1 to %d letters, digits, "
			"_ . - and * ? [ ]",
			with->ctid, CTID_MAX);
	return 0;
}

/* What of a comment can stand in a name: "root@web 1" gives "root@web_1". */
static char *name_of_comment(const char *comment)
{
	char *name, *p;

	comment += strspn(comment, "- ");
	name = p = xstrndup(*comment ? comment : "key", NAME_MAX_BYTES - 6); /* -99999 */
	for (; *p; p++)
		if (!strchr(NAME_CHARS, *p))
			*p = '_';
	return name;
}

static int name_is_free(struct state *s, const char *name, struct err *err)
{
	_cleanup_rows_ struct rows *rows = NULL;
	int r = state_query(s, &rows, err, "SELECT 1 FROM auth_key WHERE name = ?1", "s", name);

	if (r >= 0)
		r = rows_next(rows, err);
	return r < 0 ? r : r == 0;
}

static int choose_name(struct state *s, const struct auth_key *with, const char *comment,
	char **ret, struct err *err)
{
	_cleanup_free_ char *base = with->name[0] ? xstrdup(with->name) : name_of_comment(comment);

	for (unsigned i = 1; i <= 99999; i++) {
		_cleanup_free_ char *name = i == 1 ? xstrdup(base) : xasprintf("%s-%u", base, i);
		int r = name_is_free(s, name, err);

		if (r < 0)
			return r;
		if (r > 0) {
			*ret = TAKE_PTR(name);
			return 0;
		}
		if (with->name[0])
			break;
	}
	return err_set(err, ERR_EXISTS,
		"there is an authorised key %s already: wherry receive authorized-keys list", base);
}

static int check_new(struct state *s, const struct pubkey *k, struct err *err)
{
	_cleanup_rows_ struct rows *rows = NULL;
	int r = state_query(
		s, &rows, err, "SELECT name FROM auth_key WHERE blob = ?1", "s", k->blob);

	if (r >= 0)
		r = rows_next(rows, err);
	if (r <= 0)
		return r;
	return err_set(err, ERR_EXISTS,
		"this key is authorised already, as %s: wherry receive authorized-keys del %s "
		"first",
		rows_str(rows, 0), rows_str(rows, 0));
}

static int add(struct state *s, const struct pubkey *k, const struct auth_key *with,
	const char *digest, char **ret_name, struct err *err)
{
	_cleanup_free_ char *name = NULL;
	int r = check_new(s, k, err);

	if (r >= 0)
		r = choose_name(s, with, k->comment, &name, err);
	if (r >= 0)
		r = state_exec(s, err,
			"INSERT INTO auth_key (name, type, blob, comment, ctid, addresses, "
			"passphrase, single_use, in_use, allow_refused, pool, added, "
			"allow_devices)"
			" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, ?9, ?10, ?11, ?12)",
			"sssssssbbsub", name, k->type, k->blob, k->comment, with->ctid, with->from,
			digest, with->single_use, with->allow_refused, with->pool, clock_wall(),
			with->allow_devices);
	if (r >= 0)
		r = auth_key_write_file(s, err);
	if (r >= 0)
		*ret_name = TAKE_PTR(name);
	return r;
}

int auth_key_add(struct state *s, const char *line, size_t n, const struct auth_key *with,
	const char *passphrase, char **ret_name, struct err *err)
{
	static const struct auth_key none;
	_cleanup_(pubkey_done) struct pubkey k = {0};
	_cleanup_free_ char *digest = NULL, *name = NULL;
	int r = pubkey_parse(line, n, &k, err), tx;

	if (!with)
		with = &none;
	if (r >= 0)
		r = check_rules(with, err);
	if (r >= 0 && passphrase)
		r = passphrase_digest(passphrase, &digest, err);
	if (r < 0)
		return r;
	tx = state_enter(s, err);
	if (tx < 0)
		return tx;
	r = state_leave(s, tx, add(s, &k, with, digest, &name, err), err);
	if (r < 0)
		return r;
	*ret_name = TAKE_PTR(name);
	return 0;
}

static int no_key(const char *name, struct err *err)
{
	return err_set(err, ERR_NOT_FOUND,
		"there is no authorised key %.80s: wherry receive authorized-keys list shows all",
		name);
}

int auth_key_del(struct state *s, const char *name, struct err *err)
{
	int tx = state_enter(s, err), r;

	if (tx < 0)
		return tx;
	r = state_exec(s, err, "DELETE FROM auth_key WHERE name = ?1", "s", name);
	if (r == 0)
		r = no_key(name, err);
	if (r >= 0)
		r = auth_key_write_file(s, err);
	return state_leave(s, tx, r, err);
}

static struct auth_key read_row(struct rows *rows)
{
	struct auth_key k = {
		.pubkey = rows_dup(rows, 1),
		.ctid = rows_dup(rows, 2),
		.from = rows_dup(rows, 3),
		.passphrase = rows_dup(rows, 4),
		.single_use = rows_bool(rows, 5),
		.in_use = rows_bool(rows, 6),
		.allow_refused = rows_bool(rows, 7),
		.pool = rows_dup(rows, 8),
		.added = rows_u64(rows, 9),
		.allow_devices = rows_bool(rows, 10),
	};

	rows_copy(rows, 0, k.name, sizeof(k.name));
	str_trim(k.pubkey); /* the blank before an empty comment */
	return k;
}

int auth_key_get(struct state *s, const char *name, struct auth_key *ret, struct err *err)
{
	_cleanup_rows_ struct rows *rows = NULL;
	int r = state_query(
		s, &rows, err, "SELECT " COLUMNS " FROM auth_key WHERE name = ?1", "s", name);

	if (r >= 0)
		r = rows_next(rows, err);
	if (r == 0)
		return no_key(name, err);
	if (r < 0)
		return r;
	*ret = read_row(rows);
	return 0;
}

int auth_key_list(struct state *s, struct auth_key_vec *ret, struct err *err)
{
	_cleanup_(auth_key_vec_free) struct auth_key_vec list = {0};
	_cleanup_rows_ struct rows *rows = NULL;
	int r = state_query(s, &rows, err, "SELECT " COLUMNS " FROM auth_key ORDER BY name", "");

	while (r >= 0 && (r = rows_next(rows, err)) > 0)
		*auth_key_vec_push(&list) = read_row(rows);
	if (r < 0)
		return r;
	*ret = list;
	list = (struct auth_key_vec){0};
	return 0;
}

static int in_use_already(const struct auth_key *k, struct err *err)
{
	return err_set(err, ERR_DENIED, "the key %s is for a single send and is in use by another",
		k->name);
}

int auth_key_allows(const struct auth_key *k, const char *ct, const char *address,
	const char *passphrase, const char *pool, struct err *err)
{
	if (k->single_use && k->in_use)
		return in_use_already(k, err);
	if (k->from && !address_list_has(k->from, address))
		return err_set(err, ERR_DENIED, "the key %s may not be used from %s", k->name,
			address ? address : "an unknown address");
	if (k->ctid && fnmatch(k->ctid, ct, 0) != 0)
		return err_set(err, ERR_DENIED, "the key %s may not bring a container named %s",
			k->name, ct);
	if (k->pool && !str_eq(k->pool, pool))
		return err_set(err, ERR_DENIED,
			"the key %s may bring containers only into the pool %s", k->name, k->pool);
	if (k->passphrase && !(passphrase && passphrase_matches(k->passphrase, passphrase)))
		return err_set(err, ERR_DENIED, "the key %s needs %s passphrase", k->name,
			passphrase ? "another" : "a");
	return 0;
}

int auth_key_set_in_use(struct state *s, const char *name, bool in_use, struct err *err)
{
	struct auth_key k = {0};
	int tx, r;

	if (!in_use) {
		r = state_exec(s, err, "UPDATE auth_key SET in_use = 0 WHERE name = ?1", "s", name);
		return r < 0 ? r : 0;
	}
	tx = state_enter(s, err);
	if (tx < 0)
		return tx;
	r = auth_key_get(s, name, &k, err);
	if (r >= 0 && k.single_use && k.in_use)
		r = in_use_already(&k, err);
	if (r >= 0)
		r = state_exec(s, err, "UPDATE auth_key SET in_use = 1 WHERE name = ?1", "s", name);
	auth_key_done(&k);
	r = state_leave(s, tx, r, err);
	return r < 0 ? r : 0;
}

static void add_line(struct str *out, const struct auth_key *k)
{
	if (k->from)
		str_addf(out, "from=\"%s\",", k->from);
	str_addf(out, "command=\"" WHERRY_LIBDIR "/wherry-receive %s\",restrict %s\n", k->name,
		k->pubkey);
}

static int make_passable(const char *folder, struct err *err)
{
	struct stat st;
	int r = file_mkdirs(folder, 0711, err);

	if (r < 0)
		return r;
	if (stat(folder, &st) < 0 ||
		((st.st_mode & 0111) != 0111 && chmod(folder, (st.st_mode & 07777) | 0111) < 0))
		return err_errno(err, "let sshd pass through %s", folder);
	return 0;
}

int auth_key_write_file(struct state *s, struct err *err)
{
	_cleanup_free_ char *folder = xasprintf("%s/send-receive", state_dir());
	_cleanup_free_ char *path = xasprintf("%s/authorized_keys", folder);
	_cleanup_(auth_key_vec_free) struct auth_key_vec list = {0};
	_cleanup_(str_done) struct str out = STR_INIT;
	int tx = state_enter(s, err), r; /* so that no older list is written after a newer one */

	if (tx < 0)
		return tx;
	r = auth_key_list(s, &list, err);
	str_add(&out, "# Written by Wherry: see wherry receive authorized-keys.\n");
	for (size_t i = 0; i < list.n; i++)
		add_line(&out, &list.v[i]);
	if (r >= 0)
		r = make_passable(state_dir(), err);
	if (r >= 0)
		r = make_passable(folder, err);
	if (r >= 0)
		r = file_replace(path, out.buf, out.len, 0644, err);
	return state_leave(s, tx, r, err);
}

void auth_key_done(struct auth_key *k)
{
	free(k->pubkey);
	free(k->ctid);
	free(k->from);
	free(k->passphrase);
	free(k->pool);
	k->pubkey = k->ctid = k->from = k->passphrase = k->pool = NULL;
}

void auth_key_vec_free(struct auth_key_vec *v)
{
	for (size_t i = 0; i < v->n; i++)
		auth_key_done(&v->v[i]);
	auth_key_vec_done(v);
}
