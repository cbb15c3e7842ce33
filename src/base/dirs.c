#include "base/dirs.h"

#include <stdlib.h>

static const char *dir_or(const char *variable, const char *usual)
{
	const char *v = getenv(variable);

	return v && v[0] == '/' ? v : usual;
}

const char *dirs_state(void)
{
	return dir_or("WHERRY_STATE_DIR", "/var/lib/wherry");
}

const char *dirs_run(void)
{
	return dir_or("WHERRY_RUN_DIR", "/run/wherry");
}
