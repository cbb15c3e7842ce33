#include "convert/report.h"

#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "model/wire.h"
#include "runtime/lxc_render.h"

/* Kept in some way, and not only a note. */
static bool consumed(const struct ve_param *p)
{
	return p->class <= VE_PARTIAL;
}

/* Of the node's file only what holds for this container is told; --json tells the rest. */
static bool shown(const struct ve_param *p)
{
	return p->origin == VE_OWN || p->in_force;
}

static void add_quoted(struct str *s, const char *text)
{
	str_addc(s, '"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			str_addc(s, '\\');
		str_addc(s, *text);
	}
	str_addc(s, '"');
}

static void add_amount(struct str *s, uint64_t v)
{
	if (v == VE_UNLIMITED)
		str_add(s, "\"unlimited\"");
	else
		str_addf(s, "%llu", (unsigned long long)v);
}

static bool is_list(const char *name)
{
	static const char *const lists[] = {"IP_ADDRESS", "NAMESERVER", "SEARCHDOMAIN", "DEVICES",
		"CAPABILITY", "FEATURES", "DEVNODES"};

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		if (str_eq(lists[i], name))
			return true;
	return false;
}

static void add_list(struct str *s, const char *value)
{
	_cleanup_strv_ char **words = str_words(value);

	str_addc(s, '[');
	for (size_t i = 0; words[i]; i++) {
		if (i)
			str_add(s, ", ");
		add_quoted(s, words[i]);
	}
	str_addc(s, ']');
}

/* As Ruby's inspect shows what was read; what is ignored is shown as it was written. */
static void add_value(struct str *s, const struct ve_param *p)
{
	bool digits = *p->value && strspn(p->value, "0123456789") == strlen(p->value);

	/* Folders with the container's number in place. */
	if (p->results && (str_eq(p->name, "VE_ROOT") || str_eq(p->name, "VE_PRIVATE"))) {
		add_quoted(s, p->results[0]);
		return;
	}
	if (p->rule && p->class != VE_INVALID) {
		if (p->rule->kind == VE_YES) {
			str_add(s, p->yes ? "true" : "false");
			return;
		}
		if (p->rule->kind == VE_NUMBER || (digits && str_eq(p->name, "CPULIMIT"))) {
			str_addf(s, "%s", p->value);
			return;
		}
		if (p->rule->kind == VE_AMOUNT && consumed(p)) {
			str_addc(s, '[');
			add_amount(s, p->pair.barrier);
			str_add(s, ", ");
			add_amount(s, p->pair.limit);
			str_addc(s, ']');
			return;
		}
		if (is_list(p->name)) {
			add_list(s, p->value);
			return;
		}
	}
	add_quoted(s, p->value);
}

static void add_items(struct str *s, const struct conversion *c, bool which)
{
	for (size_t i = 0; i < c->ve.params.n; i++) {
		const struct ve_param *p = &c->ve.params.v[i];

		if (consumed(p) != which || !shown(p))
			continue;
		str_addf(s, "  %s = ", p->name[0] ? p->name : "?");
		add_value(s, p);
		str_addc(s, '\n');
	}
}

static const char *file_name(const struct ve_param *p)
{
	return p->origin == VE_OWN ? "line" : "vz.conf line";
}

static void add_reasons(struct str *s, const struct conversion *c)
{
	for (size_t i = 0; i < c->ve.params.n; i++) {
		const struct ve_param *p = &c->ve.params.v[i];

		if (!shown(p) || p->class == VE_EXACT || !p->reason)
			continue;
		str_addf(s, "  %s %u: %s %s (%s%s)\n", file_name(p), p->line,
			p->name[0] ? p->name : "it", p->reason, ve_class_name(p->class),
			p->lost ? ", a limit that is not kept" : "");
	}
}

char *report_lxc(const struct conversion *c)
{
	struct ct_volume *root = &c->ct->volumes.v[0];
	char *text, *mine = NULL;

	if (!root->path)
		root->path = mine = xasprintf("/var/lib/lxc/%s/rootfs", c->ct->name);
	text = lxc_render(c->ct);
	if (mine) {
		root->path = NULL;
		free(mine);
	}
	return text;
}

