#include "archive/osctl_config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/json.h"
#include "base/num.h"
#include "base/str.h"
#include "runtime/runtime.h"

#define MAP_DEFAULT	  "b 0 100000 65536"
#define PERIOD_DEFAULT	  100000
#define LIST_MAX	  256
#define SHARES_PER_WEIGHT 10.24

struct reading {
	struct container *c;
	void (*note)(void *ctx, const char *what);
	void *ctx;
	uint64_t memsw; /* memory and swap together; LIMIT_NONE: not said */
	struct err *err;
};

static void note(struct reading *y, const char *fmt, ...) _printf_(2, 3);
static void note(struct reading *y, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL, *shown = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	shown = str_escape(text, strnlen(text, 400));
	y->note(y->ctx, shown);
}

static int bad(struct reading *y, const char *what)
{
	return err_set(y->err, ERR_INVALID, "config/container.yml: %s is malformed", what);
}

/* As text, whatever it was. */
static char *word(const json_t *v)
{
	if (json_is_string(v))
		return xstrdup(json_string_value(v));
	if (json_is_integer(v))
		return xasprintf("%" JSON_INTEGER_FORMAT, json_integer_value(v));
	return xstrdup("");
}

/* What stays inside goes in; what reaches out of the container waits for the operator's word. */
static void add_option(struct reading *y, const char *key, const char *value)
{
	const char *reason = NULL;

	if (!option_key_ok(key) || strlen(key) > OPTION_KEY_MAX || !option_value_ok(value) ||
		y->c->options.n + y->c->refused.n >= CONTAINER_OPTIONS_MAX)
		note(y, "%s: is no option that can be taken", key);
	else if (runtime_option_harmless(key, value, &reason))
		option_add(&y->c->options, key, value, NULL);
	else
		option_add(&y->c->refused, key, value, reason ? reason : "reaches out");
}

/* Network */

static void read_addresses(struct reading *y, struct netif *n, const json_t *all)
{
	static const char *const families[] = {"v4", "v6", "4", "6"};
	const json_t *a;
	size_t i;

	for (size_t f = 0; f < ARRAY_SIZE(families); f++)
		json_array_foreach(json_object_get(all, families[f]), i, a)
		{
			const char *text = json_string_value(a);

			if (text && netif_address_ok(text) &&
				strv_len(n->addresses) < NETIF_ADDRESSES_MAX)
				strv_push(&n->addresses, text);
			else
				note(y, "address %s: is none", text ? text : "");
		}
}

static void read_gateways(struct netif *n, const json_t *g, bool dhcp)
{
	static const char *const families[] = {"v4", "v6"}, *const autos[] = {"auto", "auto6"};

	for (size_t i = 0; i < 2; i++) {
		const char *text = json_get_str(g, families[i]);
		bool has_address = false;

		for (size_t k = 0; n->addresses && n->addresses[k]; k++)
			has_address |= !strchr(n->addresses[k], ':') == (i == 0);
		if (!text || str_eq(text, "none") || !has_address)
			continue;
		if (str_eq(text, "auto") && !dhcp)
			strv_push(&n->gateways, autos[i]);
		else if (netif_gateway_family(text) == (i ? 6 : 4) &&
			 strchr(i ? ":" : ".", text[0]) == NULL && !str_eq(text, "auto"))
			strv_push(&n->gateways, text);
	}
}

static int read_netif(struct reading *y, const json_t *v, uint32_t index)
{
	const char *type = json_get_str(v, "type"), *name = json_get_str(v, "name"),
		   *link = json_get_str(v, "link"), *hwaddr = json_get_str(v, "hwaddr");
	bool routed = str_eq(type, "routed");
	struct netif *n;

	if (!routed && !str_eq(type, "bridge"))
		return bad(y, "the type of an interface");
	if ((name && !netif_name_ok(name)) || (link && !netif_name_ok(link)) ||
		(hwaddr && !netif_hwaddr_ok(hwaddr)))
		return bad(y, "an interface");
	n = netif_vec_push(&y->c->netifs);
	*n = (struct netif){.type = NETIF_VETH, .index = index, .up = true};
	n->name = xstrdup(name);
	n->link = routed ? NULL : xstrdup(link);
	n->hwaddr = xstrdup(hwaddr);
	n->veth_mode = routed ? xstrdup("router") : NULL;
	read_addresses(y, n, json_object_get(v, "ip_addresses"));
	if (!routed)
		read_gateways(n, json_object_get(v, "gateways"), json_get_bool(v, "dhcp", true));
	if (json_get_u64(v, "max_tx", 0) || json_get_u64(v, "max_rx", 0))
		note(y, "interface %s: its rate limits are not kept", name ? name : "");
	return 0;
}

