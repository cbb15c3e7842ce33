#include "convert/convert.h"

#include <string.h>

#include "base/str.h"
#include "convert/map.h"
#include "runtime/lxc_option.h"

void conversion_free(struct conversion *c)
{
	if (!c)
		return;
	ve_done(&c->ve);
	container_free(c->ct);
	free(c->root);
	free(c->private);
	free(c->distribution);
	free(c->version);
	strv_free(c->nameservers);
	strv_free(c->domains);
	strv_free(c->modules);
	free(c);
}

void conversion_freep(struct conversion **c)
{
	conversion_free(*c);
}

static bool has_option(const struct option_vec *v, const char *key, const char *value)
{
	for (size_t i = 0; i < v->n; i++)
		if (str_eq(v->v[i].key, key) && str_eq(v->v[i].value, value))
			return true;
	return false;
}

bool map_option(struct conversion *c, struct ve_param *p, const char *key, const char *value)
{
	const char *reason;
	bool harmless = lxc_option_harmless(key, value, &reason);

	ve_result(p, "%s = %s", key, value);
	if (has_option(&c->ct->options, key, value) || has_option(&c->ct->refused, key, value))
		return harmless;
	if (harmless && c->ct->options.n < CONTAINER_OPTIONS_MAX)
		option_add(&c->ct->options, key, value, NULL);
	else if (c->ct->refused.n < CONTAINER_OPTIONS_MAX)
		option_add(&c->ct->refused, key, value, harmless ? "is one line too many" : reason);
	return harmless;
}

void map_module(struct conversion *c, struct ve_param *p, const char *module)
{
	if (!strv_has(c->modules, module) && strv_len(c->modules) < 64)
		strv_push(&c->modules, module);
	ve_result(p, "kernel module %s", module);
}

void map_word(struct map_words *w, enum ve_class class, const char *word, const char *what)
{
	w->n++;
	if (class != VE_INVALID) {
		w->class = MAX(w->class, class);
		return;
	}
	w->bad++;
	str_addf(&w->why, "; \"%.64s\" is not %s", word, what);
}

void map_words_say(struct map_words *w, struct ve_param *p, const char *fine)
{
	enum ve_class class = w->n && w->bad == w->n ? VE_INVALID
			      : w->bad		     ? MAX(w->class, VE_PARTIAL)
						     : w->class;

	ve_say(p, class, "%s", w->why.len ? w->why.buf + 2 : w->n ? fine : "asks for nothing");
	p->lost = w->bad && class != VE_INVALID;
	str_done(&w->why);
}

static void (*const nouns[])(struct conversion *c, const struct convert_options *o) = {
	map_identity,
	map_memory,
	map_process,
	map_beancounter,
	map_cpu,
	map_io,
	map_disk,
	map_venet,
	map_netif,
	map_dns,
	map_filter,
	map_device,
	map_capability,
	map_feature,
	map_boot,
};

/* Container 0 is the node itself, and has a file like the others. */
static int check_name(const char *name, struct err *err)
{
	if (!container_name_ok(name))
		return err_set(err, ERR_INVALID, "\"%.64s\" is not a name of a container", name);
	if (str_eq(name, "0"))
		return err_set(err, ERR_INVALID,
			"0 is the OpenVZ node itself, not a container that could go elsewhere");
	return 0;
}

static int check_lines(const struct conversion *c, struct err *err)
{
	for (size_t i = 0; i < c->ve.params.n; i++)
		if (c->ve.params.v[i].origin == VE_OWN && c->ve.params.v[i].rule)
			return 0;
	return err_set(err, ERR_INVALID,
		"it has no parameter of OpenVZ in it: is it a container's configuration?");
}

/* LXC has its defaults for all containers in files of its own. */
static void add_base(struct container *c, const struct convert_options *o)
{
	struct err ignored = ERR_INIT;

	volume_add(c, "rootfs", "", NULL, NULL);
	strv_push(&c->includes, "common.conf");
	if (!o->unprivileged)
		return;
	strv_push(&c->includes, "userns.conf");
	if (idmap_add(&c->idmap, "b 0 100000 65536", &ignored) < 0)
		abort(); /* it is ours and good */
}

int convert_config(const struct convert_source *src, const struct convert_options *o,
	struct conversion **ret, struct err *err)
{
	_cleanup_conversion_ struct conversion *c = NULL;
	int r = check_name(o->name, err);

	if (r < 0)
		return r;
	c = xnew(struct conversion);
	c->ct = container_new(o->name);
	r = ve_read(&c->ve, src->conf, src->conf_n, VE_OWN, err);
	if (r >= 0)
		r = check_lines(c, err);
	if (r < 0)
		return r;
	if (src->global) {
		r = ve_read(&c->ve, src->global, src->global_n, VE_GLOBAL, err);
		if (r < 0)
			return err_prefix(err, "the node's vz.conf");
	}
	ve_settle(&c->ve);
	add_base(c->ct, o);
	for (size_t i = 0; i < ARRAY_SIZE(nouns); i++)
		nouns[i](c, o);
	*ret = TAKE_PTR(c);
	return 0;
}

size_t conversion_lost(const struct conversion *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->ve.params.n; i++) {
		const struct ve_param *p = &c->ve.params.v[i];

		n += p->lost || (p->class == VE_INVALID && p->origin == VE_OWN);
	}
	return n;
}
