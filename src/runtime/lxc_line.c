#include "runtime/lxc_line.h"

#include <stdarg.h>
#include <string.h>

#include "base/alloc.h"

/* LXC trims blanks around a value and then takes off one pair of equal quotes. */
static bool needs_quotes(const char *value)
{
	size_t n = strlen(value);

	return n > 0 && (value[0] == '"' || value[0] == '\'' || value[0] == ' ' ||
				value[0] == '\t' || value[n - 1] == ' ' || value[n - 1] == '\t');
}

void lxc_line_add(struct str *s, const char *key, const char *value)
{
	if (!value[0])
		str_addf(s, "%s =\n", key);
	else if (needs_quotes(value))
		str_addf(s, "%s = \"%s\"\n", key, value);
	else
		str_addf(s, "%s = %s\n", key, value);
}

void lxc_line_addf(struct str *s, const char *key, const char *fmt, ...)
{
	_cleanup_free_ char *value = NULL;
	va_list ap;

	va_start(ap, fmt);
	value = xvasprintf(fmt, ap);
	va_end(ap);
	lxc_line_add(s, key, value);
}
