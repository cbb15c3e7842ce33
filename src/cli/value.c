#include "cli/value.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/json.h"
#include "base/num.h"
#include "base/str.h"

#define SECRET_MAX 255

static int read_line(int fd, const char *what, char ret[SECRET_MAX + 1], struct err *err)
{
	size_t n = 0;
	char c;

	while (n <= SECRET_MAX && read(fd, &c, 1) == 1 && c != '\n')
		ret[n++] = c;
	if (n == 0 || n > SECRET_MAX)
		return err_set(
			err, ERR_INVALID, "%s is empty or longer than %d bytes", what, SECRET_MAX);
	ret[n] = '\0';
	return 0;
}

static int ask_secret(json_t *args, const char *key, struct err *err)
{
	char secret[SECRET_MAX + 2];
	struct termios old, quiet;
	bool terminal = tcgetattr(STDIN_FILENO, &old) == 0;
	int r;

	if (terminal) {
		quiet = old;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		fprintf(stderr, "Passphrase: ");
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	}
	r = read_line(STDIN_FILENO, "the passphrase on standard input", secret, err);
	if (terminal) {
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &old);
		fputc('\n', stderr);
	}
	if (r >= 0)
		json_put_str(args, key, secret);
	return r;
}

static int put_secret(json_t *args, const char *key, char *value, struct err *err)
{
	if (str_eq(value, "-"))
		return ask_secret(args, key, err);
	if (strlen(value) > SECRET_MAX)
		return err_set(
			err, ERR_INVALID, "the passphrase is longer than %d bytes", SECRET_MAX);
	json_put_str(args, key, value);
	explicit_bzero(value, strlen(value)); /* ps(1) shows what is in argv */
	return 0;
}

static int put_secret_file(json_t *args, const char *key, const char *path, struct err *err)
{
	_cleanup_close_ int fd = -1;
	char secret[SECRET_MAX + 2];
	int r;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, "open %s", path);
	r = read_line(fd, path, secret, err);
	if (r >= 0)
		json_put_str(args, key, secret);
	return r;
}

static int put_path(json_t *args, const char *key, const char *path, struct err *err)
{
	_cleanup_free_ char *absolute = NULL, *real = NULL;
	char cwd[PATH_MAX];

	if (path[0] == '/') {
		json_put_str(args, key, path);
		return 0;
	}
	if (!getcwd(cwd, sizeof(cwd)))
		return err_errno(err, "find the working folder");
	absolute = xasprintf("%s/%s", cwd, path);
	real = realpath(absolute, NULL); /* what is missing, wherryd complains of */
	json_put_str(args, key, real ? real : absolute);
	return 0;
}

static int put_number(
	json_t *args, const char *key, enum option_kind kind, const char *value, struct err *err)
{
	uint64_t n = 0;
	uint16_t port = 0;
	int r;

	switch (kind) {
	case OPTION_PORT:
		r = num_port(value, &port, err);
		n = port;
		break;
	case OPTION_SIZE: r = num_size(value, &n, err); break;
	case OPTION_DURATION:
		r = num_duration(value, &n, err);
		n /= USEC_PER_MSEC;
		break;
	default: r = num_u64(value, INT64_MAX, &n, err); break;
	}
	if (r >= 0)
		json_put_u64(args, key, n);
	return r;
}

int value_put(json_t *args, const char *key, enum option_kind kind, char *text, struct err *err)
{
	switch (kind) {
	case OPTION_WORD:
		if (!*text)
			return err_set(err, ERR_INVALID, "is empty");
		json_put_str(args, key, text);
		return 0;
	case OPTION_FILE:
		if (!str_eq(text, "-"))
			return put_path(args, key, text, err);
		json_put_str(args, key, text);
		return 0;
	case OPTION_PATH: return put_path(args, key, text, err);
	case OPTION_SECRET: return put_secret(args, key, text, err);
	case OPTION_SECRET_FILE: return put_secret_file(args, key, text, err);
	default: return put_number(args, key, kind, text, err);
	}
}
