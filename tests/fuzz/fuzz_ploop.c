/* Images of a ploop disk, one or two above each other: everything that is accepted can be read to
 * its end. The first byte says how the rest is cut: which part is the top, and what is plain. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "convert/ploop.h"
#include "fuzz.h"

static bool add(struct ploop_delta_vec *deltas, const uint8_t *data, size_t n, bool plain)
{
	int fd = memfd_create("delta", MFD_CLOEXEC);
	struct ploop_delta d;
	struct err err = ERR_INIT;

	fuzz_must(fd >= 0 && write(fd, data, n) == (ssize_t)n);
	/* Clusters that a table can name, without their weight. */
	fuzz_must(ftruncate(fd, (off_t)n + (4 << 20)) == 0);
	if (ploop_delta_open(fd, plain, &d, &err) < 0) {
		fuzz_must(err.code != ERR_NONE);
		close(fd);
		return false;
	}
	*ploop_delta_vec_push(deltas) = d;
	return true;
}

static void read_all(const struct ploop *p)
{
	_cleanup_free_ char *buf = xmalloc(1 << 20);
	uint64_t at = 0, n;
	struct ploop_part part;
	struct err err = ERR_INIT;

	for (int steps = 0; at < p->size && steps < 64; steps++, at += n) {
		bool has = ploop_has(p, at, &n);

		fuzz_must(n > 0 && n <= p->size - at);
		if (has && n > 1 << 20)
			n = 1 << 20;
		if (has)
			fuzz_must(ploop_read(p, at, buf, n, &err) == 0);
	}
	if (ploop_partition(p, &part, &err) == 0)
		fuzz_must(part.size > 0 && part.offset < p->size &&
			  part.size <= p->size - part.offset);
	fuzz_must(ploop_read(p, p->size, buf, 1, &err) < 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct ploop_delta_vec deltas = {0};
	_cleanup_ploop_ struct ploop *p = NULL;
	struct err err = ERR_INIT;
	size_t cut;
	bool two;

	if (n < 2 || n > 65536)
		return 0;
	two = data[0] & 1;
	cut = two ? 1 + (n - 1) * data[1] / 256 : n;
	if (add(&deltas, data + 1, cut - 1, data[0] & 4) && two)
		add(&deltas, data + cut, n - cut, data[0] & 2);
	if (ploop_assemble(&deltas, 0, data[0] & 8 ? PLOOP_IN_USE : 0, &p, &err) == 0)
		read_all(p);
	return 0;
}
