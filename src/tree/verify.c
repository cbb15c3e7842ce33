#include "tree/tree.h"

#include "tree/index_merge.h"
#include "tree/kept.h"

int tree_verify(int rootfd, const struct idmap *idmap, struct digest128 *ret, uint64_t *ret_entries,
	struct err *err)
{
	struct kept *k = kept_new();
	int r = kept_walk(k, rootfd, idmap, err);

	if (r >= 0)
		kept_sum(k, ret, ret_entries);
	kept_free(k);
	return r;
}

int tree_sum_received(const char *state_dir, const struct idmap *idmap, struct digest128 *ret,
	uint64_t *ret_entries)
{
	return kept_read(state_dir, idmap, ret, ret_entries);
}

int tree_sum_sent(
	const char *index_path, struct digest128 *ret, uint64_t *ret_entries, struct err *err)
{
	return index_sum(index_path, ret, ret_entries, err);
}