/* Limits */

static uint64_t number(const char *text)
{
	struct err ignored = ERR_INIT;
	uint64_t v;

	return num_u64(text, INT64_MAX, &v, &ignored) >= 0 && v > 0 ? v : LIMIT_NONE;
}

static void read_cpu_max(struct limits *l, const char *text)
{
	uint64_t quota, period = PERIOD_DEFAULT;

	if (sscanf(text, "%" SCNu64 " %" SCNu64, &quota, &period) < 1)
		return;
	if (quota < 1000 || period < 1000 || period > 1000000)
		return;
	l->cpu_quota = quota;
	l->cpu_period = period;
}

/* false: it has no equivalent. */
static bool read_cgparam(struct reading *y, const char *name, const char *value)
{
	struct limits *l = &y->c->limits;
	uint64_t v = number(value);

	if (str_eq(name, "memory.limit_in_bytes") || str_eq(name, "memory.max"))
		l->memory = v;
	else if (str_eq(name, "memory.memsw.limit_in_bytes"))
		y->memsw = v;
	else if (str_eq(name, "memory.swap.max"))
		l->swap = str_eq(value, "0") ? 0 : v;
	else if (str_eq(name, "pids.max"))
		l->pids = v;
	else if (str_eq(name, "cpu.weight"))
		l->cpu_weight = v <= 10000 ? v : LIMIT_NONE;
	else if (str_eq(name, "cpu.shares"))
		l->cpu_weight = v == LIMIT_NONE
					? v
					: MIN(MAX((uint64_t)((double)v / SHARES_PER_WEIGHT), 1),
						  10000);
	else if (str_eq(name, "cpu.cfs_quota_us") && v != LIMIT_NONE)
		l->cpu_quota = MAX(v, 1000);
	else if (str_eq(name, "cpu.cfs_period_us") && v != LIMIT_NONE)
		l->cpu_period = MIN(MAX(v, 1000), 1000000);
	else if (str_eq(name, "cpu.max"))
		read_cpu_max(l, value);
	else if (str_eq(name, "cpuset.cpus") && cpuset_ok(value)) {
		free(l->cpuset);
		l->cpuset = xstrdup(value);
	} else
		return false;
	return true;
}

static void read_cgparams(struct reading *y, const json_t *list)
{
	struct limits *l = &y->c->limits;
	const json_t *v;
	size_t i;

	y->memsw = LIMIT_NONE;
	json_array_foreach(list, i, v)
	{
		const json_t *values = json_object_get(v, "value");
		_cleanup_free_ char *value = word(
			json_is_array(values) ? json_array_get(values, 0) : values);
		const char *name = json_get_str(v, "name");

		if (!name || !read_cgparam(y, name, value))
			note(y, "cgroup parameter %s = %s is not kept", name ? name : "", value);
	}
	if (y->memsw != LIMIT_NONE && l->memory != LIMIT_NONE && y->memsw >= l->memory)
		l->swap = y->memsw - l->memory;
	if (l->cpu_quota != LIMIT_NONE && l->cpu_period == LIMIT_NONE)
		l->cpu_period = PERIOD_DEFAULT;
	if (l->cpu_quota == LIMIT_NONE)
		l->cpu_period = LIMIT_NONE;
}

static void add_prlimit(struct reading *y, const char *name, const json_t *v)
{
	_cleanup_free_ char *soft = word(json_object_get(v, "soft")),
			    *hard = word(json_object_get(v, "hard")),
			    *key = xasprintf("lxc.prlimit.%s", name),
			    *value = xasprintf("%s:%s", soft, hard);

	add_option(y, key, value);
}

static void read_prlimits(struct reading *y, const json_t *all)
{
	const char *name;
	const json_t *v;
	size_t i;

	json_object_foreach((json_t *)(uintptr_t)all, name, v) add_prlimit(y, name, v);
	json_array_foreach(all, i, v) /* as it was */
		if (json_get_str(v, "name")) add_prlimit(y, json_get_str(v, "name"), v);
}

/* The rest */

static void read_devices(struct reading *y, const json_t *list)
{
	const json_t *v;
	size_t i;

	json_array_foreach(list, i, v)
	{
		_cleanup_free_ char *major = word(json_object_get(v, "major")),
				    *minor = word(json_object_get(v, "minor")), *value = NULL;
		const char *mode = json_get_str(v, "mode");

		if (json_get_bool(v, "inherited", false))
			continue;
		value = xasprintf("%c %s:%s %s",
			str_eq(json_get_str(v, "type"), "block") ? 'b' : 'c',
			str_eq(major, "all") ? "*" : major, str_eq(minor, "all") ? "*" : minor,
			mode ? mode : "rwm");
		add_option(y, "lxc.cgroup2.devices.allow", value);
	}
}

