/*
 * Keys. The send key: this node's own pair (STATE/send-receive/key, key.pub), made by ssh-keygen. The authorised keys: who may send containers to
 * this node, with what; the file that sshd reads is written from the database after each change.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/vec.h"
#include "node/state.h"

const char *send_key_path(bool public_half); /* static storage */
/* type "ed25519", "rsa" or "ecdsa"; bits 0: the type's usual (4096, 521). An existing pair needs force. Comment wherry@HOSTNAME. */
int send_key_gen(const char *type, unsigned bits, bool force, struct err *err) _must_use_;

struct auth_key {
	char name[65];
	char *pubkey;	  /* "ssh-ed25519 AAAA... comment", one line, checked */
	char *ctid;	  /* glob of container names as they will be here; NULL: any */
	char *from;	  /* comma-separated patterns of client addresses; NULL: any */
	char *passphrase; /* salted digest, never the text; NULL: none */
	bool single_use, in_use;
	bool allow_refused; /* may bring configuration that reaches out of the container */
	char *pool;	  /* only into that pool; NULL: any */
	uint64_t added;
};
VEC(auth_key_vec, struct auth_key);

/* line as typed: exactly one public key, no options in front, no second line, known type, right base64 whose inner type matches. name NULL or "": made from
 * the comment. ret_name is the name used, the caller's. */
int auth_key_add(struct state *s, const char *line, size_t n, const struct auth_key *with, const char *passphrase, char **ret_name, struct err *err) _must_use_;
int auth_key_del(struct state *s, const char *name, struct err *err) _must_use_;
int auth_key_get(struct state *s, const char *name, struct auth_key *ret, struct err *err) _must_use_;
int auth_key_list(struct state *s, struct auth_key_vec *ret, struct err *err) _must_use_;
/* May this key open a receive of that container, from that address, with that passphrase, into that pool? -ERR_DENIED says which rule forbids. */
int auth_key_allows(const struct auth_key *k, const char *ct, const char *address, const char *passphrase, const char *pool, struct err *err) _must_use_;
int auth_key_set_in_use(struct state *s, const char *name, bool in_use, struct err *err) _must_use_;
int auth_key_write_file(struct state *s, struct err *err) _must_use_; /* STATE/send-receive/authorized_keys, root's, 0644 */
void auth_key_done(struct auth_key *k);
void auth_key_vec_free(struct auth_key_vec *v);
