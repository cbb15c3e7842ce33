/*
 * DiskDescriptor.xml, the list of a ploop disk's images and snapshots. Text of a container's owner:
 * hostile, and therefore without entities, doctypes or anything else that grows.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/vec.h"

#define PLOOP_XML_MAX	 (1u << 20)
#define PLOOP_IMAGES_MAX 512
#define PLOOP_GUID_MAX	 64

struct ploop_image {
	char guid[PLOOP_GUID_MAX];
	char *file; /* as it is written; relative to the descriptor's folder, if it is good */
	bool plain; /* without header and table: the disk itself */
};
VEC(ploop_image_vec, struct ploop_image);

struct ploop_shot {
	char guid[PLOOP_GUID_MAX], parent[PLOOP_GUID_MAX];
};
VEC(ploop_shot_vec, struct ploop_shot);

struct ploop_descriptor {
	uint64_t sectors;   /* of the disk, 512 bytes each */
	uint32_t blocksize; /* sectors of a cluster; 0: not said */
	char top[PLOOP_GUID_MAX];
	struct ploop_image_vec images;
	struct ploop_shot_vec shots;
};

/* Checked: one storage, no encryption, a size, each GUID once. */
int ploop_xml_parse(
	const char *text, size_t n, struct ploop_descriptor *ret, struct err *err) _must_use_;
void ploop_descriptor_done(struct ploop_descriptor *d);

/* The images from the one of guid (NULL: the top) down to the base, as indexes into images. */
int ploop_chain(const struct ploop_descriptor *d, const char *guid, size_t ret[PLOOP_IMAGES_MAX],
	size_t *ret_n, struct err *err) _must_use_;
