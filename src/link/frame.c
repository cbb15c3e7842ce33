#include "link/frame.h"

#include <endian.h>

#include "base/alloc.h"
#include "link/frame_wire.h"

void frame_init(struct frame *f, const struct stream_ops *ops, const struct frame_opts *o)
{
	*f = (struct frame){.stream.ops = ops,
		.o = *o,
		.digest = XXH3_createState(),
		.piece = XXH3_createState()};
	if (!f->digest || !f->piece)
		abort();
	XXH3_128bits_reset(f->digest);
}

void frame_done(struct frame *f)
{
	XXH3_freeState(f->digest);
	XXH3_freeState(f->piece);
}

const char *frame_peer(const struct frame *f)
{
	return f->o.peer ? f->o.peer : "the other side";
}

usec_t frame_deadline(const struct frame *f)
{
	return f->o.idle ? clock_deadline(f->o.idle) : CLOCK_NEVER;
}

static void put32(unsigned char *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, sizeof(v));
}

static uint32_t get32(const unsigned char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

void frame_put_head(const struct frame_head *h, unsigned char buf[FRAME_HEAD_SIZE])
{
	put32(buf, FRAME_MAGIC);
	put32(buf + 4, h->type | (uint32_t)h->flags << 8 | (uint32_t)h->reserved << 16);
	put32(buf + 8, h->length);
	put32(buf + 12, h->sequence);
}

bool frame_get_head(const unsigned char buf[FRAME_HEAD_SIZE], struct frame_head *ret)
{
	*ret = (struct frame_head){
		.type = buf[4],
		.flags = buf[5],
		.reserved = (uint16_t)(buf[6] | buf[7] << 8),
		.length = get32(buf + 8),
		.sequence = get32(buf + 12),
	};
	return get32(buf) == FRAME_MAGIC;
}

void frame_sum(struct frame *f, const unsigned char head[FRAME_HEAD_SIZE], const void *payload,
	size_t n, unsigned char ret[FRAME_DIGEST_SIZE])
{
	uint64_t v;

	XXH3_64bits_reset(f->piece);
	XXH3_64bits_update(f->piece, head, FRAME_HEAD_SIZE);
	XXH3_64bits_update(f->piece, payload, n);
	v = htole64(XXH3_64bits_digest(f->piece));
	memcpy(ret, &v, sizeof(v));
}

void frame_add(struct frame *f, const unsigned char sum[FRAME_DIGEST_SIZE])
{
	XXH3_128bits_update(f->digest, sum, FRAME_DIGEST_SIZE);
}

void frame_put_end(const struct frame *f, unsigned char buf[FRAME_END_SIZE])
{
	struct digest128 d = frame_digest(&f->stream);
	uint64_t content = htole64(f->content);

	memcpy(buf, d.b, sizeof(d.b));
	memcpy(buf + sizeof(d.b), &content, sizeof(content));
}

uint64_t frame_wire_bytes(const struct stream *s)
{
	return ((const struct frame *)s)->wire;
}

struct digest128 frame_digest(const struct stream *s)
{
	const struct frame *f = (const struct frame *)s;
	XXH128_canonical_t canonical;
	struct digest128 d;

	XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(f->digest));
	memcpy(d.b, canonical.digest, sizeof(d.b));
	return d;
}
