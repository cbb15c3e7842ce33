#include "model/limits.h"

#include <string.h>

#include "base/alloc.h"
#include "base/json.h"

#define CPUSET_MAX 512

void limits_init(struct limits *l)
{
	*l = (struct limits){
		LIMIT_NONE, LIMIT_NONE, LIMIT_NONE, LIMIT_NONE, LIMIT_NONE, LIMIT_NONE, NULL};
}

bool limits_any(const struct limits *l)
{
	return l->memory != LIMIT_NONE || l->swap != LIMIT_NONE || l->cpu_quota != LIMIT_NONE ||
	       l->cpu_weight != LIMIT_NONE || l->pids != LIMIT_NONE || l->cpuset;
}

/* At most CPU_MAX + 1 digits are looked at, so that nothing overflows. */
static bool read_cpu(const char **p, uint32_t *ret)
{
	const char *s = *p;
	uint32_t v = 0;

	for (; *s >= '0' && *s <= '9'; s++) {
		v = v * 10 + (uint32_t)(*s - '0');
		if (v > CPU_MAX)
			return false;
	}
	if (s == *p)
		return false;
	*p = s;
	*ret = v;
	return true;
}

int cpuset_next(const char **p, uint32_t *first, uint32_t *last)
{
	if (!**p)
		return 0;
	if (!read_cpu(p, first))
		return -1;
	*last = *first;
	if (**p == '-') {
		++*p;
		if (!read_cpu(p, last) || *last < *first)
			return -1;
	}
	if (**p == ',') {
		++*p;
		return **p ? 1 : -1;
	}
	return **p ? -1 : 1;
}

bool cpuset_ok(const char *s)
{
	uint32_t first, last;
	int r;

	if (!*s || strlen(s) > CPUSET_MAX)
		return false;
	while ((r = cpuset_next(&s, &first, &last)) > 0)
		;
	return r == 0;
}

static void put(json_t *obj, const char *name, uint64_t v)
{
	if (v != LIMIT_NONE)
		json_put_u64(obj, name, v);
}

json_t *limits_json(const struct limits *l)
{
	json_t *obj = json_object();

	put(obj, "memory", l->memory);
	put(obj, "swap", l->swap);
	put(obj, "cpu_quota", l->cpu_quota);
	put(obj, "cpu_period", l->cpu_period);
	put(obj, "cpu_weight", l->cpu_weight);
	put(obj, "pids", l->pids);
	json_put_str(obj, "cpuset", l->cpuset);
	return obj;
}

static const struct json_field fields[] = {
	JSON_U64(struct limits, memory, "memory", 0, 1, INT64_MAX),
	JSON_U64(struct limits, swap, "swap", 0, 0, INT64_MAX),
	JSON_U64(struct limits, cpu_quota, "cpu_quota", 0, 1000, INT64_MAX / 1000),
	JSON_U64(struct limits, cpu_period, "cpu_period", 0, 1000, 1000000),
	JSON_U64(struct limits, cpu_weight, "cpu_weight", 0, 1, 10000),
	JSON_U64(struct limits, pids, "pids", 0, 1, INT64_MAX),
	JSON_STR(struct limits, cpuset, "cpuset", 0, CPUSET_MAX),
	JSON_END,
};

int limits_from_json(const json_t *v, struct limits *ret, struct err *err)
{
	struct limits l;
	int r;

	limits_init(&l);
	r = json_read(v, fields, 0, &l, err);
	if (r >= 0 && l.cpuset && !cpuset_ok(l.cpuset))
		r = err_set(err, ERR_INVALID, "\"%.64s\" is not a list of CPUs", l.cpuset);
	if (r >= 0 && (l.cpu_quota == LIMIT_NONE) != (l.cpu_period == LIMIT_NONE))
		r = err_set(err, ERR_INVALID,
			"a quota of CPU time needs a period, and the other "
			"way round");
	if (r < 0) {
		limits_done(&l);
		return r;
	}
	*ret = l;
	return 0;
}

void limits_done(struct limits *l)
{
	free(l->cpuset);
	limits_init(l);
}
