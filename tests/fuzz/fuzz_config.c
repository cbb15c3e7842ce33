/* wherry.conf, and the lists of addresses of an authorised key: texts of an operator that end up in
 * other programs' files and command lines. */
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "fuzz.h"
#include "node/address.h"
#include "node/config.h"

static void config(const char *text, size_t n)
{
	_cleanup_config_ struct config *c = NULL;
	struct err err = ERR_INIT;

	if (config_parse(text, n, "fuzz.conf", &c, &err) < 0) {
		fuzz_must(!c && err.code == ERR_INVALID && str_starts(err.text, "fuzz.conf"));
		return;
	}
	fuzz_must(c->receive_user[0] && !strpbrk(c->receive_user, " /\"'\\$;\n"));
	fuzz_must(c->stop_timeout >= USEC_PER_SEC && c->link_timeout >= USEC_PER_SEC);
	fuzz_must(c->health_timeout >= USEC_PER_SEC && c->sync_rounds <= 100);
	fuzz_must(strv_len(c->bridges) % 2 == 0);
	for (size_t i = 0; c->bridges && c->bridges[i]; i++)
		fuzz_must(c->bridges[i][0] && !strpbrk(c->bridges[i], "/ \n"));
	for (size_t i = 0; c->ssh_options && c->ssh_options[i]; i++)
		fuzz_must(c->ssh_options[i][0] != '-' && strchr(c->ssh_options[i], '='));
	fuzz_must(!c->health_command || c->health_command[0] == '/');
}

static void addresses(const char *text)
{
	struct err err = ERR_INIT;

	(void)address_list_has("192.0.2.0/24,!192.0.2.7,2001:db8:*", text);
	if (address_list_check(text, &err) < 0)
		return;
	/* It stands between quotes in sshd's file. */
	fuzz_must(!strpbrk(text, "\"\\ \t\r\n"));
	(void)address_list_has(text, "192.0.2.1");
	(void)address_list_has(text, "2001:db8::1");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	_cleanup_free_ char *text = xstrndup((const char *)data, n);

	config((const char *)data, n);
	addresses(text);
	return 0;
}
