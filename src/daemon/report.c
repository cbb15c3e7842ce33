#include "daemon/report.h"

#include <unistd.h>

#include "base/json.h"
#include "base/log.h"
#include "link/local.h"

#define LOOK_EVERY USEC_PER_SEC

/* A daemon that was started meanwhile. */
static void find_daemon(struct report *r)
{
	_cleanup_json_ json_t *request = json_object();
	struct err err = ERR_INIT;
	json_t *args = json_object();

	json_put_str(request, "call", "worker.adopt");
	json_put_str(args, "call", r->call->name);
	json_put_u64(args, "job", r->job);
	json_object_set_new(request, "args", args);
	r->tried = clock_now();
	if (local_connect(local_socket(), &r->sock, &err) < 0) {
		r->sock = -1;
		return;
	}
	if (local_send(r->sock, json_incref(request), &err) < 0) {
		close(r->sock);
		r->sock = -1;
		return;
	}
	log_info("wherryd is there again");
}

/* Is there somebody to tell? */
static bool connected(struct report *r)
{
	if (r->sock < 0 && r->job && clock_now() >= r->tried + LOOK_EVERY)
		find_daemon(r);
	return r->sock >= 0;
}

static void lost(struct report *r, const struct err *why)
{
	log_debug("wherryd is gone: %s", why->text);
	close(r->sock);
	r->sock = -1;
}

static void tell(struct report *r, json_t *msg)
{
	struct err err = ERR_INIT;

	if (!connected(r))
		json_decref(msg);
	else if (local_send(r->sock, msg, &err) < 0)
		lost(r, &err);
}

static json_t *message(const char *kind, json_t *value)
{
	json_t *msg = json_object();

	json_object_set_new(msg, kind, value);
	return msg;
}

void report_job(struct report *r, uint64_t job)
{
	r->job = job;
	tell(r, message("job", json_integer((json_int_t)job)));
}

void report_progress(void *report, const struct progress_event *ev)
{
	struct report *r = report;
	struct err err = ERR_INIT;

	if (connected(r) && local_send_progress(r->sock, ev, &err) < 0)
		lost(r, &err);
}

void report_line(void *report, const char *text)
{
	json_t *msg = json_object();

	json_put_str(msg, "line", text);
	tell(report, msg);
}

void report_result(struct report *r, json_t *result)
{
	size_t i;
	json_t *item;
	struct err err = ERR_INIT;

	if (json_is_array(result)) {
		json_array_foreach(result, i, item) tell(r, message("item", json_incref(item)));
		json_decref(result);
		result = json_array();
	}
	if (!connected(r))
		json_decref(result);
	else if (local_send_result(r->sock, result, &err) < 0)
		lost(r, &err);
}

void report_error(struct report *r, const struct err *what)
{
	struct err err = ERR_INIT;

	if (connected(r) && local_send_error(r->sock, what, &err) < 0)
		lost(r, &err);
}
