#include "node/state.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/dirs.h"
#include "base/fault.h"
#include "base/file.h"
#include "node/room.h"
#include "node/state_sql.h"

#define APPLICATION_ID	   0x57687279 /* "Whry" in the file's header */
#define BUSY_MSEC	   30000
#define BUSY_READONLY_MSEC 3000

/* Entry n leads from version n to version n + 1. Never change one that was released: add the next.
 * Words stand for enums, so that an administrator can read the tables and no number ever shifts. */
static const char *const migrations[] = {
	"CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;"

	"CREATE TABLE ownership (ct TEXT PRIMARY KEY, kind TEXT NOT NULL,"
	" epoch INTEGER NOT NULL CHECK (epoch >= 0), token TEXT NOT NULL, peer TEXT NOT NULL,"
	" changed INTEGER NOT NULL) STRICT, WITHOUT ROWID;"

	"CREATE TABLE transfer (seq INTEGER PRIMARY KEY, token TEXT NOT NULL UNIQUE,"
	" role TEXT NOT NULL, phase TEXT NOT NULL, open INTEGER NOT NULL, ct TEXT NOT NULL,"
	" peer_ct TEXT NOT NULL, peer TEXT NOT NULL, port INTEGER NOT NULL,"
	" user TEXT NOT NULL, key TEXT NOT NULL, epoch INTEGER NOT NULL,"
	" opened INTEGER NOT NULL, changed INTEGER NOT NULL,"
	" opts TEXT NOT NULL, facts TEXT NOT NULL) STRICT;"
	"CREATE UNIQUE INDEX transfer_open ON transfer (ct) WHERE open;"

	"CREATE TABLE journal (seq INTEGER PRIMARY KEY AUTOINCREMENT,"
	" token TEXT NOT NULL, step TEXT NOT NULL,"
	" event TEXT NOT NULL, wall_nsec INTEGER NOT NULL, text TEXT NOT NULL) STRICT;"
	"CREATE INDEX journal_token ON journal (token, seq);"

	"CREATE TABLE job (id INTEGER PRIMARY KEY AUTOINCREMENT, state TEXT NOT NULL,"
	" call TEXT NOT NULL, ct TEXT NOT NULL, token TEXT NOT NULL, who TEXT NOT NULL,"
	" started INTEGER NOT NULL, ended INTEGER NOT NULL, pid INTEGER NOT NULL,"
	" result TEXT) STRICT;"
	"CREATE INDEX job_running ON job (id) WHERE state = 'running';"

	"CREATE TABLE history (seq INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL,"
	" ct TEXT NOT NULL, event TEXT NOT NULL, data TEXT NOT NULL) STRICT;"
	"CREATE INDEX history_ct ON history (ct, seq);"

	"CREATE TABLE auth_key (name TEXT PRIMARY KEY, type TEXT NOT NULL, blob TEXT NOT NULL "
	"UNIQUE,"
	" comment TEXT NOT NULL, ctid TEXT, addresses TEXT, passphrase TEXT,"
	" single_use INTEGER NOT NULL, in_use INTEGER NOT NULL, allow_refused INTEGER NOT NULL,"
	" pool TEXT, added INTEGER NOT NULL) STRICT;"

	"CREATE TABLE pool (name TEXT PRIMARY KEY, path TEXT NOT NULL UNIQUE, driver TEXT) STRICT;",

	/* In parentheses: one string of two lines, and clang knows that no comma is missing. */
	("CREATE TABLE pledge (token TEXT PRIMARY KEY, ct TEXT NOT NULL, kind TEXT NOT NULL,"
	 " facts TEXT NOT NULL) STRICT;"),

	"ALTER TABLE auth_key ADD COLUMN allow_devices INTEGER NOT NULL DEFAULT 0;",
};

const char *state_dir(void)
{
	return dirs_state();
}

static int run(struct state *s, const char *what, const char *sql, struct err *err)
{
	return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0
								       : state_fail(s, err, what);
}

static int pragma_get(struct state *s, const char *name, uint64_t *ret, struct err *err)
{
	_cleanup_free_ char *sql = xasprintf("PRAGMA %s", name);
	_cleanup_rows_ struct rows *rows = NULL;
	int r = state_query(s, &rows, err, sql, "");

	if (r >= 0)
		r = rows_first(rows, err);
	if (r >= 0)
		*ret = rows_u64(rows, 0);
	return r;
}

