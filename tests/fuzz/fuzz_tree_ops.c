/* Operations of a peer: none may be read beyond its end, and what is read back is what was built.
 */
#include <string.h>

#include "base/alloc.h"
#include "fuzz.h"
#include "tree/ops.h"

static void check(const struct op *op, const uint8_t *data, size_t n)
{
	const uint8_t *end = data + n;

	fuzz_must(op->n_names <= OP_NAMES_MAX && op->n_xattrs <= OP_XATTRS_COUNT);
	if (op->name)
		fuzz_must(*op->name && !strchr(op->name, '/') && strlen(op->name) <= 255);
	if (op->data_len)
		fuzz_must((const uint8_t *)op->data >= data &&
			  (const uint8_t *)op->data + op->data_len <= end);
	for (size_t i = 0; i < op->n_xattrs; i++)
		fuzz_must((const uint8_t *)op->xattrs[i].value + op->xattrs[i].len <= end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct op op;
	struct err err = ERR_INIT;

	while (n) {
		int r = op_decode(data, n, &op, &err);

		if (r <= 0)
			return 0;
		fuzz_must((size_t)r <= n && r >= (int)OP_HEAD);
		check(&op, data, (size_t)r);
		data += r;
		n -= (size_t)r;
	}
	return 0;
}
