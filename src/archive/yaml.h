/*
 * YAML as JSON: mappings with plain keys, sequences, scalars. What is quoted is text; plain null,
 * ~, true, false and whole numbers are what they look like, everything else is text too. Hostile
 * text is bounded: length, depth, number of values; no anchors, no second document.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "base/err.h"

#define YAML_TEXT_MAX (256u << 10)

int yaml_parse(const char *text, size_t n, json_t **ret, struct err *err) _must_use_;
char *yaml_text(const json_t *v); /* the caller's */
