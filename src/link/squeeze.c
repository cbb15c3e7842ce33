#include "link/squeeze.h"

#include <zstd.h>

#include "base/alloc.h"

#define WINDOW_CONTENT (8u << 20)
#define WINDOW_LEAST   (100 * USEC_PER_MSEC) /* shorter ones measure the scheduler */
#define WINDOW_MOST    (500 * USEC_PER_MSEC)
#define STALE	       64 /* windows after which a measured speed is no longer believed */
#define PATIENCE_MIN   2
#define PATIENCE_MAX   64
#define GAIN	       1.1 /* of speed, that a trial must bring */
#define SAVING	       0.1 /* of bytes on the wire, without which a gain was chance */

static const int levels[PACE_LEVELS] = {0, 1, 3, 6};

void pace_init(struct pace *p)
{
	*p = (struct pace){.from = -1, .patience = PATIENCE_MIN};
}

int pace_level(const struct pace *p)
{
	return levels[p->at];
}

static void note_speed(struct pace *p, double speed)
{
	for (int i = 0; i < PACE_LEVELS; i++)
		if (p->age[i]++ >= STALE)
			p->speed[i] = 0;
	p->speed[p->at] = p->speed[p->at] > 0 ? (p->speed[p->at] + speed) / 2 : speed;
	p->age[p->at] = 0;
}

static void move_to(struct pace *p, int at, bool trial)
{
	p->from = trial ? p->at : -1;
	p->at = at;
	if (trial)
		p->speed[at] = 0; /* judged by what it does now */
}

static bool saves(const struct pace *p)
{
	return (double)p->wire <= (1 - SAVING) * (double)p->content;
}

/* A trial that brought nothing: back, and longer until the next one. */
static void judge_trial(struct pace *p)
{
	if (saves(p) && p->speed[p->at] >= p->speed[p->from] * GAIN) {
		p->patience = PATIENCE_MIN;
		p->from = -1;
		return;
	}
	p->at = p->from;
	p->from = -1;
	p->wait = p->patience;
	p->patience = MIN(p->patience * 2, PATIENCE_MAX);
}

/* Speed 0: so long ago that it is worth looking again. */
static bool lower_is_as_fast(const struct pace *p)
{
	return p->at > 0 && (p->speed[p->at - 1] <= 0 || p->speed[p->at - 1] >= p->speed[p->at]);
}

static void end_window(struct pace *p)
{
	double share = (double)p->blocked / (double)p->time;

	note_speed(p, (double)p->content / (double)p->time);
	if (p->from >= 0)
		judge_trial(p);
	else if (p->at > 0 && !saves(p)) /* it did once: the content has changed */
		move_to(p, 0, false);
	else if (share < 0.1 && lower_is_as_fast(p))
		move_to(p, p->at - 1, false);
	else if (p->wait)
		p->wait--;
	else if (share > 0.5 && p->at + 1 < PACE_LEVELS)
		move_to(p, p->at + 1, true);
}

void pace_add(struct pace *p, uint64_t content, uint64_t wire, usec_t time, usec_t blocked)
{
	p->content += content;
	p->wire += wire;
	p->time += time;
	p->blocked += blocked;
	if (p->time < (p->content < WINDOW_CONTENT ? WINDOW_MOST : WINDOW_LEAST))
		return;
	end_window(p);
	p->content = p->wire = 0;
	p->time = p->blocked = 0;
}

struct squeeze {
	ZSTD_CCtx *ctx;
	void *out;
	size_t cap;
};

struct squeeze *squeeze_new(void)
{
	struct squeeze *z = xnew(struct squeeze);

	z->ctx = ZSTD_createCCtx();
	if (!z->ctx)
		abort();
	return z;
}

const void *squeeze_run(struct squeeze *z, int level, const void *buf, size_t n, size_t *ret_n)
{
	size_t most = n - n / 16,
	       k; /* less than a sixteenth saved is not worth the other side's time */

	if (z->cap < most) {
		z->out = xreallocarray(z->out, most, 1);
		z->cap = most;
	}
	k = ZSTD_compressCCtx(z->ctx, z->out, most, buf, n, level);
	if (ZSTD_isError(k)) /* it did not fit */
		return NULL;
	*ret_n = k;
	return z->out;
}

void squeeze_free(struct squeeze *z)
{
	if (!z)
		return;
	ZSTD_freeCCtx(z->ctx);
	free(z->out);
	free(z);
}

struct expand {
	ZSTD_DCtx *ctx;
	size_t most;
	char out[];
};

struct expand *expand_new(size_t most)
{
	struct expand *x = xmalloc(sizeof(*x) + most);

	x->ctx = ZSTD_createDCtx();
	if (!x->ctx)
		abort();
	x->most = most;
	return x;
}

const void *expand_run(struct expand *x, const void *buf, size_t n, size_t *ret_n)
{
	size_t k = ZSTD_decompressDCtx(x->ctx, x->out, x->most, buf, n);

	if (ZSTD_isError(k) || k == 0)
		return NULL;
	*ret_n = k;
	return x->out;
}

void expand_free(struct expand *x)
{
	if (!x)
		return;
	ZSTD_freeDCtx(x->ctx);
	free(x);
}
