/*
 * ct.*: living with containers.
 */
#include <string.h>

#include "base/str.h"
#include "daemon/serve.h"
#include "move/claim.h"
#include "move/containers.h"

#define ARGV_MAX       256
#define CT_MAX	       64
#define TIMEOUT_MAX_MS (24u * 3600 * 1000)

static struct {
	char *ct, *tarball, *template_name, *pool, *bridge, *address, *hwaddr, *name, *term,
		*device, *fs;
	json_t *argv;
	uint64_t timeout_ms, size;
	bool force_format, force, even_if_running_there, unprivileged, autostart, kill, del;
} args = {.timeout_ms = UINT64_MAX};

#define CT JSON_STR(__typeof__(args), ct, "ct", JSON_REQUIRED, CT_MAX)

static const struct json_field ct_fields[] = {CT, JSON_END};

static const struct json_field create_fields[] = {
	CT,
	JSON_STR(__typeof__(args), tarball, "tarball", 0, 4095),
	JSON_STR(__typeof__(args), template_name, "template", 0, 255),
	JSON_ANY(__typeof__(args), argv, "argv", 0),
	JSON_STR(__typeof__(args), pool, "pool", 0, 32),
	JSON_STR(__typeof__(args), device, "device", 0, 4095),
	JSON_BOOL(__typeof__(args), force_format, "force_format", 0),
	JSON_STR(__typeof__(args), fs, "fs", 0, 7),
	JSON_U64(__typeof__(args), size, "size", 0, 0, INT64_MAX),
	JSON_BOOL(__typeof__(args), unprivileged, "unprivileged", 0),
	JSON_STR(__typeof__(args), bridge, "bridge", 0, 15),
	JSON_STR(__typeof__(args), address, "address", 0, 64),
	JSON_STR(__typeof__(args), hwaddr, "hwaddr", 0, 17),
	JSON_BOOL(__typeof__(args), autostart, "autostart", 0),
	JSON_END,
};

static const struct json_field stop_fields[] = {
	CT,
	JSON_BOOL(__typeof__(args), kill, "kill", 0),
	JSON_U64(__typeof__(args), timeout_ms, "timeout_ms", 0, 0, TIMEOUT_MAX_MS),
	JSON_END,
};

static const struct json_field force_fields[] = {
	CT,
	JSON_BOOL(__typeof__(args), force, "force", 0),
	JSON_END,
};

static const struct json_field own_fields[] = {
	CT,
	JSON_BOOL(__typeof__(args), force, "force", 0),
	JSON_BOOL(__typeof__(args), even_if_running_there, "even_if_running_there", 0),
	JSON_END,
};

static const struct json_field exec_fields[] = {
	CT,
	JSON_ANY(__typeof__(args), argv, "argv", JSON_REQUIRED),
	JSON_STR(__typeof__(args), term, "term", 0, 64),
	JSON_END,
};

static const struct json_field snapshot_fields[] = {
	CT,
	JSON_STR(__typeof__(args), name, "name", JSON_REQUIRED, 127),
	JSON_BOOL(__typeof__(args), del, "delete", 0),
	JSON_END,
};

/* NULL-terminated; NULL for no array at all. */
static int read_argv(const json_t *array, char ***ret, struct err *err)
{
	_cleanup_strv_ char **v = NULL;
	size_t n = json_array_size(array);

	if (n > ARGV_MAX)
		return err_set(err, ERR_INVALID, "more than %d words", ARGV_MAX);
	for (size_t i = 0; i < n; i++) {
		const char *word = json_string_value(json_array_get(array, i));

		if (!word)
			return err_set(err, ERR_INVALID, "a word that is no text");
		strv_push(&v, word);
	}
	*ret = TAKE_PTR(v);
	return 0;
}

int serve_ct_list(struct serve *s, json_t **ret, struct err *err)
{
	return containers_list(&s->move, ret, err);
}

int serve_ct_show(struct serve *s, json_t **ret, struct err *err)
{
	int r = serve_args(s, ct_fields, &args, err);

	return r < 0 ? r : containers_show(&s->move, args.ct, ret, err);
}

int serve_ct_create(struct serve *s, json_t **ret, struct err *err)
{
	_cleanup_strv_ char **argv = NULL;
	struct create_opts o;
	int r = serve_args(s, create_fields, &args, err);

	if (r >= 0)
		r = read_argv(args.argv, &argv, err);
	if (r < 0)
		return r;
	o = (struct create_opts){
		.tarball = args.tarball,
		.template_name = args.template_name,
		.template_args = argv,
		.pool = args.pool,
		.device = args.device,
		.force_format = args.force_format,
		.fs = args.fs,
		.size = args.size,
		.unprivileged = args.unprivileged,
		.bridge = args.bridge,
		.address = args.address,
		.hwaddr = args.hwaddr,
		.autostart = args.autostart,
	};
	return containers_create(&s->move, args.ct, &o, ret, err);
}

int serve_ct_start(struct serve *s, json_t **ret, struct err *err)
{
	int r = serve_args(s, ct_fields, &args, err);

	return r < 0 ? r : containers_start(&s->move, args.ct, ret, err);
}

int serve_ct_stop(struct serve *s, json_t **ret, struct err *err)
{
	int r = serve_args(s, stop_fields, &args, err);
	usec_t timeout = args.timeout_ms == UINT64_MAX ? s->move.cfg->stop_timeout
						       : args.timeout_ms * USEC_PER_MSEC;

	return r < 0 ? r : containers_stop(&s->move, args.ct, args.kill, timeout, ret, err);
}

int serve_ct_restart(struct serve *s, json_t **ret, struct err *err)
{
	int r = serve_args(s, ct_fields, &args, err);

	return r < 0 ? r : containers_restart(&s->move, args.ct, ret, err);
}

int serve_ct_delete(struct serve *s, json_t **ret, struct err *err)
{
	int r = serve_args(s, force_fields, &args, err);

	return r < 0 ? r : containers_delete(&s->move, args.ct, args.force, ret, err);
}

int serve_ct_exec(struct serve *s, json_t **ret, struct err *err)
{
	_cleanup_strv_ char **argv = NULL;
	int r = serve_args(s, exec_fields, &args, err);

	if (r >= 0)
		r = read_argv(args.argv, &argv, err);
	if (r < 0)
		return r;
	if (!argv || s->n_fds != 3)
		return err_set(err, ERR_INVALID, "ct.exec: needs a command and three descriptors");
	if (args.term)
		setenv("TERM", args.term, 1); /* runtime_exec passes it on */
	return containers_exec(&s->move, args.ct, argv, s->fds, ret, err);
}

int serve_ct_snapshot(struct serve *s, json_t **ret, struct err *err)
{
	int r = serve_args(s, snapshot_fields, &args, err);

	if (r < 0)
		return r;
	if (args.del)
		return containers_snapshot_delete(&s->move, args.ct, args.name, ret, err);
	return containers_snapshot(&s->move, args.ct, args.name, ret, err);
}

int serve_ct_own(struct serve *s, json_t **ret, struct err *err)
{
	int r = serve_args(s, own_fields, &args, err);
	struct claim_opts o = {
		.force = args.force, .even_if_running_there = args.even_if_running_there};

	return r < 0 ? r : claim_run(&s->move, args.ct, &o, ret, err);
}
