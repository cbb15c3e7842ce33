#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Names are part of the protocol and exit statuses part of the command line: neither ever changes.
 */
static const struct {
	const char *name;
	int exit_status;
	const char *explain;
} codes[ERR_CODE_MAX] = {
	[ERR_NONE] = {"none", 0, "Done."},
	[ERR_INTERNAL] = {"internal", 1, "An error inside Wherry, or the system gave out."},
	[ERR_INVALID] = {"invalid", 2, "Bad arguments, names or configuration."},
	[ERR_NOT_FOUND] = {"not-found", 3, "The container, pool, key or job does not exist."},
	[ERR_EXISTS] = {"exists", 4, "Something of that name exists already."},
	[ERR_BUSY] = {"busy", 5, "In use, or locked by another job."},
	[ERR_STATE] = {"state", 6, "Not possible in the present state, or steps in wrong order."},
	[ERR_DENIED] = {"denied", 7, "Not allowed: root is needed, or the key does not allow it."},
	[ERR_AUTH] = {"auth", 8, "A key is not authorised, or a host key is unknown or changed."},
	[ERR_UNREACHABLE] = {"unreachable", 9, "No connection, or the connection was lost."},
	[ERR_TIMEOUT] = {"timeout", 10, "A deadline passed."},
	[ERR_PROTOCOL] = {"protocol", 11,
		"The other side broke the rules or speaks another version."},
	[ERR_CORRUPT] = {"corrupt", 12, "A digest does not match: data was damaged."},
	[ERR_UNSUPPORTED] = {"unsupported", 13, "The target cannot express or do that."},
	[ERR_NO_SPACE] = {"no-space", 14, "No space left: bytes, inodes or quota."},
	[ERR_IO] = {"io", 15, "A system call on files or a program failed."},
	[ERR_CANCELLED] = {"cancelled", 16, "Cancelled by the operator."},
	[ERR_UNKNOWN] = {"unknown", 17, "The outcome is not known; nothing was deleted."},
	[ERR_HEALTH] = {"health", 18, "The container did not come up."},
};

/* Strings of a peer or a container end up in the text: they must not start new lines or steer a
 * terminal. */
static void defuse(char *text)
{
	for (unsigned char *p = (unsigned char *)text; *p; p++)
		if (*p < 0x20 || *p == 0x7f)
			*p = ' ';
}

/* Never ends in half a UTF-8 sequence, and shows that something was cut. */
static void mark_cut(char *text, size_t size)
{
	size_t n = size - 1 - strlen("...");

	while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
		n--;
	strcpy(text + n, "...");
}

static _printf_(3, 0) void put(char *text, size_t size, const char *fmt, va_list ap)
{
	int n = vsnprintf(text, size, fmt, ap);

	if (n < 0)
		text[0] = '\0';
	else if ((size_t)n >= size)
		mark_cut(text, size);
	defuse(text);
}

int err_set(struct err *err, enum err_code code, const char *fmt, ...)
{
	char text[sizeof(err->text)]; /* an argument may be err->text itself */
	va_list ap;

	va_start(ap, fmt);
	put(text, sizeof(text), fmt, ap);
	va_end(ap);
	memcpy(err->text, text, sizeof(text));
	err->code = code;
	return -(int)code;
}

int err_errno(struct err *err, const char *fmt, ...)
{
	int saved = errno;
	const char *why = strerror(saved);
	char text[sizeof(err->text) - 128]; /* leaves room for the reason */
	va_list ap;

	va_start(ap, fmt);
	put(text, sizeof(text), fmt, ap);
	va_end(ap);
	errno = saved;
	return err_set(err, err_from_errno(saved), "%s: %s", text, why);
}

int err_prefix(struct err *err, const char *fmt, ...)
{
	char text[sizeof(err->text) / 2]; /* context never pushes the whole cause out */
	va_list ap;

	va_start(ap, fmt);
	put(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set(err, err->code, "%s: %s", text, err->text);
}

void err_clear(struct err *err)
{
	err->code = ERR_NONE;
	err->text[0] = '\0';
}

int err_copy(struct err *dst, const struct err *src)
{
	if (dst != src)
		*dst = *src;
	return -(int)src->code;
}

static enum err_code checked(enum err_code code)
{
	return (unsigned)code < ERR_CODE_MAX ? code : ERR_INTERNAL;
}

const char *err_name(enum err_code code)
{
	return codes[checked(code)].name;
}

enum err_code err_from_name(const char *name)
{
	for (int i = 0; name && i < ERR_CODE_MAX; i++)
		if (strcmp(codes[i].name, name) == 0)
			return (enum err_code)i;
	return ERR_INTERNAL;
}

int err_exit_status(enum err_code code)
{
	return codes[checked(code)].exit_status;
}

const char *err_explain(enum err_code code)
{
	return codes[checked(code)].explain;
}

enum err_code err_from_errno(int errnum)
{
	switch (errnum) {
	case 0:
	case ENOMEM:
	case EMFILE:
	case ENFILE:
	case EBADF:
	case EFAULT: return ERR_INTERNAL;
	case ENAMETOOLONG:
	case ELOOP:
	case EXDEV: return ERR_INVALID;
	case ENOENT:
	case ENXIO:
	case ENODEV: return ERR_NOT_FOUND;
	case EEXIST:
	case ENOTEMPTY: return ERR_EXISTS;
	case EAGAIN:
	case EBUSY:
	case ETXTBSY: return ERR_BUSY;
	case EACCES:
	case EPERM: return ERR_DENIED;
	case ECONNREFUSED:
	case ECONNRESET:
	case ECONNABORTED:
	case EHOSTUNREACH:
	case EHOSTDOWN:
	case ENETUNREACH:
	case ENETDOWN:
	case ENOTCONN:
	case EPIPE: return ERR_UNREACHABLE;
	case ETIMEDOUT: return ERR_TIMEOUT;
	case EBADMSG:
	case EUCLEAN: return ERR_CORRUPT;
	case ENOSYS:
	case EOPNOTSUPP: return ERR_UNSUPPORTED;
	case ENOSPC:
	case EDQUOT: return ERR_NO_SPACE;
	case ECANCELED: return ERR_CANCELLED;
	default: return ERR_IO;
	}
}
