#include "base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"

static const struct {
	const char *name;
	int syslog; /* sd-daemon(3): "<3>" in front of a line is its priority */
} levels[] = {
	[LOG_LEVEL_DEBUG] = {"debug", 7},
	[LOG_LEVEL_INFO] = {"info", 6},
	[LOG_LEVEL_WARNING] = {"warning", 4},
	[LOG_LEVEL_ERROR] = {"error", 3},
};

static const char *log_ident;
static enum log_level log_least = LOG_LEVEL_INFO;
static bool log_on_terminal;
static char log_prefix[128];

void log_open(const char *ident, enum log_level level)
{
	const char *wanted = getenv("WHERRY_LOG");

	log_ident = ident;
	log_least = level;
	log_on_terminal = isatty(STDERR_FILENO);
	for (size_t i = 0; wanted && i < ARRAY_SIZE(levels); i++)
		if (str_eq(wanted, levels[i].name))
			log_least = (enum log_level)i;
}

void log_context(const char *fmt, ...)
{
	va_list ap;

	log_prefix[0] = '\0';
	if (!fmt)
		return;
	va_start(ap, fmt);
	vsnprintf(log_prefix, sizeof(log_prefix), fmt, ap);
	va_end(ap);
}

/* One write for a line, so that the lines of several processes do not mix. */
void log_write(enum log_level level, const char *fmt, ...)
{
	_cleanup_free_ char *raw = NULL;
	_cleanup_free_ char *context = NULL;
	_cleanup_free_ char *text = NULL;
	_cleanup_(str_done) struct str line = STR_INIT;
	va_list ap;

	if (level < log_least)
		return;
	va_start(ap, fmt);
	raw = xvasprintf(fmt, ap);
	va_end(ap);
	text = str_escape(raw, strlen(raw));
	context = str_escape(log_prefix, strlen(log_prefix));

	if (!log_on_terminal)
		str_addf(&line, "<%d>", levels[level].syslog);
	if (log_ident)
		str_addf(&line, "%s: ", log_ident);
	if (*context)
		str_addf(&line, "%s: ", context);
	if (log_on_terminal && level != LOG_LEVEL_INFO)
		str_addf(&line, "%s: ", levels[level].name);
	str_add(&line, text);
	str_addc(&line, '\n');
	(void)!write(STDERR_FILENO, line.buf, line.len);
}
