#include "link/ssh_refusal.h"

#include <string.h>

#include "base/alloc.h"
#include "base/str.h"

/* In order: the first that is found. The sentence begins with the host. */
static const struct {
	const char *says;
	enum err_code code;
	const char *sentence;
} refusals[] = {
	{"REVOKED HOST KEY", ERR_AUTH, "showed a host key that is revoked here"},
	{"Temporary failure in name resolution", ERR_UNREACHABLE,
		"cannot be looked up: the name server does not answer"},
	{"Could not resolve hostname", ERR_NOT_FOUND,
		"is not a known host: check the name, or use an address"},
	{"Connection refused", ERR_UNREACHABLE,
		"refuses the connection: does sshd run there, and on that port?"},
	{"No route to host", ERR_UNREACHABLE, "cannot be reached: there is no route to it"},
	{"Network is unreachable", ERR_UNREACHABLE, "cannot be reached: there is no route to it"},
	{"not responding", ERR_UNREACHABLE,
		"does not answer any more: the connection was given up"},
	{"timed out", ERR_UNREACHABLE, "does not answer: is it up, and is no firewall in between?"},
	{"UNPROTECTED PRIVATE KEY", ERR_AUTH,
		"was not asked: the send key must be readable by root only (chmod 600)"},
	{"Permission denied (", ERR_AUTH,
		"does not accept this node's send key: there, run `wherry receive authorized-keys "
		"add` with the line that is in the file `wherry send key path public`"},
	{"Too many authentication failures", ERR_AUTH, "does not accept this node's send key"},
	{"Unable to negotiate", ERR_UNSUPPORTED,
		"and this host have no ssh algorithm in common (see sshd -T there, ssh -Q here)"},
	{"bad configuration option", ERR_INVALID,
		"was not asked: ssh does not take an option of ssh_config or of ssh_option"},
	{"Bad configuration option", ERR_INVALID,
		"was not asked: ssh does not take an option of ssh_config or of ssh_option"},
	{"UNKNOWN port", ERR_UNREACHABLE,
		"cannot be reached: the connection was lost, or a jump host failed"},
	{"kex_exchange_identification", ERR_UNREACHABLE,
		"closed the connection before the login: is it overloaded, or a firewall in "
		"between?"},
	{"Session open refused", ERR_UNREACHABLE,
		"takes no more sessions on this connection (MaxSessions of its sshd)"},
};

static bool is_changed_key(const char *text)
{
	return strstr(text, "HOST IDENTIFICATION HAS CHANGED");
}

bool ssh_refusal_is_unknown_key(const char *text)
{
	return !is_changed_key(text) && strstr(text, "host key is known for");
}

/* The word that begins with prefix; the caller's, NULL if there is none. */
static char *word_of(const char *text, const char *prefix)
{
	const char *p = strstr(text, prefix);

	return p ? xstrndup(p, MIN(strcspn(p, " \t\r\n"), (size_t)256)) : NULL;
}

char *ssh_refusal_fingerprint(const char *text)
{
	static const char says[] = "Server host key: ";
	const char *p = strstr(text, says);

	if (!p)
		return NULL;
	p += strlen(says);
	return xstrndup(p, MIN(strcspn(p, "\r\n"), (size_t)256));
}

/* ssh-keygen's name of a key type, as in ssh_host_*_key. */
static const char *file_type(const char *fingerprint)
{
	if (strstr(fingerprint, "ed25519"))
		return "ed25519";
	return strstr(fingerprint, "ecdsa") ? "ecdsa" : "rsa";
}

static int unknown_key(const char *where, const char *fingerprint, struct err *err)
{
	if (!fingerprint)
		return err_set(err, ERR_AUTH,
			"the host key of %s is not known here: repeat this with "
			"--accept-new-host-key if you trust the way to it",
			where);
	return err_set(err, ERR_AUTH,
		"the host key of %s is not known here (%s): compare it with what `ssh-keygen -lf "
		"/etc/ssh/ssh_host_%s_key.pub` prints there, and repeat this with "
		"--accept-new-host-key",
		where, fingerprint, file_type(fingerprint));
}

static int changed_key(const char *text, const char *where, struct err *err)
{
	_cleanup_free_ char *now = word_of(text, "SHA256:");
	const char *offending = strstr(text, "Offending ");
	_cleanup_free_ char *file = offending ? word_of(offending, "/") : NULL;

	return err_set(err, ERR_AUTH,
		"the host key of %s has changed (it is now %s): somebody may be in between; if it "
		"was installed anew, remove the old key from %s",
		where, now ? now : "another", file ? file : "known_hosts");
}

char *ssh_refusal_last_line(char *text)
{
	char *trimmed = str_trim(text), *newline = strrchr(trimmed, '\n');

	return newline ? str_trim(newline) : trimmed;
}

int ssh_refusal(const char *text, const char *where, const char *fingerprint, struct err *err)
{
	_cleanup_free_ char *copy = NULL;

	if (is_changed_key(text))
		return changed_key(text, where, err);
	if (ssh_refusal_is_unknown_key(text))
		return unknown_key(where, fingerprint, err);
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++)
		if (strstr(text, refusals[i].says))
			return err_set(err, refusals[i].code, "%s %s", where, refusals[i].sentence);
	copy = xstrdup(text);
	if (!*str_trim(copy))
		return err_set(err, ERR_UNREACHABLE, "the connection to %s was lost", where);
	return err_set(err, ERR_UNREACHABLE, "the connection to %s was lost: %.600s", where,
		ssh_refusal_last_line(copy));
}
