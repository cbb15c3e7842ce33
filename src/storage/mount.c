#include "storage/mount.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/str.h"
#include "base/vec.h"
#include "storage/blockdev.h"
#include "storage/signature.h"

#define OFF_PATIENCE                                                                               \
	(5 * USEC_PER_SEC) /* somebody looks at it just now: updatedb, df, a monitor               \
			    */
#define OFF_PAUSE (50 * USEC_PER_MSEC)

int mount_is(const char *path, struct err *err)
{
	struct statx x;

	if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_TYPE, &x) < 0)
		return errno == ENOENT ? 0 : err_errno(err, "look at %s", path);
	if (!(x.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT))
		return err_set(err, ERR_UNSUPPORTED,
			"this kernel can't say whether something is mounted at %s", path);
	return !!(x.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

/* --- the proof */

#ifndef FS_IOC_GETFSUUID
struct fsuuid2 {
	uint8_t len;
	uint8_t uuid[16];
};
#define FS_IOC_GETFSUUID _IOR(0x15, 0, struct fsuuid2)
#endif

static void print_uuid(const uint8_t u[16], char ret[FS_UUID_MAX])
{
	size_t n = 0;

	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			ret[n++] = '-';
		n += (size_t)sprintf(ret + n, "%02x", u[i]);
	}
}

/* Linux before 6.9 does not say it of a mounted one: its device does. */
static int uuid_by_device(int fd, char ret[FS_UUID_MAX], struct err *err)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int dev = -1;
	struct signature sig;
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return err_errno(err, "look at it");
	ret[0] = '\0';
	if (major(st.st_dev) == 0) /* a tmpfs, say */
		return 0;
	r = blockdev_path(st.st_dev, &path, err);

	if (r >= 0)
		r = dev = blockdev_open(path, O_RDONLY, err);
	if (r >= 0)
		r = signature_read(dev, &sig, err);
	if (r < 0)
		return r;
	memcpy(ret, sig.uuid, FS_UUID_MAX);
	return 0;
}

static int uuid_of(int fd, char ret[FS_UUID_MAX], struct err *err)
{
	struct fsuuid2 u = {0};

	if (ioctl(fd, FS_IOC_GETFSUUID, &u) < 0 || u.len != sizeof(u.uuid))
		return uuid_by_device(fd, ret, err);
	print_uuid(u.uuid, ret);
	return 0;
}

static int not_mounted(const char *path, const char *uuid, struct err *err)
{
	return err_set(err, ERR_STATE,
		"the filesystem %s is not mounted at %s: what lies there is not the container's",
		uuid, path);
}

int mount_open(const char *path, const char *uuid, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char here[FS_UUID_MAX];
	struct statx x;
	int r;

	if (fd < 0)
		return err_errno(err, "open %s", path);
	if (statx(fd, "", AT_EMPTY_PATH, STATX_TYPE, &x) < 0)
		return err_errno(err, "look at %s", path);
	if (!(x.stx_attributes & STATX_ATTR_MOUNT_ROOT))
		return not_mounted(path, uuid, err);
	r = uuid_of(fd, here, err);
	if (r < 0)
		return err_prefix(err, "prove what is mounted at %s", path);
	return str_eq(here, uuid) ? TAKE_FD(fd) : not_mounted(path, uuid, err);
}

/* --- on and off */

static int check_device(const char *device, const char *uuid, struct err *err)
{
	_cleanup_close_ int fd = blockdev_open(device, O_RDONLY, err);
	struct signature sig = {0};
	int r = fd < 0 ? fd : signature_read(fd, &sig, err);

	if (r >= 0 && !str_eq(sig.uuid, uuid))
		r = err_set(err, ERR_CORRUPT,
			"%s does not have the filesystem %s but %s: it is not mounted", device,
			uuid,
			sig.uuid[0] ? sig.uuid
			: r	    ? sig.type
				    : "nothing");
	return r < 0 ? r : 0;
}

/* Onto the very folder that was opened. */
static int mount_onto(const char *device, const char *fs, const char *path, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char proc[64];

	if (fd < 0)
		return err_errno(err, "open the mount point %s", path);
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	if (mount(device, proc, fs, 0, NULL) == 0)
		return 0;
	if (errno == EBUSY)
		return err_set(
			err, ERR_BUSY, "%s is in use, so it is not mounted at %s", device, path);
	return err_errno(err, "mount %s (%s) at %s", device, fs, path);
}

