#include "model/container.h"

#include <ctype.h>
#include <string.h>

#include "base/beneath.h"
#include "base/json.h"
#include "base/str.h"
#include "model/wire.h"

#define REASON_MAX 256

struct container *container_new(const char *name)
{
	struct container *c = xnew(struct container);

	c->name = xstrdup(name);
	limits_init(&c->limits);
	return c;
}

void option_vec_free(struct option_vec *v)
{
	for (size_t i = 0; i < v->n; i++) {
		free(v->v[i].key);
		free(v->v[i].value);
		free(v->v[i].reason);
	}
	option_vec_done(v);
}

void container_free(struct container *c)
{
	if (!c)
		return;
	free(c->name);
	free(c->arch);
	free(c->hostname);
	idmap_done(&c->idmap);
	for (size_t i = 0; i < c->netifs.n; i++)
		netif_done(&c->netifs.v[i]);
	netif_vec_done(&c->netifs);
	limits_done(&c->limits);
	for (size_t i = 0; i < c->volumes.n; i++) {
		free(c->volumes.v[i].name);
		free(c->volumes.v[i].mountpoint);
		free(c->volumes.v[i].path);
		free(c->volumes.v[i].options);
	}
	ct_volume_vec_done(&c->volumes);
	strv_free(c->includes);
	option_vec_free(&c->options);
	option_vec_free(&c->refused);
	strv_free(c->ignored);
	origin_free(c->origin);
	free(c);
}

void container_freep(struct container **c)
{
	container_free(*c);
}

bool container_name_ok(const char *name)
{
	return name_ok(name, CONTAINER_NAME_MAX, "_.-");
}

/* In the containers' folder a volume lies beside what the runtime keeps of the container. */
bool volume_name_ok(const char *name)
{
	static const char *const taken[] = {"config", "fstab", "partial", "snaps"};

	if (!name_ok(name, VOLUME_NAME_MAX, "_-"))
		return false;
	for (const char *p = name; *p; p++)
		if (isupper((unsigned char)*p))
			return false;
	for (size_t i = 0; i < ARRAY_SIZE(taken); i++)
		if (strcmp(name, taken[i]) == 0)
			return false;
	return true;
}

bool include_name_ok(const char *name)
{
	return name_ok(name, 64, "_.-");
}

bool option_key_ok(const char *key)
{
	return name_ok(key, OPTION_KEY_MAX, "_.-");
}

bool option_value_ok(const char *value)
{
	return !*value || text_ok(value, OPTION_VALUE_MAX);
}

bool container_privileged(const struct container *c)
{
	for (size_t i = 0; i < c->idmap.ranges.n; i++)
		if (c->idmap.ranges.v[i].host == 0)
			return true;
	return c->idmap.ranges.n == 0;
}

struct ct_volume *container_volume(const struct container *c, const char *name)
{
	for (size_t i = 0; i < c->volumes.n; i++)
		if (strcmp(c->volumes.v[i].name, name) == 0)
			return &c->volumes.v[i];
	return NULL;
}

struct ct_volume *volume_add(struct container *c, const char *name, const char *mountpoint,
	const char *path, const char *options)
{
	struct ct_volume *v = ct_volume_vec_push(&c->volumes);

	*v = (struct ct_volume){
		xstrdup(name), xstrdup(mountpoint), xstrdup(path), xstrdup(options)};
	return v;
}

void option_add(struct option_vec *v, const char *key, const char *value, const char *reason)
{
	*option_vec_push(v) = (struct option){xstrdup(key), xstrdup(value), xstrdup(reason)};
}

/* The wire form */

static json_t *volumes_json(const struct ct_volume_vec *v)
{
	json_t *list = json_array();

	for (size_t i = 0; i < v->n; i++) {
		json_t *obj = json_object();

		json_put_str(obj, "name", v->v[i].name);
		json_put_str(obj, "mountpoint", v->v[i].mountpoint);
		json_put_str(obj, "options", v->v[i].options);
		json_array_append_new(list, obj);
	}
	return list;
}

static json_t *options_json(const struct option_vec *v)
{
	json_t *list = json_array();

	for (size_t i = 0; i < v->n; i++) {
		json_t *obj = json_object();

		json_put_str(obj, "key", v->v[i].key);
		json_put_str(obj, "value", v->v[i].value);
		json_put_str(obj, "reason", v->v[i].reason);
		json_array_append_new(list, obj);
	}
	return list;
}

