#include "model/origin.h"

#include "base/alloc.h"
#include "base/json.h"
#include "base/str.h"
#include "model/wire.h"

struct origin *origin_new(const char *runtime)
{
	struct origin *o = xnew(struct origin);

	o->runtime = xstrdup(runtime);
	return o;
}

void origin_free(struct origin *o)
{
	if (!o)
		return;
	free(o->runtime);
	strv_free(o->without);
	strv_free(o->nameservers);
	strv_free(o->domains);
	free(o);
}

json_t *origin_json(const struct origin *o)
{
	json_t *v = json_object();

	json_put_str(v, "runtime", o->runtime);
	if (o->systemd)
		json_put_u64(v, "systemd", o->systemd);
	wire_put_strv(v, "without", o->without);
	wire_put_strv(v, "nameservers", o->nameservers);
	wire_put_strv(v, "domains", o->domains);
	return v;
}

struct wire {
	char *runtime;
	uint32_t systemd;
	json_t *without, *nameservers, *domains;
};

static const struct json_field fields[] = {
	JSON_STR(struct wire, runtime, "runtime", JSON_REQUIRED, 32),
	JSON_U32(struct wire, systemd, "systemd", 0, 0, 100000),
	JSON_ANY(struct wire, without, "without", 0),
	JSON_ANY(struct wire, nameservers, "nameservers", 0),
	JSON_ANY(struct wire, domains, "domains", 0),
	JSON_END,
};

static void wire_done(struct wire *w)
{
	free(w->runtime);
	json_decref(w->without);
	json_decref(w->nameservers);
	json_decref(w->domains);
}

static int read_lists(const struct wire *w, struct origin *o, struct err *err)
{
	int r = wire_strv(w->without, "without", ORIGIN_LIST_MAX, 64, &o->without, err);

	if (r >= 0)
		r = wire_strv(
			w->nameservers, "nameservers", ORIGIN_LIST_MAX, 64, &o->nameservers, err);
	return r < 0 ? r : wire_strv(w->domains, "domains", ORIGIN_LIST_MAX, 255, &o->domains, err);
}

int origin_from_json(const json_t *v, struct origin **ret, struct err *err)
{
	_cleanup_(wire_done) struct wire w = {0};
	struct origin *o;
	int r = json_read(v, fields, 0, &w, err);

	if (r < 0)
		return r;
	if (!str_eq(w.runtime, "openvz"))
		return err_set(err, ERR_UNSUPPORTED,
			"what a container of \"%.32s\" needs changed inside is not known here",
			w.runtime);
	o = origin_new(w.runtime);
	o->systemd = w.systemd;
	r = read_lists(&w, o, err);
	if (r < 0)
		origin_free(o);
	else
		*ret = o;
	return r;
}
