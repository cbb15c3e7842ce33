/*
 * Log lines for administrators: stderr with a priority prefix that the journal understands, or
 * plain when stderr is a terminal. Libraries log at debug only; mains and move/ say more. Control
 * characters in arguments are escaped, so that a peer's or a container's strings cannot forge
 * lines. Never log keys, tokens or passphrases.
 */
#pragma once

#include "base/attr.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };

/* ident is kept, not copied. WHERRY_LOG=debug|info|warning|error in the environment wins over
 * level. */
void log_open(const char *ident, enum log_level level);
/* Prefix of every line of this process from now on, e.g. "job 17". NULL removes it. */
void log_context(const char *fmt, ...) _printf_(1, 2);
void log_write(enum log_level level, const char *fmt, ...) _printf_(2, 3);

#define log_debug(...)	 log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...)	 log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_error(...)	 log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
