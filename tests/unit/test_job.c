#include "node.h"

#include "base/json.h"
#include "node/job.h"

static uint64_t start(struct state *s, const char *call, const char *ct)
{
	struct job j = {.who = "uid 0", .pid = 4711, .token = "abc"};
	struct err err = ERR_INIT;

	snprintf(j.call, sizeof(j.call), "%s", call);
	snprintf(j.ct, sizeof(j.ct), "%s", ct);
	assert_ok(job_start(s, &j, &err), &err);
	assert_int_equal(j.state, JOB_RUNNING);
	assert_true(j.started > 0);
	return j.id;
}

static void test_life(void **state)
{
	_cleanup_state_ struct state *s = node_open();
	struct err err = ERR_INIT;
	struct job j = {0};
	uint64_t id = start(s, "ct.send", "web");

	assert_ok(job_get(s, id, &j, &err), &err);
	assert_int_equal(j.id, id);
	assert_int_equal(j.state, JOB_RUNNING);
	assert_string_equal(j.call, "ct.send");
	assert_string_equal(j.ct, "web");
	assert_string_equal(j.token, "abc");
	assert_string_equal(j.who, "uid 0");
	assert_int_equal(j.pid, 4711);
	assert_int_equal(j.ended, 0);
	assert_null(j.result);
	job_done(&j);

	assert_ok(job_finish(s, id, JOB_FAILED, json_pack("{s:s}", "code", "busy"), &err), &err);
	assert_ok(job_get(s, id, &j, &err), &err);
	assert_int_equal(j.state, JOB_FAILED);
	assert_true(j.ended >= j.started);
	assert_string_equal(json_get_str(j.result, "code"), "busy");
	job_done(&j);
}

static void test_first_outcome_stands(void **state)
{
	_cleanup_state_ struct state *s = node_open();
	struct err err = ERR_INIT;
	struct job j = {0};
	uint64_t id = start(s, "ct.send", "web");

	assert_fails(job_finish(s, id, JOB_RUNNING, json_object(), &err), ERR_INTERNAL, &err);
	assert_ok(job_finish(s, id, JOB_DONE, NULL, &err), &err);
	assert_fails(job_finish(s, id, JOB_LOST, json_object(), &err), ERR_STATE, &err);
	assert_fails(job_finish(s, id + 1, JOB_DONE, NULL, &err), ERR_NOT_FOUND, &err);
	assert_fails(job_get(s, id + 1, &j, &err), ERR_NOT_FOUND, &err);
	assert_ok(job_get(s, id, &j, &err), &err);
	assert_int_equal(j.state, JOB_DONE);
	assert_null(j.result);
}

static void test_any_result(void **state)
{
	_cleanup_state_ struct state *s = node_open();
	_cleanup_free_ char *large = xmalloc((1 << 20) + 1);
	struct err err = ERR_INIT;
	struct job j = {0};
	uint64_t id;

	id = start(s, "ct.list", "");
	assert_ok(job_finish(s, id, JOB_DONE, json_pack("[i]", 1), &err), &err);
	assert_ok(job_get(s, id, &j, &err), &err);
	assert_int_equal(json_array_size(j.result), 1);
	job_done(&j);

	memset(large, 'x', 1 << 20);
	large[1 << 20] = '\0';
	id = start(s, "ct.exec", "web");
	assert_ok(job_finish(s, id, JOB_DONE, json_string(large), &err), &err);
	assert_ok(job_get(s, id, &j, &err), &err);
	assert_int_equal(j.state, JOB_DONE);
	job_done(&j);
}

static void test_list(void **state)
{
	_cleanup_state_ struct state *s = node_open();
	struct job_vec v = {0};
	struct err err = ERR_INIT;
	uint64_t a = start(s, "a", ""), b = start(s, "b", ""), c = start(s, "c", "");

	assert_true(a < b && b < c);
	assert_ok(job_finish(s, b, JOB_CANCELLED, json_object(), &err), &err);
	assert_ok(job_list(s, false, 0, &v, &err), &err);
	assert_int_equal(v.n, 3);
	assert_int_equal(v.v[0].id, c);
	assert_int_equal(v.v[1].id, b);
	assert_int_equal(v.v[1].state, JOB_CANCELLED);
	assert_int_equal(v.v[2].id, a);
	job_vec_free(&v);
	assert_ok(job_list(s, true, 0, &v, &err), &err);
	assert_int_equal(v.n, 2);
	assert_int_equal(v.v[1].id, a);
	job_vec_free(&v);
	assert_ok(job_list(s, true, 1, &v, &err), &err);
	assert_int_equal(v.n, 1);
	assert_int_equal(v.v[0].id, c);
	job_vec_free(&v);
}

static void test_old_ones_go(void **state)
{
	_cleanup_state_ struct state *s = node_open();
	struct job_vec v = {0};
	struct err err = ERR_INIT;
	uint64_t first = start(s, "first", "");

	assert_ok(state_begin(s, &err), &err);
	for (int i = 0; i < 10005; i++)
		assert_ok(job_finish(s, start(s, "x", ""), JOB_DONE, NULL, &err), &err);
	assert_ok(state_commit(s, &err), &err);
	assert_ok(job_list(s, false, 0, &v, &err), &err);
	/* The last ten thousand, and one that runs still. */
	assert_int_equal(v.n, 10001);
	assert_int_equal(v.v[10000].id, first);
	assert_int_equal(v.v[0].id, first + 10005);
	job_vec_free(&v);
}

static void test_history(void **state)
{
	_cleanup_state_ struct state *s = node_open();
	_cleanup_json_ json_t *all = NULL, *web = NULL, *last = NULL;
	struct err err = ERR_INIT;
	json_t *e;

	assert_ok(history_add(s, "web", "sent", json_pack("{s:i,s:s}", "stop_ms", 12, "ct", "lie"),
			  &err),
		&err);
	assert_ok(history_add(s, "db", "received", NULL, &err), &err);
	assert_ok(history_add(s, "web", "back", json_object(), &err), &err);
	assert_fails(history_add(s, "web", "odd", json_array(), &err), ERR_INTERNAL, &err);

	assert_ok(history_read(s, NULL, 0, &all, &err), &err);
	assert_int_equal(json_array_size(all), 3);
	e = json_array_get(all, 0);
	assert_string_equal(json_get_str(e, "event"), "sent");
	assert_string_equal(json_get_str(e, "ct"), "web"); /* data cannot forge it */
	assert_int_equal(json_get_u64(e, "stop_ms", 0), 12);
	assert_true(json_get_u64(e, "time", 0) > 1500000000);
	assert_string_equal(json_get_str(json_array_get(all, 1), "ct"), "db");

	assert_ok(history_read(s, "web", 0, &web, &err), &err);
	assert_int_equal(json_array_size(web), 2);
	assert_ok(history_read(s, NULL, 2, &last, &err), &err);
	assert_int_equal(json_array_size(last), 2);
	assert_string_equal(json_get_str(json_array_get(last, 0), "event"), "received");
	assert_string_equal(json_get_str(json_array_get(last, 1), "event"), "back");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		node_test(test_life),
		node_test(test_first_outcome_stands),
		node_test(test_any_result),
		node_test(test_list),
		node_test(test_old_ones_go),
		node_test(test_history),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
