/*
 * One public key in OpenSSH's form, "TYPE BASE64 [COMMENT]", read strictly: what passes here goes
 * into a file of sshd's, so nothing else than one key may hide in it.
 *
 *	struct pubkey k;
 *	r = pubkey_parse(line, n, &k, &err);
 *	...
 *	pubkey_done(&k);
 */
#pragma once

#include <stddef.h>

#include "base/err.h"

#define PUBKEY_LINE_MAX	   8192 /* bytes; an RSA key of 16384 bits takes under 3000 */
#define PUBKEY_COMMENT_MAX 255

struct pubkey {
	const char *type; /* of our table: "ssh-ed25519" */
	char *blob;	  /* base64 */
	char *comment;	  /* printable UTF-8, may be "" */
	unsigned bits;
};

/* Blanks around it and one line end are fine. -ERR_INVALID: options in front, a second line, a
 * private key, a type or size that is not accepted, bad base64, a blob that says otherwise. */
int pubkey_parse(const char *line, size_t n, struct pubkey *ret, struct err *err) _must_use_;
void pubkey_done(struct pubkey *k);