static int pragma_set(struct state *s, const char *name, uint64_t v, struct err *err)
{
	_cleanup_free_ char *sql = xasprintf("PRAGMA %s = %llu", name, (unsigned long long)v);

	return run(s, sql, sql, err);
}

/* The version comes first: a database that others migrate meanwhile gets both at once, so whoever
 * sees the version also sees the id. */
static int check_identity(struct state *s, uint64_t *ret_version, struct err *err)
{
	uint64_t id, version;
	int r = pragma_get(s, "user_version", &version, err);

	if (r >= 0)
		r = pragma_get(s, "application_id", &id, err);
	if (r < 0)
		return r;
	if (version > 0 && id != APPLICATION_ID)
		return err_set(
			err, ERR_STATE, "%s/state.db is not a database of Wherry", state_dir());
	if (version > ARRAY_SIZE(migrations))
		return err_set(err, ERR_STATE,
			"%s/state.db is of version %llu and this Wherry (" WHERRY_VERSION
			") knows none after %zu: install the Wherry that wrote it or a newer one",
			state_dir(), (unsigned long long)version, ARRAY_SIZE(migrations));
	*ret_version = version;
	return 0;
}

/* A database without a version is ours only if nothing is in it yet. */
static int check_empty(struct state *s, struct err *err)
{
	_cleanup_rows_ struct rows *rows = NULL;
	int r = state_query(s, &rows, err, "SELECT count(*) FROM sqlite_schema", "");

	if (r >= 0)
		r = rows_first(rows, err);
	if (r >= 0 && rows_u64(rows, 0) > 0)
		r = err_set(err, ERR_STATE, "%s/state.db is not a database of Wherry", state_dir());
	return r;
}

static int migrate_steps(struct state *s, uint64_t version, struct err *err)
{
	char id[41];
	int r = 0;

	for (uint64_t i = version; i < ARRAY_SIZE(migrations) && r >= 0; i++)
		r = run(s, "make the tables", migrations[i], err);
	state_token(id);
	if (r >= 0 && version == 0)
		r = state_exec(s, err, "INSERT INTO setting VALUES ('node_id', ?1)", "s", id);
	if (r >= 0)
		r = pragma_set(s, "application_id", APPLICATION_ID, err);
	return r < 0 ? r : pragma_set(s, "user_version", ARRAY_SIZE(migrations), err);
}

/* Under a lock of our own: SQLite does not wait for others when a database changes to WAL. */
static int migrate(struct state *s, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/state.lock", state_dir());
	_cleanup_close_ int lock_fd = -1;
	uint64_t version;
	int r = file_lock(path, true, &lock_fd, err), tx;

	if (r >= 0)
		r = check_identity(s, &version, err);
	if (r >= 0 && version == 0)
		r = check_empty(s, err);
	if (r >= 0)
		r = run(s, "switch to WAL", "PRAGMA journal_mode = WAL", err);
	if (r < 0)
		return r;
	tx = state_enter(s, err);
	return tx < 0 ? tx : state_leave(s, tx, migrate_steps(s, version, err), err);
}

static int read_node_id(struct state *s, struct err *err)
{
	_cleanup_rows_ struct rows *rows = NULL;
	int r = state_query(s, &rows, err, "SELECT value FROM setting WHERE name = 'node_id'", "");

	if (r >= 0)
		r = rows_first(rows, err);
	if (r >= 0)
		rows_copy(rows, 0, s->node_id, sizeof(s->node_id));
	return r;
}

/* Before SQLite does: it would obey the umask, and its -wal and -shm copy this file's mode. */
static int make_file(const char *path, struct err *err)
{
	_cleanup_close_ int fd = -1;
	int r;

	r = file_mkdirs(state_dir(), 0711, err);
	if (r < 0 || file_exists(path))
		return r;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_errno(err, "create %s", path);
	return file_sync_dir(state_dir(), err);
}