static void read_mounts(struct reading *y, const json_t *list)
{
	const json_t *v;
	size_t i;

	json_array_foreach(list, i, v)
	{
		const char *fs = json_get_str(v, "fs"), *at = json_get_str(v, "mountpoint"),
			   *type = json_get_str(v, "type"), *opts = json_get_str(v, "opts");
		_cleanup_free_ char *value = NULL;

		if (!fs || !at || strpbrk(fs, " \t") || strpbrk(at, " \t")) {
			note(y, "mount at %s is not kept", at ? at : "?");
			continue;
		}
		value = xasprintf("%s %s %s %s 0 0", fs, at[0] == '/' ? at + 1 : at,
			type ? type : "none", opts ? opts : "defaults");
		add_option(y, "lxc.mount.entry", value);
	}
}

static void read_raw(struct reading *y, const char *text)
{
	_cleanup_strv_ char **lines = text ? str_split(text, "\n", false) : NULL;

	for (size_t i = 0; lines && lines[i]; i++) {
		char *line = str_trim(lines[i]), *eq = strchr(line, '=');

		if (!*line || *line == '#')
			continue;
		if (!eq) {
			note(y, "raw line '%s' is no option", line);
			continue;
		}
		*eq = 0;
		add_option(y, str_trim(line), str_trim(eq + 1));
	}
}

static void read_autostart(struct reading *y, const json_t *v)
{
	if (!json_is_object(v))
		return;
	y->c->autostart = true;
	y->c->autostart_order = (uint32_t)MIN(json_get_u64(v, "priority", 0), 65535);
	y->c->autostart_delay = (uint32_t)MIN(json_get_u64(v, "delay", 0), 65535);
}

static void read_init(struct reading *y, const json_t *list)
{
	_cleanup_(str_done) struct str s = STR_INIT;
	const json_t *v;
	size_t i;

	json_array_foreach(list, i, v)
	{
		const char *w = json_string_value(v);

		if (!w || !*w || strpbrk(w, " \t\"'\\")) {
			note(y, "init_cmd is not kept: it has words that LXC cannot have");
			return;
		}
		str_addf(&s, "%s%s", i ? " " : "", w);
	}
	if (s.len)
		add_option(y, "lxc.init.cmd", s.buf);
}

static void note_rest(struct reading *y, const json_t *config)
{
	static const char *const lost[] = {
		"dns_resolvers", "seccomp_profile", "impermanence", "send_log"};

	for (size_t i = 0; i < ARRAY_SIZE(lost); i++) {
		const json_t *v = json_object_get(config, lost[i]);

		if (v && !json_is_null(v))
			note(y, "%s is not kept", lost[i]);
	}
}

static int read_map(struct reading *y, const json_t *user, const char *key, char kind)
{
	const json_t *v;
	size_t i;

	json_array_foreach(json_object_get(user, key), i, v)
	{
		uint32_t ct, host, count;
		_cleanup_free_ char *text = NULL;
		char end;
		int r;

		if (!json_is_string(v) ||
			sscanf(json_string_value(v), "%" SCNu32 ":%" SCNu32 ":%" SCNu32 "%c", &ct,
				&host, &count, &end) != 3)
			return err_set(
				y->err, ERR_INVALID, "config/user.yml: %s is malformed", key);
		text = xasprintf("%c %u %u %u", kind, ct, host, count);
		r = idmap_add(&y->c->idmap, text, y->err);
		if (r < 0)
			return err_prefix(y->err, "config/user.yml: %s", key);
	}
	return 0;
}

/* Every container of theirs has a map. */
static int read_user(struct reading *y, const json_t *user)
{
	int r = read_map(y, user, "uid_map", 'u');

	if (r >= 0)
		r = read_map(y, user, "gid_map", 'g');
	if (r >= 0 && y->c->idmap.ranges.n == 0)
		r = idmap_add(&y->c->idmap, MAP_DEFAULT, y->err);
	return r;
}

static int read_netifs(struct reading *y, const json_t *list)
{
	const json_t *v;
	size_t i;
	int r = 0;

	if (json_array_size(list) > LIST_MAX)
		return bad(y, "net_interfaces");
	json_array_foreach(list, i, v) if (r >= 0) r = read_netif(y, v, (uint32_t)i);
	return r;
}

