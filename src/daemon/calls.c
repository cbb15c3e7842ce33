#include "daemon/calls.h"

#include "base/str.h"

#define CALL(call_name, fn, call_flags) {call_name, call_flags},
static const struct call calls[] = {CALL_LIST(CALL)};

const struct call *call_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		if (str_eq(calls[i].name, name))
			return &calls[i];
	return NULL;
}
