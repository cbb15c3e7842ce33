/*
 * status: the node as a whole.
 */
#include <string.h>

#include "daemon/serve.h"
#include "node/job.h"
#include "node/transfer.h"

static json_t *transfer_json(const struct transfer *t)
{
	json_t *o = json_object();

	json_put_str(o, "ct", t->ct);
	json_put_str(o, "role", t->role == TRANSFER_SOURCE ? "send" : "receive");
	json_put_str(o, "phase", transfer_phase_name(t->phase));
	json_put_str(o, "peer", t->peer);
	json_put_u64(o, "opened", t->opened);
	json_put_u64(o, "changed", t->changed);
	return o;
}

static int add_transfers(struct serve *s, json_t *o, struct err *err)
{
	_cleanup_(transfer_vec_free) struct transfer_vec list = {0};
	json_t *array = json_array();
	int r = transfer_list(s->move.st, true, NULL, &list, err);

	json_object_set_new(o, "transfers", array);
	for (size_t i = 0; i < list.n; i++)
		json_array_append_new(array, transfer_json(list.v[i]));
	return r;
}

static int add_jobs(struct serve *s, json_t *o, struct err *err)
{
	_cleanup_(job_vec_free) struct job_vec jobs = {0};
	json_t *array = json_array();
	int r = job_list(s->move.st, true, 1000, &jobs, err);

	json_object_set_new(o, "jobs", array);
	for (size_t i = 0; i < jobs.n; i++) {
		json_t *j = json_object();

		json_put_u64(j, "job", jobs.v[i].id);
		json_put_str(j, "call", jobs.v[i].call);
		json_put_str(j, "ct", jobs.v[i].ct);
		json_put_u64(j, "started", jobs.v[i].started);
		json_array_append_new(array, j);
	}
	return r;
}

int serve_status(struct serve *s, json_t **ret, struct err *err)
{
	_cleanup_json_ json_t *o = json_object();
	char host[256] = "";
	int r;

	gethostname(host, sizeof(host) - 1);
	json_put_str(o, "version", WHERRY_VERSION);
	json_put_str(o, "hostname", host);
	json_put_str(o, "node", state_node_id(s->move.st));
	json_put_str(o, "receive_user", s->move.cfg->receive_user);
	json_object_set(o, "daemon", json_object_get(s->request, "daemon"));
	r = add_transfers(s, o, err);
	if (r >= 0)
		r = add_jobs(s, o, err);
	if (r >= 0)
		*ret = TAKE_PTR(o);
	return r;
}
