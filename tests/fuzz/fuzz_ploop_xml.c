/* The descriptor of a ploop disk: what is accepted has a chain that ends, or none. */
#include <string.h>

#include "convert/ploop_xml.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct ploop_descriptor d = {0};
	struct err err = ERR_INIT;
	size_t chain[PLOOP_IMAGES_MAX], count = 0;

	if (ploop_xml_parse((const char *)data, n, &d, &err) < 0) {
		fuzz_must(err.code != ERR_NONE && !d.images.v);
		return 0;
	}
	fuzz_must(d.images.n >= 1 && d.sectors > 0);
	if (ploop_chain(&d, NULL, chain, &count, &err) == 0) {
		fuzz_must(count >= 1 && count <= d.images.n);
		for (size_t i = 0; i < count; i++)
			fuzz_must(chain[i] < d.images.n);
	}
	ploop_descriptor_done(&d);
	return 0;
}
