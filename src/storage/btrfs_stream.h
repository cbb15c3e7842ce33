/*
 * Inside storage/ only: btrfs's send stream as bytes. A stream is a header, commands, and the
 * command END; a command is a length, a number, a checksum and attributes, each with a type and a
 * length (but the data of a version 2 write, which fill the rest). Versions 1 and 2 are read.
 *
 *	struct btrfs_reader *r = btrfs_reader_new(in, 0);
 *	btrfs_reader_header(r, &err);
 *	while (btrfs_reader_next(r, &cmd, &err) > 0) ...
 *
 * Nothing is believed before its checksum was right, and nothing is allocated by what a stream
 * says: one buffer holds any command.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "base/err.h"
#include "base/stream.h"
#include "storage/btrfs_subvol.h"

#define BTRFS_COMMAND_MAX ((size_t)256 << 10) /* header included; version 2 needs 144 KiB */

enum btrfs_number {
	BTRFS_SUBVOL = 1,
	BTRFS_SNAPSHOT,
	BTRFS_MKFILE,
	BTRFS_MKDIR,
	BTRFS_MKNOD,
	BTRFS_MKFIFO,
	BTRFS_MKSOCK,
	BTRFS_SYMLINK,
	BTRFS_RENAME,
	BTRFS_LINK,
	BTRFS_UNLINK,
	BTRFS_RMDIR,
	BTRFS_SET_XATTR,
	BTRFS_REMOVE_XATTR,
	BTRFS_WRITE,
	BTRFS_CLONE,
	BTRFS_TRUNCATE,
	BTRFS_CHMOD,
	BTRFS_CHOWN,
	BTRFS_UTIMES,
	BTRFS_END,
	BTRFS_UPDATE_EXTENT,
	BTRFS_FALLOCATE, /* version 2 from here */
	BTRFS_FILEATTR,
	BTRFS_ENCODED_WRITE,
	BTRFS_NUMBER_MAX
};

enum btrfs_attr {
	BTRFS_A_UUID = 1,
	BTRFS_A_CTRANSID,
	BTRFS_A_INO,
	BTRFS_A_SIZE,
	BTRFS_A_MODE,
	BTRFS_A_UID,
	BTRFS_A_GID,
	BTRFS_A_RDEV,
	BTRFS_A_CTIME,
	BTRFS_A_MTIME,
	BTRFS_A_ATIME,
	BTRFS_A_OTIME,
	BTRFS_A_XATTR_NAME,
	BTRFS_A_XATTR_DATA,
	BTRFS_A_PATH,
	BTRFS_A_PATH_TO,
	BTRFS_A_PATH_LINK,
	BTRFS_A_FILE_OFFSET,
	BTRFS_A_DATA,
	BTRFS_A_CLONE_UUID,
	BTRFS_A_CLONE_CTRANSID,
	BTRFS_A_CLONE_PATH,
	BTRFS_A_CLONE_OFFSET,
	BTRFS_A_CLONE_LEN,
	BTRFS_A_FALLOCATE_MODE, /* version 2 from here */
	BTRFS_A_FILEATTR,
	BTRFS_A_UNENCODED_FILE_LEN,
	BTRFS_A_UNENCODED_LEN,
	BTRFS_A_UNENCODED_OFFSET,
	BTRFS_A_COMPRESSION,
	BTRFS_A_ENCRYPTION,
	BTRFS_A_MAX
};

struct btrfs_bytes {
	const uint8_t *p; /* NULL: not there */
	size_t n;
};

/* A command; its bytes stay valid until the next one is read. */
struct btrfs_command {
	unsigned number;
	struct btrfs_bytes attr[BTRFS_A_MAX];
};

const char *btrfs_number_name(unsigned number); /* "mkfile" */

/* Required attributes: -ERR_PROTOCOL when one is missing or has another length. */
int btrfs_u32(const struct btrfs_command *c, enum btrfs_attr a, uint32_t *ret,
	struct err *err) _must_use_;
int btrfs_u64(const struct btrfs_command *c, enum btrfs_attr a, uint64_t *ret,
	struct err *err) _must_use_;
int btrfs_uuid(const struct btrfs_command *c, enum btrfs_attr a, uint8_t ret[SUBVOL_UUID],
	struct err *err) _must_use_;
int btrfs_time(const struct btrfs_command *c, enum btrfs_attr a, struct timespec *ret,
	struct err *err) _must_use_;
/* A string without NUL, shorter than size; "" is one. */
int btrfs_text(const struct btrfs_command *c, enum btrfs_attr a, char *buf, size_t size,
	struct err *err) _must_use_;

struct btrfs_reader;

/* Borrows in. offset: where in to begins in the whole stream, for errors and btrfs_reader_offset.
 */
struct btrfs_reader *btrfs_reader_new(struct stream *in, uint64_t offset);
void btrfs_reader_free(struct btrfs_reader *r);
void btrfs_reader_freep(struct btrfs_reader **r);
#define _cleanup_btrfs_reader_ _cleanup_(btrfs_reader_freep)
/* The header at the very beginning; sets the version, which is otherwise
 * btrfs_reader_set_version's. */
int btrfs_reader_header(struct btrfs_reader *r, struct err *err) _must_use_;
uint32_t btrfs_reader_version(const struct btrfs_reader *r);
void btrfs_reader_set_version(struct btrfs_reader *r, uint32_t version);
/* 1; 0 when the stream ends between two commands. Anything that is not a whole command, and right,
 * is -ERR_PROTOCOL. */
int btrfs_reader_next(
	struct btrfs_reader *r, struct btrfs_command *ret, struct err *err) _must_use_;
/* What was read last, header or command, as it came; valid until the next read. */
struct btrfs_bytes btrfs_reader_bytes(const struct btrfs_reader *r);
uint64_t btrfs_reader_offset(
	const struct btrfs_reader *r); /* where that ends in the whole stream */
/* Nothing may follow END; reading to the end also lets filters check what they have to. */
int btrfs_reader_end(struct btrfs_reader *r, struct err *err) _must_use_;

/* The other way: commands of our own, for the sender. */
struct str;
void btrfs_put_header(struct str *s, uint32_t version);
size_t btrfs_put_command(struct str *s, enum btrfs_number number); /* for btrfs_put_done */
void btrfs_put_attr(struct str *s, enum btrfs_attr a, const void *p, size_t n);
void btrfs_put_u64(struct str *s, enum btrfs_attr a, uint64_t value);
void btrfs_put_done(struct str *s, size_t command);
