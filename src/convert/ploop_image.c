#include "convert/ploop_image.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"

#define DESCRIPTOR "DiskDescriptor.xml"

/* The folder that the descriptor is in. */
static char *folder_of(const char *bundle)
{
	static const char *const inside[] = {"", "/root.hdd", "/private/root.hdd"};

	if (str_ends(bundle, "/" DESCRIPTOR))
		return xstrndup(bundle, strlen(bundle) - strlen("/" DESCRIPTOR));
	for (size_t i = 0; i < ARRAY_SIZE(inside); i++) {
		_cleanup_free_ char *path = xasprintf("%s%s/" DESCRIPTOR, bundle, inside[i]);

		if (file_exists(path))
			return xasprintf("%s%s", bundle, inside[i]);
	}
	return NULL;
}

static int open_bundle(const char *bundle, int *ret, struct err *err)
{
	_cleanup_free_ char *path = str_eq(bundle, DESCRIPTOR) ? xstrdup(".") : folder_of(bundle);

	if (!path)
		return err_set(err, ERR_NOT_FOUND, "there is no " DESCRIPTOR " in %s", bundle);
	*ret = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret < 0 ? err_errno(err, "open %s", path) : 0;
}

/* A file that was begun and not ended is removed. */
static int write_file(const struct ploop *p, const struct ploop_part *part, const char *file,
	struct progress *progress, struct err *err)
{
	_cleanup_close_ int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int r;

	if (fd < 0)
		return err_errno(err, "make %s", file);
	r = ploop_extract(p, part->offset, part->size, fd, progress, err);
	if (r < 0)
		unlink(file);
	return r;
}

int ploop_image_write(const char *bundle, const struct ploop_image_options *o, const char *file,
	struct progress *progress, struct ploop_part *ret, struct err *err)
{
	_cleanup_ploop_ struct ploop *p = NULL;
	_cleanup_close_ int dirfd = -1;
	struct ploop_part part;
	int r = open_bundle(bundle, &dirfd, err);

	if (r < 0)
		return r;
	r = ploop_open(dirfd, o->guid, o->force ? PLOOP_IN_USE : 0, &p, err);
	if (r < 0)
		return err_prefix(err, "%s", bundle);
	part = (struct ploop_part){0, p->size};
	if (!o->whole && (r = ploop_partition(p, &part, err)) < 0)
		return err_prefix(err, "%s", bundle);
	progress_phase(progress, "image", part.size);
	r = str_eq(file, "-")
		    ? ploop_extract(p, part.offset, part.size, STDOUT_FILENO, progress, err)
		    : write_file(p, &part, file, progress, err);
	progress_end(progress);
	if (r < 0)
		return r;
	*ret = part;
	return 0;
}