static void add_lxc(struct str *s, const struct conversion *c)
{
	_cleanup_free_ char *text = report_lxc(c);
	_cleanup_strv_ char **lines = str_split(text, "\n", false);

	str_add(s, "\nConfiguration for LXC:\n");
	for (size_t i = 0; lines[i]; i++)
		if (lines[i][0] != '#')
			str_addf(s, "  %s\n", lines[i]);
	for (size_t i = 0; i < c->ct->refused.n; i++) {
		const struct option *o = &c->ct->refused.v[i];

		str_addf(s, "  # refused by default: %s = %s, which %s\n", o->key, o->value,
			o->reason);
	}
}

char *report_text(const struct conversion *c)
{
	struct str s = STR_INIT;
	size_t lost = conversion_lost(c);

	str_add(&s, "Consumed config items:\n");
	add_items(&s, c, true);
	str_add(&s, "\nIgnored config items:\n");
	add_items(&s, c, false);
	str_add(&s, "\nWhat is not quite the same, and why:\n");
	add_reasons(&s, c);
	add_lxc(&s, c);
	if (lost)
		str_addf(&s, "\n%zu %s not kept, or not understood: --strict would refuse.\n", lost,
			lost == 1 ? "limit is" : "limits are");
	return str_take(&s);
}

static json_t *param_json(const struct ve_param *p)
{
	json_t *o = json_object();

	json_put_u64(o, "line", p->line);
	json_put_str(o, "file", p->origin == VE_OWN ? "container" : "global");
	json_put_str(o, "name", p->name);
	json_put_str(o, "value", p->value);
	json_put_str(o, "class", ve_class_name(p->class));
	wire_put_strv(o, "result", p->results);
	json_put_str(o, "reason", p->reason);
	if (p->lost)
		json_put_bool(o, "lost", true);
	return o;
}

static json_t *params_json(const struct conversion *c, size_t *ret_consumed, size_t *ret_ignored)
{
	json_t *list = json_array();

	*ret_consumed = *ret_ignored = 0;
	for (size_t i = 0; i < c->ve.params.n; i++) {
		const struct ve_param *p = &c->ve.params.v[i];

		json_array_append_new(list, param_json(p));
		if (shown(p))
			++*(consumed(p) ? ret_consumed : ret_ignored);
	}
	return list;
}

static void put_limit(json_t *o, const char *name, uint64_t v)
{
	if (v != VE_UNLIMITED)
		json_put_u64(o, name, v);
}

static json_t *quota_json(const struct ve_quota *q)
{
	json_t *o = json_object();

	put_limit(o, "soft_bytes", q->soft_bytes);
	put_limit(o, "hard_bytes", q->hard_bytes);
	put_limit(o, "soft_inodes", q->soft_inodes);
	put_limit(o, "hard_inodes", q->hard_inodes);
	return o;
}

static json_t *source_json(const struct conversion *c)
{
	static const char *const layouts[] = {NULL, "simfs", "ploop"};
	json_t *o = json_object();

	json_put_str(o, "root", c->root);
	json_put_str(o, "private", c->private);
	json_put_str(o, "layout", layouts[c->layout]);
	json_put_str(o, "distribution", c->distribution);
	json_put_str(o, "version", c->version);
	return o;
}

static json_t *dns_json(const struct conversion *c)
{
	json_t *o = json_object();

	wire_put_strv(o, "nameservers", c->nameservers);
	wire_put_strv(o, "domains", c->domains);
	if (c->inherit_dns)
		json_put_bool(o, "inherit", true);
	return o;
}

json_t *report_json(const struct conversion *c)
{
	_cleanup_free_ char *lxc = report_lxc(c);
	size_t n_consumed, n_ignored;
	json_t *o = json_object(), *params = params_json(c, &n_consumed, &n_ignored);

	json_put_str(o, "ct", c->ct->name);
	json_put_u64(o, "consumed", n_consumed);
	json_put_u64(o, "ignored", n_ignored);
	json_put_u64(o, "lost", conversion_lost(c));
	json_object_set_new(o, "parameters", params);
	json_object_set_new(o, "container", container_json(c->ct));
	json_put_str(o, "lxc", lxc);
	json_object_set_new(o, "source", source_json(c));
	if (c->quota.set)
		json_object_set_new(o, "quota", quota_json(&c->quota));
	json_object_set_new(o, "dns", dns_json(c));
	wire_put_strv(o, "modules", c->modules);
	if (c->stop_timeout)
		json_put_u64(o, "stop_timeout", c->stop_timeout);
	return o;
}
