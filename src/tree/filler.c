#include "tree/filler.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/str.h"

#define SLOTS 64
#define BATCH 16 /* it is not woken for less */

struct filling {
	int fd;
	size_t n;
	struct entry_rest rest;
	char name[NAME_MAX + 1];
	const char *folder;
	char *over; /* of the jobs before this one: to be freed */
	unsigned char buf[FILLER_MAX];
};

struct filler {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake, done;
	bool stop;
	uint64_t taken, begun, finished; /* begun: it may go up to there */
	int errnum;			 /* of the first failure */
	char *path;			 /* of it */
	char *folder;			 /* of the last job */
	struct filling slot[SLOTS];
};

static int fill(struct filling *job)
{
	size_t at = 0;

	while (at < job->n) {
		ssize_t k = pwrite(job->fd, job->buf + at, job->n - at, (off_t)at);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return errno;
		at += (size_t)k;
	}
	return entry_rest_write(job->fd, &job->rest) < 0 ? errno : 0;
}

static int run(struct filling *job)
{
	int errnum = fill(job);

	if (close(job->fd) < 0 && !errnum)
		errnum = errno;
	return errnum;
}

static char *path_of(const struct filling *job)
{
	_cleanup_free_ char *name = str_escape(job->name, strlen(job->name));

	return str_eq(job->folder, ".") ? TAKE_PTR(name) : xasprintf("%s/%s", job->folder, name);
}

/* Under the lock. */
static void note(struct filler *f, struct filling *job, int errnum)
{
	if (errnum && !f->errnum) {
		f->errnum = errnum;
		f->path = path_of(job);
	}
	free(job->over);
	if (++f->finished == f->begun || f->finished % BATCH == 0)
		pthread_cond_signal(&f->done);
}

static void *filler_run(void *arg)
{
	struct filler *f = arg;

	pthread_setname_np(pthread_self(), "tree-filler");
	pthread_mutex_lock(&f->lock);
	while (!f->stop || f->finished < f->begun) {
		struct filling *job = &f->slot[f->finished % SLOTS];
		int errnum;

		if (f->finished == f->begun) {
			pthread_cond_wait(&f->wake, &f->lock);
			continue;
		}
		pthread_mutex_unlock(&f->lock);
		errnum = run(job);
		pthread_mutex_lock(&f->lock);
		note(f, job, errnum);
	}
	pthread_mutex_unlock(&f->lock);
	return NULL;
}

struct filler *filler_new(void)
{
	struct filler *f = xnew(struct filler);
	sigset_t all, before;
	int r;

	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->wake, NULL);
	pthread_cond_init(&f->done, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&f->thread, NULL, filler_run, f);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r == 0)
		return f;
	free(f);
	return NULL;
}

static void begin(struct filler *f)
{
	if (f->begun == f->taken)
		return;
	f->begun = f->taken;
	pthread_cond_signal(&f->wake);
}

void filler_kick(struct filler *f)
{
	pthread_mutex_lock(&f->lock);
	begin(f);
	pthread_mutex_unlock(&f->lock);
}

void filler_take(struct filler *f, int fd, const void *buf, size_t n, const struct entry_rest *rest,
	const char *name, char *folder)
{
	struct filling *job = &f->slot[f->taken % SLOTS];

	pthread_mutex_lock(&f->lock);
	while (f->taken - f->finished == SLOTS)
		pthread_cond_wait(&f->done, &f->lock);
	pthread_mutex_unlock(&f->lock);
	job->fd = fd;
	job->n = n;
	job->rest = *rest;
	job->over = NULL;
	if (folder) {
		job->over = f->folder;
		f->folder = folder;
	}
	job->folder = f->folder;
	memcpy(job->name, name, strlen(name) + 1);
	memcpy(job->buf, buf, n);
	f->taken++;
	if (f->taken % BATCH == 0)
		filler_kick(f);
}

int filler_wait(struct filler *f, struct err *err)
{
	pthread_mutex_lock(&f->lock);
	begin(f);
	while (f->finished < f->begun)
		pthread_cond_wait(&f->done, &f->lock);
	pthread_mutex_unlock(&f->lock);
	if (!f->errnum)
		return 0;
	errno = f->errnum;
	return err_errno(err, "%s: write", f->path);
}

void filler_free(struct filler *f)
{
	if (!f)
		return;
	pthread_mutex_lock(&f->lock);
	f->stop = true;
	begin(f);
	pthread_cond_signal(&f->wake);
	pthread_mutex_unlock(&f->lock);
	pthread_join(f->thread, NULL);
	free(f->path);
	free(f->folder);
	free(f);
}