json_t *container_json(const struct container *c)
{
	json_t *obj = json_object(), *netifs = json_array();

	for (size_t i = 0; i < c->netifs.n; i++)
		json_array_append_new(netifs, netif_json(&c->netifs.v[i]));
	json_put_str(obj, "name", c->name);
	json_put_str(obj, "arch", c->arch);
	json_put_str(obj, "hostname", c->hostname);
	wire_put(obj, "idmap", idmap_json(&c->idmap));
	wire_put(obj, "netifs", netifs);
	wire_put(obj, "limits", limits_json(&c->limits));
	wire_put(obj, "volumes", volumes_json(&c->volumes));
	if (c->autostart)
		json_put_bool(obj, "autostart", true);
	if (c->autostart_delay)
		json_put_u64(obj, "autostart_delay", c->autostart_delay);
	if (c->autostart_order)
		json_put_u64(obj, "autostart_order", c->autostart_order);
	wire_put_strv(obj, "includes", c->includes);
	wire_put(obj, "options", options_json(&c->options));
	wire_put(obj, "refused", options_json(&c->refused));
	if (c->origin)
		wire_put(obj, "origin", origin_json(c->origin));
	return obj;
}

struct wire {
	char *name, *arch, *hostname;
	json_t *idmap, *netifs, *limits, *volumes, *includes, *options, *refused, *origin;
	bool autostart;
	uint32_t delay, order;
};

static const struct json_field fields[] = {
	JSON_STR(struct wire, name, "name", JSON_REQUIRED, CONTAINER_NAME_MAX),
	JSON_STR(struct wire, arch, "arch", 0, 32),
	JSON_STR(struct wire, hostname, "hostname", 0, 64),
	JSON_ANY(struct wire, idmap, "idmap", 0),
	JSON_ANY(struct wire, netifs, "netifs", 0),
	JSON_ANY(struct wire, limits, "limits", 0),
	JSON_ANY(struct wire, volumes, "volumes", JSON_REQUIRED),
	JSON_BOOL(struct wire, autostart, "autostart", 0),
	JSON_U32(struct wire, delay, "autostart_delay", 0, 0, INT32_MAX),
	JSON_U32(struct wire, order, "autostart_order", 0, 0, INT32_MAX),
	JSON_ANY(struct wire, includes, "includes", 0),
	JSON_ANY(struct wire, options, "options", 0),
	JSON_ANY(struct wire, refused, "refused", 0),
	JSON_ANY(struct wire, origin, "origin", 0),
	JSON_END,
};

static void wire_done(struct wire *w)
{
	free(w->name);
	free(w->arch);
	free(w->hostname);
	json_decref(w->idmap);
	json_decref(w->netifs);
	json_decref(w->limits);
	json_decref(w->volumes);
	json_decref(w->includes);
	json_decref(w->options);
	json_decref(w->refused);
	json_decref(w->origin);
}

/* 0 and the length of the list, which may be missing. */
static int list_size(const json_t *v, const char *field, size_t most, size_t *ret, struct err *err)
{
	if (v && !json_is_array(v))
		return err_set(err, ERR_INVALID, "field \"%s\" is not a list", field);
	*ret = json_array_size(v);
	if (*ret > most)
		return err_set(
			err, ERR_INVALID, "field \"%s\" has more than %zu entries", field, most);
	return 0;
}

static int read_netifs(const json_t *v, struct container *c, struct err *err)
{
	size_t n;
	int r = list_size(v, "netifs", CONTAINER_NETIFS_MAX, &n, err);

	for (size_t i = 0; r >= 0 && i < n; i++) {
		struct netif netif = {0};

		r = netif_from_json(json_array_get(v, i), &netif, err);
		if (r < 0)
			return err_prefix(err, "network interface %zu", i + 1);
		for (size_t j = 0; j < c->netifs.n; j++)
			if (c->netifs.v[j].index == netif.index)
				r = err_set(err, ERR_INVALID,
					"two network interfaces have number %u", netif.index);
		*netif_vec_push(&c->netifs) = netif;
	}
	return r;
}

static const struct json_field volume_fields[] = {
	JSON_STR(struct ct_volume, name, "name", JSON_REQUIRED, VOLUME_NAME_MAX),
	JSON_STR(struct ct_volume, mountpoint, "mountpoint", JSON_REQUIRED, MOUNTPOINT_MAX),
	JSON_STR(struct ct_volume, options, "options", 0, MOUNT_OPTIONS_MAX),
	JSON_END,
};

/* v is the i-th, the ones before are good. */
static int check_volume(const struct container *c, size_t i, struct err *err)
{
	const struct ct_volume *v = &c->volumes.v[i];

	if (!volume_name_ok(v->name))
		return err_set(err, ERR_INVALID, "\"%.64s\" is not a name of a volume", v->name);
	if (i == 0 && (strcmp(v->name, "rootfs") != 0 || v->mountpoint[0]))
		return err_set(err, ERR_INVALID, "the first volume is not the root");
	if (i > 0 && (!beneath_path_ok(v->mountpoint) || !text_ok(v->mountpoint, MOUNTPOINT_MAX)))
		return err_set(err, ERR_INVALID, "\"%.128s\" is not a place inside a container",
			v->mountpoint);
	if (v->options && !text_ok(v->options, MOUNT_OPTIONS_MAX))
		return err_set(err, ERR_INVALID, "\"%.64s\" are not mount options", v->options);
	for (size_t j = 0; j < i; j++)
		if (strcmp(c->volumes.v[j].name, v->name) == 0 ||
			strcmp(c->volumes.v[j].mountpoint, v->mountpoint) == 0)
			return err_set(err, ERR_INVALID, "there are two volumes %s", v->name);
	return 0;
}

