#include "link/ssh_options.h"

#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/num.h"
#include "base/str.h"
#include "link/ssh.h"

#define OPTIONS_MAX 32

/* What an option may say about the way to the other node. */
static const char *const harmless[] = {
	"AddressFamily",
	"BindAddress",
	"BindInterface",
	"CASignatureAlgorithms",
	"CheckHostIP",
	"Ciphers",
	"Compression",
	"ConnectionAttempts",
	"HostKeyAlgorithms",
	"HostKeyAlias",
	"HostName",
	"IPQoS",
	"KexAlgorithms",
	"MACs",
	"ProxyJump",
	"PubkeyAcceptedAlgorithms",
	"PubkeyAcceptedKeyTypes",
	"RekeyLimit",
	"TCPKeepAlive",
};

/* Letters of ssh(1): short forms of the above, and those that change nothing here. */
static const struct {
	char letter;
	const char *option; /* "Name": a value follows; "Name=value"; "": nothing to do */
} letters[] = {
	{'4', "AddressFamily=inet"},
	{'6', "AddressFamily=inet6"},
	{'B', "BindInterface"},
	{'C', "Compression=yes"},
	{'J', "ProxyJump"},
	{'T', ""},
	{'a', ""},
	{'b', "BindAddress"},
	{'c', "Ciphers"},
	{'l', "User"},
	{'m', "MACs"},
	{'p', "Port"},
	{'q', ""},
	{'v', ""},
	{'x', ""},
};

/* No blanks, quotes, "$", "`", "~" or "%": ssh would expand some of them, and a shell all. */
static bool value_ok(const char *value)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789@._:,+^*=/[]-";
	size_t n = strspn(value, allowed);

	return n > 0 && n <= 255 && !value[n] && value[0] != '-';
}

/* ssh hands each host of a jump to an ssh of its own, on a shell's command line. */
static bool jump_ok(const char *value)
{
	_cleanup_strv_ char **hops = str_split(value, ",", true);

	for (size_t i = 0; hops && hops[i]; i++) {
		const char *at = strrchr(hops[i], '@'), *host = at ? at + 1 : hops[i];

		if (!*host || *host == '-' || hops[i][0] == '-' || strchr(hops[i], '/'))
			return false;
	}
	return true;
}

static bool known(const char *name, size_t n)
{
	for (size_t i = 0; i < ARRAY_SIZE(harmless); i++)
		if (strlen(harmless[i]) == n && strncasecmp(harmless[i], name, n) == 0)
			return true;
	return false;
}

bool ssh_option_ok(const char *option)
{
	size_t n = strcspn(option, "=");

	if (!option[n] || !known(option, n) || !value_ok(option + n + 1))
		return false;
	return strncasecmp(option, "ProxyJump", n) != 0 || jump_ok(option + n + 1);
}

static int refused(const char *what, struct err *err)
{
	return err_set(err, ERR_INVALID,
		"--ssh takes no %.64s: what runs commands, forwards or chooses keys belongs to "
		"root's ssh_config, or to ssh_option in wherry.conf",
		what);
}

static int put_port(const char *value, struct ssh_options *o, struct err *err)
{
	uint32_t port;

	if (num_u32(value, 65535, &port, err) < 0 || port == 0)
		return err_set(err, ERR_INVALID, "--ssh: \"%.64s\" is not a port", value);
	o->port = (uint16_t)port;
	return 0;
}

static int put_host_key_check(const char *value, struct ssh_options *o, struct err *err)
{
	if (!strcasecmp(value, "no") || !strcasecmp(value, "off") ||
		!strcasecmp(value, "accept-new"))
		o->accept_new = true;
	else if (strcasecmp(value, "yes") && strcasecmp(value, "ask"))
		return err_set(err, ERR_INVALID,
			"--ssh: StrictHostKeyChecking is yes, no or accept-new, not \"%.64s\"",
			value);
	return 0;
}

/* "Name=value", as after -o. */
static int put_option(const char *text, struct ssh_options *o, struct err *err)
{
	size_t n = strcspn(text, "=");
	_cleanup_free_ char *name = xstrndup(text, n);
	const char *value = text[n] ? text + n + 1 : "";

	if (!strcasecmp(name, "Port"))
		return put_port(value, o, err);
	if (!strcasecmp(name, "StrictHostKeyChecking"))
		return put_host_key_check(value, o, err);
	if (!strcasecmp(name, "BatchMode")) /* it always is */
		return 0;
	if (!strcasecmp(name, "User")) {
		if (!ssh_word_ok(value) || value[0] == '-')
			return err_set(err, ERR_INVALID, "--ssh: \"%.64s\" is not a user", value);
		free(o->user);
		o->user = xstrdup(value);
		return 0;
	}
	if (!known(name, n))
		return refused(name, err);
	if (!ssh_option_ok(text))
		return err_set(err, ERR_INVALID,
			"--ssh: \"%.64s\" can't be the value of %s: write -o Name=value, without "
			"blanks or quotes",
			value, name);
	if (strv_len(o->options) >= OPTIONS_MAX)
		return err_set(err, ERR_INVALID, "--ssh has too many options");
	strv_push(&o->options, text);
	return 0;
}

/* The value of a letter stands behind it, or in the next word. */
static int take_value(
	char *const *words, size_t *i, const char *behind, const char **ret, struct err *err)
{
	*ret = *behind ? behind : words[*i + 1];
	if (!*ret)
		return err_set(err, ERR_INVALID, "--ssh: %s needs a value", words[*i]);
	*i += !*behind;
	return 0;
}

static const char *option_of(char letter)
{
	for (size_t i = 0; i < ARRAY_SIZE(letters); i++)
		if (letters[i].letter == letter)
			return letters[i].option;
	return NULL;
}

static int parse_word(char *const *words, size_t *i, struct ssh_options *o, struct err *err)
{
	const char *word = words[*i], *value, *option;
	_cleanup_free_ char *text = NULL;
	int r;

	if (word[0] != '-' || !word[1])
		return err_set(err, ERR_INVALID,
			"--ssh holds options of ssh, and \"%.64s\" is none", word);
	if (word[1] == 'o') {
		r = take_value(words, i, word + 2, &value, err);
		return r < 0 ? r : put_option(value, o, err);
	}
	option = option_of(word[1]);
	if (!option)
		return refused(word, err);
	if (!*option || strchr(option, '=')) {
		/* -qv, -4C: several letters in one word */
		for (const char *p = word + 1; *p; p++) {
			option = option_of(*p);
			if (!option || (*option && !strchr(option, '=')))
				return refused(word, err);
			r = *option ? put_option(option, o, err) : 0;
			if (r < 0)
				return r;
		}
		return 0;
	}
	r = take_value(words, i, word + 2, &value, err);
	if (r < 0)
		return r;
	text = xasprintf("%s=%s", option, value);
	return put_option(text, o, err);
}

int ssh_options_parse(const char *text, struct ssh_options *ret, struct err *err)
{
	_cleanup_strv_ char **words = str_split(text, " \t", false);
	struct ssh_options o = {0};
	int r = 0;

	for (size_t i = 0; r >= 0 && words && words[i]; i++)
		r = parse_word(words, &i, &o, err);
	if (r < 0) {
		ssh_options_done(&o);
		return r;
	}
	*ret = o;
	return 0;
}

void ssh_options_done(struct ssh_options *o)
{
	free(o->user);
	strv_free(o->options);
	*o = (struct ssh_options){0};
}
