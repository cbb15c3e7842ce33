/*
 * Keys. The send key: this node's own pair (STATE/send-receive/key, key.pub), made by ssh-keygen.
 * The authorised keys: who may send containers to this node, with what; the file that sshd reads is
 * written from the database with each change, in the same transaction.
 *
 *	r = send_key_gen("ecdsa", 0, false, &err);		// ecdsa-sha2-nistp521
 *
 *	struct auth_key with = {.ctid = (char *)"web*", .single_use = true};
 *	r = auth_key_add(s, line, n, &with, NULL, &name, &err);
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/vec.h"
#include "node/state.h"

const char *send_key_path(bool public_half); /* static storage */
/* type "ed25519", "rsa" or "ecdsa", NULL is ed25519; bits 0: the type's usual (4096, 521). An
 * existing pair, or half of one, needs force (else -ERR_EXISTS). Comment wherry@HOSTNAME. */
int send_key_gen(const char *type, unsigned bits, bool force, struct err *err) _must_use_;

struct auth_key {
	char name[65];
	char *pubkey;	  /* "ssh-ed25519 AAAA... comment", one line, checked */
	char *ctid;	  /* glob of container names as they will be here; NULL: any */
	char *from;	  /* client addresses, see address.h; NULL: any */
	char *passphrase; /* salted digest, never the text; NULL: none */
	bool single_use, in_use;
	bool allow_refused; /* may bring configuration that reaches out of the container */
	bool allow_devices; /* may name block devices of this node, or hand one over */
	char *pool;	    /* only into that pool; NULL: any */
	uint64_t added;	    /* seconds since 1970 */
};
VEC(auth_key_vec, struct auth_key);

/* line as typed, see pubkey.h. From `with` (may be NULL): name (else made from the key's comment),
 * ctid, from, single_use, allow_refused, allow_devices, pool; passphrase is the text, NULL for
 * none. A key or a name that is authorised already is -ERR_EXISTS. ret_name is the name used, the
 * caller's. */
int auth_key_add(struct state *s, const char *line, size_t n, const struct auth_key *with,
	const char *passphrase, char **ret_name, struct err *err) _must_use_;
int auth_key_del(struct state *s, const char *name, struct err *err) _must_use_;
int auth_key_get(
	struct state *s, const char *name, struct auth_key *ret, struct err *err) _must_use_;
/* By name. */
int auth_key_list(struct state *s, struct auth_key_vec *ret, struct err *err) _must_use_;
/* May this key open a receive of that container, from that address, with that passphrase (NULL:
 * none came), into that pool? -ERR_DENIED says which rule forbids. */
int auth_key_allows(const struct auth_key *k, const char *ct, const char *address,
	const char *passphrase, const char *pool, struct err *err) _must_use_;
/* Taking a single-use key that is in use is -ERR_DENIED: of two sends only one gets it. A key that
 * was deleted meanwhile is not in use: giving it back is fine. */
int auth_key_set_in_use(struct state *s, const char *name, bool in_use, struct err *err) _must_use_;
/* STATE/send-receive/authorized_keys, root's, 0644. sshd reads it as the receive user: the folders
 * above it are made passable where they are not. */
int auth_key_write_file(struct state *s, struct err *err) _must_use_;
void auth_key_done(struct auth_key *k);
void auth_key_vec_free(struct auth_key_vec *v);
