#include "link/bwlimit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/clock.h"
#include "base/dirs.h"

#define NSEC_PER_USEC UINT64_C(1000)
#define NSEC_PER_SEC  UINT64_C(1000000000)
#define SLACK	      (NSEC_PER_SEC / 10)  /* so much may go at once after a pause */
#define ABSURD	      (600 * NSEC_PER_SEC) /* nobody reserves that far ahead: the file is damaged */

struct bwlimit {
	uint64_t bytes_per_sec;
	_Atomic uint64_t *busy_until; /* shared; nanoseconds of clock_now's clock */
};

static int map(int fd, struct bwlimit *b, struct err *err)
{
	struct stat st;
	void *p;

	if (fstat(fd, &st) < 0 ||
		(st.st_size < (off_t)sizeof(uint64_t) && ftruncate(fd, sizeof(uint64_t)) < 0))
		return err_errno(err, "prepare the rate limit");
	p = mmap(NULL, sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return err_errno(err, "map the rate limit");
	b->busy_until = p;
	return 0;
}

int bwlimit_open(const char *path, uint64_t bytes_per_sec, struct bwlimit **ret, struct err *err)
{
	_cleanup_free_ char *usual = path ? NULL : xasprintf("%s/bwlimit", dirs_run());
	_cleanup_bwlimit_ struct bwlimit *b = NULL;
	_cleanup_close_ int fd = -1;
	int r;

	if (!bytes_per_sec) {
		*ret = NULL;
		return 0;
	}
	path = path ? path : usual;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_errno(err, "open %s", path);
	b = xnew(struct bwlimit);
	b->bytes_per_sec = bytes_per_sec;
	r = map(fd, b, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(b);
	return 0;
}

/* Speaks for the link for so long, after those who came before; returns when it may begin. */
static uint64_t reserve(struct bwlimit *b, uint64_t nsec)
{
	uint64_t seen = atomic_load(b->busy_until), begin, now;

	do {
		now = clock_now() * NSEC_PER_USEC;
		begin = seen > now + ABSURD ? now : MAX(seen, now - MIN(now, SLACK));
	} while (!atomic_compare_exchange_weak(b->busy_until, &seen, begin + nsec));
	return begin;
}

void bwlimit_take(struct bwlimit *b, uint64_t bytes)
{
	uint64_t most;

	if (!b)
		return;
	/* In small parts, so that jobs take turns and none reserves far ahead. */
	most = MAX(b->bytes_per_sec / 20, 1);
	while (bytes && !cancel_requested()) {
		uint64_t part = MIN(bytes, most), now;
		uint64_t begin = reserve(b,
			(uint64_t)((double)part * (double)NSEC_PER_SEC / (double)b->bytes_per_sec));

		now = clock_now() * NSEC_PER_USEC;
		if (begin > now)
			clock_sleep((begin - now) / NSEC_PER_USEC + 1);
		bytes -= part;
	}
}

uint64_t bwlimit_rate(const struct bwlimit *b)
{
	return b->bytes_per_sec;
}

void bwlimit_free(struct bwlimit *b)
{
	if (!b)
		return;
	if (b->busy_until)
		munmap((void *)b->busy_until, sizeof(uint64_t));
	free(b);
}

void bwlimit_freep(struct bwlimit **b)
{
	bwlimit_free(*b);
}