static void read_identity(struct reading *y, const json_t *config)
{
	const char *hostname = json_get_str(config, "hostname"),
		   *arch = json_get_str(config, "arch");

	if (hostname && container_name_ok(hostname))
		y->c->hostname = xstrdup(hostname);
	if (arch && option_value_ok(arch) && strlen(arch) < 32 && !strpbrk(arch, " \t"))
		y->c->arch = xstrdup(arch);
	strv_push(&y->c->includes, "common.conf");
	strv_push(&y->c->includes, "userns.conf");
	if (json_get_bool(config, "nesting", false))
		strv_push(&y->c->includes, "nesting.conf");
}

/* Ours, in an archive of vz6 export; osctl passes over a key that it does not know. */
static int read_origin(struct reading *y, const json_t *ours)
{
	const json_t *origin = json_object_get(ours, "origin");

	return origin ? origin_from_json(origin, &y->c->origin, y->err) : 0;
}

int osctl_config_read(const char *name, const json_t *config, const json_t *user,
	void (*fn)(void *ctx, const char *what), void *ctx, struct container **ret, struct err *err)
{
	_cleanup_container_ struct container *c = container_new(name);
	struct reading y = {.c = c, .note = fn, .ctx = ctx, .err = err};
	int r;

	if (!json_is_object(config))
		return err_set(err, ERR_INVALID, "config/container.yml is no mapping");
	read_identity(&y, config);
	r = read_user(&y, user);
	if (r >= 0)
		r = read_netifs(&y, json_object_get(config, "net_interfaces"));
	if (r < 0)
		return r;
	read_cgparams(&y, json_object_get(config, "cgparams"));
	read_prlimits(&y, json_object_get(config, "prlimits"));
	read_devices(&y, json_object_get(config, "devices"));
	read_mounts(&y, json_object_get(config, "mounts"));
	read_raw(&y, json_get_str(json_object_get(config, "raw"), "lxc"));
	read_init(&y, json_object_get(config, "init_cmd"));
	read_autostart(&y, json_object_get(config, "autostart"));
	r = read_origin(&y, json_object_get(config, "wherry"));
	if (r < 0)
		return r;
	note_rest(&y, config);
	volume_add(c, "rootfs", "", NULL, NULL);
	*ret = TAKE_PTR(c);
	return 0;
}

/* The other way */

static json_t *addresses_json(const struct netif *n)
{
	json_t *v4 = json_array(), *v6 = json_array();

	for (size_t i = 0; n->addresses && n->addresses[i]; i++)
		json_array_append_new(
			strchr(n->addresses[i], ':') ? v6 : v4, json_string(n->addresses[i]));
	return json_pack("{s:o,s:o}", "v4", v4, "v6", v6);
}

static json_t *gateways_json(const struct netif *n)
{
	const char *v4 = "none", *v6 = "none";

	for (size_t i = 0; n->gateways && n->gateways[i]; i++) {
		const char *g = n->gateways[i];

		if (netif_gateway_family(g) == 6)
			v6 = strchr(g, ':') ? g : "auto";
		else
			v4 = strchr(g, '.') ? g : "auto";
	}
	return json_pack("{s:s,s:s}", "v4", v4, "v6", v6);
}

static json_t *netif_entry(const struct netif *n)
{
	bool routed = str_eq(n->veth_mode, "router");
	json_t *o = json_object(), *a = addresses_json(n);

	json_put_str(o, "type", routed ? "routed" : "bridge");
	json_put_str(o, "name", n->name ? n->name : "eth0");
	json_object_set_new(o, "hwaddr", n->hwaddr ? json_string(n->hwaddr) : json_null());
	json_object_set_new(o, "ip_addresses", a);
	if (routed) {
		json_object_set_new(o, "routes", json_deep_copy(a));
		return o;
	}
	json_put_str(o, "link", n->link ? n->link : "lxcbr0");
	json_put_bool(o, "dhcp", !n->addresses);
	json_object_set_new(o, "gateways", gateways_json(n));
	return o;
}

static void add_param(json_t *a, const char *subsystem, const char *name, const char *value)
{
	json_array_append_new(
		a, json_pack("{s:i,s:s,s:s,s:[s],s:b}", "version", 2, "subsystem", subsystem,
			   "name", name, "value", value, "persistent", true));
}

static void add_number(json_t *a, const char *subsystem, const char *name, uint64_t v)
{
	char text[32];

	if (v == LIMIT_NONE)
		return;
	snprintf(text, sizeof(text), "%" PRIu64, v);
	add_param(a, subsystem, name, text);
}

