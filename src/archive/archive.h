/*
 * Containers in files: `ct export` and `ct import`. Two layouts: Wherry's own, which holds all that
 * a file system can say (own_write.c, own_read.c, docs/archive.md), and osctl's (osctl_*.c).
 *
 * An export keeps the container as it was, running or not, whatever breaks; the file appears under
 * its name only when it is complete. An import registers the container only when all of the archive
 * was read and checked; until then everything is staged, and gone if anything fails.
 */
#pragma once

#include "move/move.h"

enum archive_format { ARCHIVE_OWN, ARCHIVE_OSCTL };
enum archive_compression { COMPRESS_AUTO, COMPRESS_OFF, COMPRESS_GZIP, COMPRESS_ZSTD };

struct export_opts {
	const char *file; /* absolute; NULL: fd */
	int fd;		  /* stays the caller's */
	bool consistent;  /* a running one is stopped for the last pass */
	bool force;	  /* replaces file */
	enum archive_format format;
	enum archive_compression compression;
	int level; /* of zstd; 0: 3 */
	bool skel; /* osctl's layout, without files */
};

struct import_opts {
	const char *file; /* likewise */
	int fd;
	const char *as_id, *pool;
	bool network;	    /* with its interfaces */
	bool allow_refused; /* also what reaches out of the container */
	bool start;
	uint64_t max_size; /* bytes of content; 0: as the pool has room */
};

/* {name, file, bytes, entries, stopped_ms} */
int archive_export(struct move_ctx *m, const char *ct, const struct export_opts *o, json_t **ret,
	struct err *err) _must_use_;
/* The container, as containers_show has it. */
int archive_import(
	struct move_ctx *m, const struct import_opts *o, json_t **ret, struct err *err) _must_use_;
