/*
 * Fix-ups of the network: stanzas of venet0 in interfaces(5), and resolv.conf.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/beneath.h"
#include "convert/fixup_table.h"

#define INTERFACES "etc/network/interfaces"
#define HEADER_END "# Written by Wherry: the addresses of eth0 are set by LXC.\n"

static bool is_venet(const char *word)
{
	return word && (str_eq(word, "venet0") || str_starts(word, "venet0:"));
}

/* What begins a stanza of its own; what follows belongs to it. */
static bool begins_stanza(const char *word)
{
	static const char *const words[] = {"auto", "iface", "mapping", "source",
		"source-directory", "no-auto-down", "no-scripts"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (str_eq(words[i], word))
			return true;
	return str_starts(word, "allow-");
}

/* "auto lo venet0" without venet0; NULL if nothing is left of it. */
static char *without_venet(char *const *words)
{
	struct str s = STR_INIT;
	size_t n = 0;

	str_add(&s, words[0]);
	for (size_t i = 1; words[i]; i++)
		if (!is_venet(words[i])) {
			str_addf(&s, " %s", words[i]);
			n++;
		}
	if (n)
		return str_take(&s);
	str_done(&s);
	return NULL;
}

/* vzctl generates the file, and says so in a header that would be wrong from now on. */
static bool is_header(const char *line)
{
	return line[0] == '#' && (strstr(line, "automatically") || strstr(line, "overwritten") ||
					 strstr(line, "OpenVZ") || strstr(line, "vzctl"));
}

static void put_interfaces(struct str *out, char *const *lines, unsigned *ret_taken)
{
	bool skipping = false;

	for (size_t i = 0; lines[i]; i++) {
		_cleanup_strv_ char **words = str_words(lines[i]);
		_cleanup_free_ char *left = NULL;
		const char *first = words[0];

		if (!lines[i + 1] && !lines[i][0])
			break; /* behind the last newline */
		if (first && first[0] != '#' && begins_stanza(first))
			skipping = str_eq(first, "iface") && is_venet(words[1]);
		if (skipping ? first && first[0] != '#' : is_header(lines[i])) {
			++*ret_taken;
			continue;
		}
		if (first && (str_eq(first, "auto") || str_starts(first, "allow-")) && words[1]) {
			bool any = false;

			for (size_t j = 1; words[j]; j++)
				any = any || is_venet(words[j]);
			left = any ? without_venet(words) : xstrdup(lines[i]);
			*ret_taken += any;
			if (left)
				str_addf(out, "%s\n", left);
			continue;
		}
		str_addf(out, "%s\n", lines[i]);
	}
}

int fix_interfaces(
	struct fix *f, const struct guest *g, const struct fixup_options *o, struct err *err)
{
	_cleanup_free_ char *text = NULL, *what = NULL;
	_cleanup_strv_ char **lines = NULL;
	_cleanup_(str_done) struct str out = STR_INIT;
	unsigned taken = 0;
	int r = guest_read(f->root, INTERFACES, FIX_FILE_MAX, &text, err);

	if (r <= 0 || !strstr(text, "venet0"))
		return r < 0 ? r : 0;
	lines = str_split(text, "\n", true);
	str_add(&out, HEADER_END);
	put_interfaces(&out, lines, &taken);
	what = xasprintf("%u lines of venet0 taken out", taken);
	return taken ? fix_write(f, INTERFACES, out.buf, what, err) : 0;
}

/* A link belongs to a program that writes the file itself: resolvconf, systemd-resolved. */
int fix_resolver(
	struct fix *f, const struct guest *g, const struct fixup_options *o, struct err *err)
{
	_cleanup_(str_done) struct str out = STR_INIT;
	struct stat st;

	if (!o->nameservers || !o->nameservers[0])
		return 0;
	if (beneath_stat(f->root, "etc/resolv.conf", &st) == 0 && S_ISLNK(st.st_mode))
		return err_set(err, ERR_STATE,
			"it is a link, which a program inside writes by itself: name servers are "
			"left to that");
	if (o->domains && o->domains[0]) {
		_cleanup_free_ char *domains = str_join(o->domains, " ");

		str_addf(&out, "search %s\n", domains);
	}
	for (size_t i = 0; o->nameservers[i]; i++)
		str_addf(&out, "nameserver %s\n", o->nameservers[i]);
	return fix_write(
		f, "etc/resolv.conf", out.buf, "the name servers of its configuration", err);
}