static json_t *cgparams_json(const struct limits *l)
{
	json_t *a = json_array();
	char text[64];

	add_number(a, "memory", "memory.max", l->memory);
	add_number(a, "memory", "memory.swap.max", l->swap);
	add_number(a, "pids", "pids.max", l->pids);
	add_number(a, "cpu", "cpu.weight", l->cpu_weight);
	if (l->cpu_quota != LIMIT_NONE) {
		snprintf(text, sizeof(text), "%" PRIu64 " %" PRIu64, l->cpu_quota,
			l->cpu_period == LIMIT_NONE ? PERIOD_DEFAULT : l->cpu_period);
		add_param(a, "cpu", "cpu.max", text);
	}
	if (l->cpuset)
		add_param(a, "cpuset", "cpuset.cpus", l->cpuset);
	return a;
}

static json_t *prlimit_value(const char *text)
{
	struct err ignored = ERR_INIT;
	uint64_t v;

	return num_u64(text, INT64_MAX, &v, &ignored) >= 0 ? json_integer((json_int_t)v)
							   : json_string(text);
}

static bool put_prlimit(json_t *prlimits, const struct option *o)
{
	_cleanup_strv_ char **v = NULL;

	if (!str_starts(o->key, "lxc.prlimit."))
		return false;
	v = str_split(o->value, ":", true);
	json_object_set_new(prlimits, o->key + strlen("lxc.prlimit."),
		json_pack("{s:o,s:o}", "soft", prlimit_value(v[0] ? v[0] : ""), "hard",
			prlimit_value(v[0] && v[1] ? v[1]
				      : v[0]	   ? v[0]
						   : "")));
	return true;
}

/* Options of LXC travel as raw lines: osctl has them for that. */
static void put_options(json_t *o, const struct container *c)
{
	_cleanup_(str_done) struct str raw = STR_INIT;
	json_t *prlimits = json_object();

	for (size_t i = 0; i < c->options.n; i++)
		if (!put_prlimit(prlimits, &c->options.v[i]) &&
			!str_starts(c->options.v[i].key, "lxc.apparmor"))
			str_addf(&raw, "%s = %s\n", c->options.v[i].key, c->options.v[i].value);
	json_object_set_new(o, "prlimits", prlimits);
	if (raw.len)
		json_object_set_new(o, "raw", json_pack("{s:s}", "lxc", raw.buf));
}

json_t *osctl_config_json(
	const struct container *c, void (*fn)(void *ctx, const char *what), void *ctx)
{
	json_t *o = json_object(), *netifs = json_array();

	for (size_t i = 0; i < c->netifs.n; i++)
		if (c->netifs.v[i].type == NETIF_VETH)
			json_array_append_new(netifs, netif_entry(&c->netifs.v[i]));
		else if (c->netifs.v[i].type != NETIF_EMPTY)
			fn(ctx, "an interface that is neither bridged nor routed is not kept");
	json_put_str(o, "user", c->name);
	json_put_str(o, "group", "/default");
	json_put_str(
		o, "arch", c->arch ? (str_eq(c->arch, "linux64") ? "x86_64" : c->arch) : "x86_64");
	json_put_str(o, "hostname", c->hostname ? c->hostname : c->name);
	json_object_set_new(o, "net_interfaces", netifs);
	json_object_set_new(o, "cgparams", cgparams_json(&c->limits));
	json_object_set_new(o, "devices", json_array());
	json_object_set_new(o, "mounts", json_array());
	put_options(o, c);
	json_object_set_new(o, "autostart",
		c->autostart ? json_pack("{s:i,s:i}", "priority", (int)c->autostart_order, "delay",
				       (int)c->autostart_delay)
			     : json_null());
	json_object_set_new(o, "start_menu", json_null());
	if (strv_has(c->includes, "nesting.conf"))
		json_put_bool(o, "nesting", true);
	if (c->origin)
		json_object_set_new(
			o, "wherry", json_pack("{s:o}", "origin", origin_json(c->origin)));
	return o;
}

static json_t *map_json(const struct container *c, bool gid)
{
	json_t *a = json_array();
	char text[64];

	for (size_t i = 0; i < c->idmap.ranges.n; i++) {
		const struct idrange *r = &c->idmap.ranges.v[i];

		if (r->is_gid != gid)
			continue;
		snprintf(text, sizeof(text), "%u:%u:%u", r->ct, r->host, r->count);
		json_array_append_new(a, json_string(text));
	}
	if (json_array_size(a) == 0) /* they have no others */
		json_array_append_new(a, json_string("0:100000:65536"));
	return a;
}

json_t *osctl_user_json(const struct container *c)
{
	return json_pack("{s:o,s:o,s:b}", "uid_map", map_json(c, false), "gid_map",
		map_json(c, true), "standalone", false);
}