int mount_device(
	const char *device, const char *fs, const char *path, const char *uuid, struct err *err)
{
	struct err ignored = ERR_INIT;
	int r = check_device(device, uuid, err), fd;

	if (r >= 0)
		r = mount_onto(device, fs, path, err);
	if (r < 0)
		return r;
	fd = mount_open(path, uuid, err);
	if (fd >= 0) {
		close(fd);
		return 0;
	}
	(void)!mount_off(path, &ignored);
	return fd;
}

int mount_aside(const char *device, const char *fs, struct err *err)
{
	_cleanup_close_ int fd = (int)syscall(SYS_fsopen, fs, FSOPEN_CLOEXEC);
	_cleanup_close_ int mnt = -1;
	int root;

	if (fd < 0 || syscall(SYS_fsconfig, fd, FSCONFIG_SET_STRING, "source", device, 0) < 0 ||
		syscall(SYS_fsconfig, fd, FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0 ||
		syscall(SYS_fsconfig, fd, FSCONFIG_SET_FLAG,
			str_eq(fs, "xfs") ? "norecovery" : "noload", NULL, 0) < 0 ||
		syscall(SYS_fsconfig, fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return err_errno(err, "open the filesystem on %s", device);
	mnt = (int)syscall(SYS_fsmount, fd, FSMOUNT_CLOEXEC,
		MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOATIME);
	if (mnt < 0)
		return err_errno(err, "mount %s aside", device);
	root = openat(mnt, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return root < 0 ? err_errno(err, "open the root of %s", device) : root;
}

int mount_off(const char *path, struct err *err)
{
	usec_t deadline = clock_deadline(OFF_PATIENCE);

	while (umount2(path, UMOUNT_NOFOLLOW) < 0) {
		/* EINVAL: no mount point */
		if (errno == EINVAL || errno == ENOENT)
			return 0;
		if (errno != EBUSY)
			return err_errno(err, "unmount %s", path);
		if (clock_now() >= deadline)
			return err_set(err, ERR_BUSY,
				"%s can't be unmounted, as something uses its files: `fuser -vm "
				"%s` says what",
				path, path);
		clock_sleep(OFF_PAUSE);
	}
	return 0;
}

/* --- who has it */

VEC(ino_vec, ino_t);

static bool seen(struct ino_vec *v, ino_t ns)
{
	for (size_t i = 0; i < v->n; i++)
		if (v->v[i] == ns)
			return true;
	*ino_vec_push(v) = ns;
	return false;
}

/* Where a process has the device mounted, or NULL. */
static char *place_in(const char *pid, dev_t dev)
{
	_cleanup_free_ char *path = xasprintf("/proc/%s/mountinfo", pid);
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;

	while (f && getline(&line, &size, f) > 0) {
		unsigned maj, min;
		int at = 0;

		if (sscanf(line, "%*d %*d %u:%u %*s %n", &maj, &min, &at) == 2 && at &&
			makedev(maj, min) == dev)
			return xstrndup(line + at, strcspn(line + at, " "));
	}
	return NULL;
}

static char *comm_of(const char *pid)
{
	_cleanup_free_ char *path = xasprintf("/proc/%s/comm", pid);
	_cleanup_free_ char *text = NULL;
	struct err ignored = ERR_INIT;
	size_t n;

	if (file_read(path, 64, &text, &n, &ignored) < 0)
		return xstrdup("?");
	return str_escape(str_trim(text), strlen(str_trim(text)));
}

char *mount_who(dev_t dev)
{
	_cleanup_closedir_ DIR *proc = opendir("/proc");
	struct ino_vec namespaces = {0};
	const struct dirent *e;
	char *who = NULL;

	while (proc && !who && (e = readdir(proc))) {
		_cleanup_free_ char *ns = xasprintf("/proc/%s/ns/mnt", e->d_name);
		_cleanup_free_ char *place = NULL, *comm = NULL;
		struct stat st;

		if (e->d_name[0] < '0' || e->d_name[0] > '9' || stat(ns, &st) < 0 ||
			seen(&namespaces, st.st_ino))
			continue;
		place = place_in(e->d_name, dev);
		if (!place)
			continue;
		comm = comm_of(e->d_name);
		who = xasprintf("mounted at %s by process %s (%s)", place, e->d_name, comm);
	}
	ino_vec_done(&namespaces);
	return who;
}
