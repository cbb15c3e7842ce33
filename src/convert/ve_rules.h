/*
 * The table of all parameters of OpenVZ that Wherry knows, legacy and Virtuozzo's.
 */
#pragma once

#include "convert/ve_param.h"

const struct ve_rule *ve_rule_find(const char *name); /* NULL if unknown */