static int read_volumes(const json_t *v, struct container *c, struct err *err)
{
	size_t n;
	int r = list_size(v, "volumes", CONTAINER_VOLUMES_MAX, &n, err);

	if (r >= 0 && n == 0)
		return err_set(err, ERR_INVALID, "the container has no volume");
	for (size_t i = 0; r >= 0 && i < n; i++) {
		struct ct_volume *volume = ct_volume_vec_push(&c->volumes);

		*volume = (struct ct_volume){0};
		r = json_read(json_array_get(v, i), volume_fields, 0, volume, err);
		if (r < 0)
			return err_prefix(err, "volume %zu", i + 1);
		r = check_volume(c, i, err);
	}
	return r;
}

static const struct json_field option_fields[] = {
	JSON_STR(struct option, key, "key", JSON_REQUIRED, OPTION_KEY_MAX),
	JSON_STR(struct option, value, "value", JSON_REQUIRED, OPTION_VALUE_MAX),
	JSON_STR(struct option, reason, "reason", 0, REASON_MAX),
	JSON_END,
};

static int read_options(
	const json_t *v, const char *field, bool reason, struct option_vec *out, struct err *err)
{
	size_t n;
	int r = list_size(v, field, CONTAINER_OPTIONS_MAX, &n, err);

	for (size_t i = 0; r >= 0 && i < n; i++) {
		struct option *o = option_vec_push(out);

		*o = (struct option){0};
		r = json_read(json_array_get(v, i), option_fields, 0, o, err);
		if (r < 0)
			return err_prefix(err, "entry %zu of field \"%s\"", i + 1, field);
		if (!option_key_ok(o->key) || !option_value_ok(o->value) ||
			(reason ? !o->reason || !text_ok(o->reason, REASON_MAX) : !!o->reason))
			return err_set(err, ERR_INVALID,
				"entry %zu of field \"%s\" is not a line of configuration", i + 1,
				field);
	}
	return r;
}

static int check_wire(const struct wire *w, struct err *err)
{
	if (!container_name_ok(w->name))
		return err_set(err, ERR_INVALID, "\"%.64s\" is not a name of a container", w->name);
	if (w->arch && !name_ok(w->arch, 32, "_-"))
		return err_set(err, ERR_INVALID, "\"%.32s\" is not an architecture", w->arch);
	if (w->hostname && !name_ok(w->hostname, 64, "_.-"))
		return err_set(err, ERR_INVALID, "\"%.64s\" is not a host name", w->hostname);
	return 0;
}

static int read_lists(const struct wire *w, struct container *c, struct err *err)
{
	int r;

	if (w->idmap && (r = idmap_from_json(w->idmap, &c->idmap, err)) < 0)
		return r;
	if (w->limits && (r = limits_from_json(w->limits, &c->limits, err)) < 0)
		return r;
	if (w->origin && (r = origin_from_json(w->origin, &c->origin, err)) < 0)
		return r;
	if ((r = read_netifs(w->netifs, c, err)) < 0 ||
		(r = read_volumes(w->volumes, c, err)) < 0 ||
		(r = read_options(w->options, "options", false, &c->options, err)) < 0 ||
		(r = read_options(w->refused, "refused", true, &c->refused, err)) < 0 ||
		(r = wire_strv(w->includes, "includes", CONTAINER_INCLUDES_MAX, 64, &c->includes,
			 err)) < 0)
		return r;
	for (size_t i = 0; c->includes && c->includes[i]; i++)
		if (!include_name_ok(c->includes[i]))
			return err_set(err, ERR_INVALID,
				"\"%.64s\" is not a name of a configuration file", c->includes[i]);
	return 0;
}

int container_from_json(const json_t *v, struct container **ret, struct err *err)
{
	_cleanup_container_ struct container *c = NULL;
	_cleanup_(wire_done) struct wire w = {0};
	int r = json_read(v, fields, 0, &w, err);

	if (r < 0 || (r = check_wire(&w, err)) < 0)
		return r;
	c = container_new(w.name);
	c->arch = TAKE_PTR(w.arch);
	c->hostname = TAKE_PTR(w.hostname);
	c->autostart = w.autostart;
	c->autostart_delay = w.delay;
	c->autostart_order = w.order;
	r = read_lists(&w, c, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(c);
	return 0;
}
