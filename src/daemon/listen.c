#include "daemon/listen.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"
#include "link/local.h"

int listen_user(const char *name, uid_t *ret_uid, gid_t *ret_gid, struct err *err)
{
	const struct passwd *pw;

	errno = 0;
	pw = getpwnam(name);
	if (!pw)
		return err_set(err, ERR_NOT_FOUND, "there is no user %s", name);
	*ret_uid = pw->pw_uid;
	*ret_gid = pw->pw_gid;
	return 0;
}

static bool answers(const struct sockaddr_un *sa)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd >= 0 &&
	       (connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) >= 0 || errno == EAGAIN);
}

/* Nobody can connect before the owner and mode are right: it listens last. */
static int make(const char *path, mode_t mode, gid_t gid, int *ret, struct err *err)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	if (fd < 0)
		return err_errno(err, "make a socket");
	if (strlen(path) >= sizeof(sa.sun_path))
		return err_set(err, ERR_INVALID, "%s is too long for a socket", path);
	strcpy(sa.sun_path, path);
	if (answers(&sa))
		return err_set(err, ERR_BUSY, "another wherryd answers on %s", path);
	if (unlink(path) < 0 && errno != ENOENT)
		return err_errno(err, "remove %s", path);
	if (bind(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0)
		return err_errno(err, "make %s", path);
	if (chmod(path, 0) < 0 || lchown(path, (uid_t)-1, gid) < 0 || chmod(path, mode) < 0)
		return err_errno(err, "set who may use %s", path);
	if (listen(fd, SOMAXCONN) < 0)
		return err_errno(err, "listen on %s", path);
	*ret = TAKE_FD(fd);
	return 0;
}

/* systemd has made them. */
static int inherited(struct listen_fds *ret, struct err *err)
{
	char **names = NULL;
	int n = sd_listen_fds_with_names(true, &names);

	for (int i = 0; i < n; i++) {
		int fd = SD_LISTEN_FDS_START + i;

		if (sd_is_socket(fd, AF_UNIX, SOCK_SEQPACKET, 1) <= 0)
			close(fd);
		else if (str_eq(names[i], "control"))
			ret->control = fd;
		else if (str_eq(names[i], "receive"))
			ret->receive = fd;
		else
			close(fd);
	}
	if (n > 0)
		strv_free(names);
	errno = -n;
	return n < 0 ? err_errno(err, "take over sockets") : 0;
}

static int make_folder(const char *path, struct err *err)
{
	_cleanup_free_ char *folder = xstrndup(path, (size_t)(strrchr(path, '/') - path));
	int r = file_mkdirs(folder, 0755, err);

	if (r < 0)
		return r;
	if (chmod(folder, 0755) < 0)
		return err_errno(err, "open %s for the receive user", folder);
	return 0;
}

int listen_open(bool receive, gid_t receive_gid, struct listen_fds *ret, struct err *err)
{
	struct listen_fds fds = {-1, -1};
	int r = inherited(&fds, err);

	if (r >= 0 && (fds.control < 0 || fds.receive < 0))
		r = make_folder(local_socket(), err);
	if (r >= 0 && fds.control < 0)
		r = make(local_socket(), 0600, (gid_t)-1, &fds.control, err);
	if (r >= 0 && fds.receive < 0 && receive)
		r = make(receive_socket(), 0660, receive_gid, &fds.receive, err);
	if (r < 0)
		return r;
	*ret = fds;
	return 0;
}