static int open_db(struct state *s, const char *path, int flags, int busy_msec, struct err *err)
{
	flags |= SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
	if (sqlite3_open_v2(path, &s->db, flags, NULL) != SQLITE_OK)
		return state_fail(s, err, "open");
	sqlite3_busy_timeout(s->db, busy_msec);
	return run(s, "open",
		"PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF",
		err);
}

int state_open(struct state **ret, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/state.db", state_dir());
	_cleanup_state_ struct state *s = xnew(struct state);
	uint64_t version;
	int r = make_file(path, err);

	if (r >= 0)
		r = open_db(s, path, SQLITE_OPEN_READWRITE, BUSY_MSEC, err);
	if (r >= 0)
		r = check_identity(s, &version, err);
	if (r >= 0 && version < ARRAY_SIZE(migrations))
		r = migrate(s, err);
	if (r >= 0)
		r = read_node_id(s, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(s);
	return 0;
}

int state_open_readonly(struct state **ret, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/state.db", state_dir());
	_cleanup_state_ struct state *s = xnew(struct state);
	uint64_t version;
	struct stat st;
	int r;

	if (stat(path, &st) < 0)
		return err_errno(err, "open %s", path);
	/* Read-only for us, not for SQLite: after a reboot it must make the -shm file again and
	 * go through what is left in the -wal file. */
	r = open_db(s, path, SQLITE_OPEN_READWRITE, BUSY_READONLY_MSEC, err);
	if (r >= 0)
		r = run(s, "open", "PRAGMA query_only = ON", err);
	if (r >= 0)
		r = check_identity(s, &version, err);
	if (r >= 0 && version == 0)
		r = err_set(err, ERR_NOT_FOUND, "%s is empty", path);
	if (r >= 0)
		r = read_node_id(s, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(s);
	return 0;
}

void state_close(struct state *s)
{
	if (!s)
		return;
	sqlite3_close(s->db);
	free(s);
}

void state_closep(struct state **s)
{
	state_close(*s);
}

int state_begin(struct state *s, struct err *err)
{
	int r;

	if (s->in_tx)
		return err_set(err, ERR_INTERNAL, "a transaction inside a transaction");
	if (s->vital && room_is_short())
		(void)room_use();
	r = run(s, "begin", "BEGIN IMMEDIATE", err);
	s->in_tx = r >= 0;
	return r;
}

/* SQLite ends a transaction by itself after some errors; what follows must not be written alone. */
static int check_alive(struct state *s, struct err *err)
{
	if (!s->in_tx || !sqlite3_get_autocommit(s->db))
		return 0;
	return err_set(err, ERR_IO, "%s/state.db: the transaction was given up after an error",
		state_dir());
}

static int commit(struct state *s, struct err *err)
{
	int r = check_alive(s, err);

	if (r >= 0)
		r = fault_point("state.commit.before", err);
	if (r >= 0)
		r = run(s, "commit", "COMMIT", err);
	if (r == -ERR_NO_SPACE && s->vital) /* for the next try */
		(void)room_use();
	return r;
}

int state_commit(struct state *s, struct err *err)
{
	int r = s->in_tx ? commit(s, err) : err_set(err, ERR_INTERNAL, "no transaction to commit");

	if (r < 0) {
		state_rollback(s);
		return r;
	}
	s->in_tx = false;
	return fault_point("state.commit.after", err);
}

void state_rollback(struct state *s)
{
	if (!sqlite3_get_autocommit(s->db))
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	s->in_tx = false;
}

int state_enter(struct state *s, struct err *err)
{
	int r;

	if (s->in_tx)
		return check_alive(s, err);
	r = state_begin(s, err);
	return r < 0 ? r : 1;
}

int state_leave(struct state *s, int entered, int r, struct err *err)
{
	int committed;

	if (!entered)
		return r;
	if (r < 0) {
		state_rollback(s);
		return r;
	}
	committed = state_commit(s, err);
	return committed < 0 ? committed : r;
}

void state_vital(struct state *s, bool vital)
{
	s->vital = vital;
}

const char *state_node_id(struct state *s)
{
	return s->node_id;
}

void state_token(char ret[41])
{
	unsigned char raw[20];

	if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
		abort(); /* up to 256 bytes come whole or not at all */
	for (size_t i = 0; i < sizeof(raw); i++)
		snprintf(ret + 2 * i, 3, "%02x", raw[i]);
}
