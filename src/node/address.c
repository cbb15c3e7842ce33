#include "node/address.h"

#include <arpa/inet.h>
#include <fnmatch.h>
#include <string.h>

#include "base/num.h"
#include "base/str.h"

#define LIST_MAX 1024 /* bytes */

/* An address, or a network of the first `prefix` bits. */
struct net {
	int family;
	unsigned char b[16];
	unsigned bits, prefix;
};

static bool parse_address(const char *text, struct net *ret)
{
	static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
	struct net a = {.family = AF_INET, .bits = 32};

	if (inet_pton(AF_INET, text, a.b) != 1) {
		a = (struct net){.family = AF_INET6, .bits = 128};
		if (inet_pton(AF_INET6, text, a.b) != 1)
			return false;
		if (memcmp(a.b, mapped, sizeof(mapped)) == 0) {
			memmove(a.b, a.b + 12, 4);
			a.family = AF_INET;
			a.bits = 32;
		}
	}
	a.prefix = a.bits;
	*ret = a;
	return true;
}

static bool same_prefix(const unsigned char *a, const unsigned char *b, unsigned bits)
{
	unsigned rest = bits % 8;

	if (memcmp(a, b, bits / 8) != 0)
		return false;
	return !rest || ((a[bits / 8] ^ b[bits / 8]) & (0xff00u >> rest) & 0xff) == 0;
}

/* "ADDRESS/BITS". sshd takes only a network whose remaining bits are 0. */
static bool parse_net(char *text, struct net *ret)
{
	char *slash = strchr(text, '/');
	struct err ignored = ERR_INIT;
	struct net n;
	uint32_t prefix;

	*slash = '\0';
	if (!parse_address(text, &n) || num_u32(slash + 1, n.bits, &prefix, &ignored) < 0)
		return false;
	n.prefix = prefix;
	for (unsigned i = prefix; i < n.bits; i++)
		if (n.b[i / 8] & (0x80u >> i % 8))
			return false;
	*ret = n;
	return true;
}

/* Patterns are compared with the text of the address, which has small letters in sshd.
 * 1: a pattern, 0: a network in *ret, -1: neither. */
static int parse_entry(char *text, struct net *ret)
{
	if (strpbrk(text, "*?"))
		return text[strspn(text, "0123456789abcdef:.*?")] ? -1 : 1;
	if (strchr(text, '/'))
		return parse_net(text, ret) ? 0 : -1;
	return parse_address(text, ret) ? 0 : -1;
}

int address_list_check(const char *list, struct err *err)
{
	_cleanup_strv_ char **entries = NULL;
	struct net net;

	if (!*list || strlen(list) > LIST_MAX)
		return err_set(err, ERR_INVALID,
			"a list of client addresses has 1 to %d characters", LIST_MAX);
	entries = str_split(list, ",", true);
	for (size_t i = 0; entries[i]; i++) {
		_cleanup_free_ char *shown = str_escape(entries[i], strlen(entries[i]));

		if (parse_entry(entries[i] + (entries[i][0] == '!'), &net) < 0)
			return err_set(err, ERR_INVALID,
				"\"%.64s\" is not a client address, a network like 10.0.0.0/8 or a "
				"pattern like 10.0.*: host names are not taken",
				shown);
	}
	return 0;
}

static bool entry_has(char *entry, const char *address, const struct net *a)
{
	struct net net;

	switch (parse_entry(entry, &net)) {
	case 1: return fnmatch(entry, address, FNM_NOESCAPE) == 0;
	case 0: return net.family == a->family && same_prefix(net.b, a->b, net.prefix);
	default: return false;
	}
}

bool address_list_has(const char *list, const char *address)
{
	_cleanup_strv_ char **entries = str_split(list, ",", false);
	char text[INET6_ADDRSTRLEN];
	struct net a;
	bool found = false;

	if (!address || !parse_address(address, &a) ||
		!inet_ntop(a.family, a.b, text, sizeof(text)))
		return false;
	for (size_t i = 0; entries && entries[i]; i++) {
		bool excluded = entries[i][0] == '!';

		if (!entry_has(entries[i] + excluded, text, &a))
			continue;
		if (excluded)
			return false;
		found = true;
	}
	return found;
}
