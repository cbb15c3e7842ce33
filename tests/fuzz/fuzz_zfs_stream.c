/*
 * What a peer sends as a volume's stream of ZFS: the header, then the chunks up to where they would
 * go to zfs itself, with the first record looked at.
 */
#include <string.h>

#include "base/alloc.h"
#include "fuzz.h"
#include "storage/zfs_dataset.h"
#include "storage/zfs_props.h"
#include "storage/zfs_stream.h"

static void check_part(const struct zfs_part *p)
{
	_cleanup_strv_ char **argv = NULL;

	fuzz_must(zfs_relative_ok(p->name));
	zfs_props_arguments(p->props, &argv);
	/* Each is the value of a -o, and none can be another property. */
	for (size_t i = 0; argv && argv[i]; i++)
		fuzz_must(i % 2 ? strchr(argv[i], '=') && !strpbrk(argv[i], " \t\n/:@")
				: strcmp(argv[i], "-o") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	_cleanup_stream_ struct stream *in = stream_mem_new(data, n);
	_cleanup_zfs_parts_ struct zfs_part_vec parts = {0};
	_cleanup_free_ uint8_t *buf = xmalloc(ZFS_CHUNK_MAX);
	struct zfs_begin begin;
	struct err err = ERR_INIT;
	size_t got = 1;

	if (zfs_header_read(in, &parts, &err) < 0) {
		fuzz_must(err.code != ERR_NONE && parts.n == 0);
		return 0;
	}
	fuzz_must(parts.n > 0 && parts.n <= ZFS_NESTED_MAX && parts.v[0].name[0] == '\0');
	for (size_t i = 0; i < parts.n; i++)
		check_part(&parts.v[i]);
	while (got && zfs_chunk_read(in, buf, &got, &err) >= 0) {
		fuzz_must(got <= ZFS_CHUNK_MAX);
		(void)!zfs_begin_check(buf, got, &begin, &err);
	}
	return 0;
}
