/*
 * What became of every line of a configuration: as text in the form that vpsadminos-convert prints,
 * with what LXC gets and why below it, and as JSON for programs.
 */
#pragma once

#include <jansson.h>

#include "convert/convert.h"

/* "Consumed config items:" and "Ignored config items:", then reasons and the configuration. */
char *report_text(const struct conversion *c);
/* {"ct", "consumed", "ignored", "lost", "parameters": [{"line", "file", "name", "value", "class",
 * "result": [], "reason", "lost"}], "container": {}, "quota": {}, "source": {}, "dns": {},
 * "modules": []} */
json_t *report_json(const struct conversion *c);
/* The configuration as it would be in LXC's folder. */
char *report_lxc(const struct conversion *c);
