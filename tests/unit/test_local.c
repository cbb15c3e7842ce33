#include "unit.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/cancel.h"
#include "base/str.h"
#include "link/local.h"

static int ours = -1, theirs = -1;

static int make(void **state)
{
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
		return -1;
	ours = sv[0];
	theirs = sv[1];
	return 0;
}

static int drop(void **state)
{
	close(ours);
	if (theirs >= 0)
		close(theirs);
	theirs = -1;
	return 0;
}

static void say(const char *text)
{
	assert_int_equal(send(theirs, text, strlen(text), 0), strlen(text));
}

/* What the other side sends is queued first: the answers do not depend on the request. */
static int call(const struct local_handler *h, json_t **ret, struct err *err)
{
	return local_call(ours, "ct.list", NULL, NULL, 0, h, ret, err);
}

struct seen {
	struct progress_event ev;
	char phase[32], text[64];
	uint64_t job;
	unsigned events, items;
};

static void on_progress(void *ctx, const struct progress_event *ev)
{
	struct seen *s = ctx;

	s->ev = *ev;
	snprintf(s->phase, sizeof(s->phase), "%s", ev->phase);
	s->events++;
}

static void on_line(void *ctx, const char *text)
{
	snprintf(((struct seen *)ctx)->text, 64, "%s", text);
}

static void on_job(void *ctx, uint64_t id)
{
	((struct seen *)ctx)->job = id;
}

static void on_item(void *ctx, const json_t *item)
{
	((struct seen *)ctx)->items += json_is_object(item);
}

static void test_call(void **state)
{
	struct seen s = {0};
	struct local_handler h = {on_progress, on_line, on_job, on_item, &s};
	struct progress_event ev = {"rootfs", 10, 20, 3, 1000, 5 * USEC_PER_SEC, 7000, false};
	_cleanup_json_ json_t *result = NULL, *request = NULL;
	struct err err = ERR_INIT;

	say("{\"job\":17}");
	assert_ok(local_send_progress(theirs, &ev, &err), &err);
	say("{\"line\":\"a\\u001b[1mb\"}");
	say("{\"item\":{}}");
	say("{\"item\":{}}");
	say("{\"weather\":\"a newer daemon's\"}");
	say("{\"progress\":{\"phase\":7}}"); /* not one: no reason to fail */
	assert_ok(local_send_result(theirs, json_pack("{s:i}", "n", 7), &err), &err);
	assert_ok(call(&h, &result, &err), &err);
	assert_int_equal(json_get_u64(result, "n", 0), 7);
	assert_int_equal(s.job, 17);
	assert_int_equal(s.items, 2);
	assert_int_equal(s.events, 1);
	assert_string_equal(s.phase, "rootfs");
	assert_string_equal(s.text, "a\\x1b[1mb");
	assert_int_equal(s.ev.done, 10);
	assert_int_equal(s.ev.elapsed, 5 * USEC_PER_SEC);
	assert_int_equal(s.ev.eta, 7000);
	assert_ok(local_recv(theirs, &request, NULL, NULL, &err), &err);
	assert_string_equal(json_get_str(request, "call"), "ct.list");
	assert_true(json_is_object(json_object_get(request, "args")));
}

static void test_no_eta(void **state)
{
	struct seen s = {0};
	struct local_handler h = {.progress = on_progress, .ctx = &s};
	struct progress_event ev = {.phase = "x", .eta = CLOCK_NEVER, .final = true};
	struct err err = ERR_INIT;

	assert_ok(local_send_progress(theirs, &ev, &err), &err);
	assert_ok(local_send_result(theirs, NULL, &err), &err);
	assert_ok(call(&h, NULL, &err), &err);
	assert_true(s.ev.eta == CLOCK_NEVER);
	assert_true(s.ev.final);
}

static void test_error(void **state)
{
	struct err what = ERR_INIT, err = ERR_INIT;

	err_set(&what, ERR_NOT_FOUND, "there is no container \"web\" here");
	assert_ok(local_send_error(theirs, &what, &err), &err);
	assert_int_equal(call(NULL, NULL, &err), -ERR_NOT_FOUND);
	assert_string_equal(err.text, what.text);
}

/* Only a result is success. */
static void test_no_result(void **state)
{
	static const char *const rows[] = {"", "{\"job\":3}", "{\"result\":{},\"error\":{}}", "{}",
		"[]", "hello", "{\"result\":{}", "{\"a\":1,\"b\":2}"};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err err = ERR_INIT;

		drop(state);
		make(state);
		if (rows[i][0])
			say(rows[i]);
		shutdown(theirs, SHUT_WR);
		assert_row(call(NULL, NULL, &err) == -ERR_UNKNOWN, rows[i]);
		assert_has(err.text, "job list");
	}
}

static void test_daemon_gone(void **state)
{
	struct err err = ERR_INIT;

	close(theirs); /* before the request: nothing can have happened */
	theirs = -1;
	assert_fails(call(NULL, NULL, &err), ERR_UNREACHABLE, &err);
}

static void test_turned_away(void **state)
{
	struct err what = ERR_INIT, err = ERR_INIT;

	err_set(&what, ERR_BUSY, "too many calls");
	assert_ok(local_send_error(theirs, &what, &err), &err);
	close(theirs);
	theirs = -1;
	assert_int_equal(call(NULL, NULL, &err), -ERR_BUSY);
	assert_string_equal(err.text, "too many calls");
}

static void test_hostile_error(void **state)
{
	static const struct {
		const char *json;
		enum err_code code;
	} rows[] = {
		{"{\"code\":\"none\",\"text\":\"x\"}", ERR_INTERNAL},
		{"{\"code\":\"\",\"text\":\"x\"}", ERR_INTERNAL},
		{"{\"code\":7,\"text\":7}", ERR_INTERNAL},
		{"{}", ERR_INTERNAL},
		{"[]", ERR_INTERNAL},
		{"{\"code\":\"busy\",\"text\":\"a\\nb\\u001b]0;c\\u0007\\u009b\"}", ERR_BUSY},
	};
	struct err err = ERR_INIT, deep = ERR_INIT;
	_cleanup_free_ char *big = xmalloc(100001);
	_cleanup_json_ json_t *v = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_json_ json_t *e = json_loads(rows[i].json, 0, NULL);

		local_error_from(e, &err);
		assert_row(err.code == rows[i].code, rows[i].json);
		assert_row(err.text[0], rows[i].json);
		for (const char *p = err.text; *p; p++)
			assert_row(*p >= 0x20, rows[i].json);
	}
	memset(big, '%', 100000);
	big[100000] = '\0';
	v = json_pack("{s:s,s:s}", "code", "io", "text", big);
	local_error_from(v, &deep);
	assert_int_equal(deep.code, ERR_IO);
	assert_true(strlen(deep.text) < sizeof(deep.text));
	local_error_from(NULL, &err);
	assert_int_equal(err.code, ERR_INTERNAL);
}

static void test_limits(void **state)
{
	_cleanup_free_ char *big = xcalloc(LOCAL_MSG_MAX + 1, 1);
	_cleanup_json_ json_t *v = NULL;
	struct err err = ERR_INIT;

	memset(big, ' ', LOCAL_MSG_MAX + 1);
	assert_int_equal(send(theirs, big, LOCAL_MSG_MAX + 1, 0), LOCAL_MSG_MAX + 1);
	assert_fails(local_recv(ours, &v, NULL, NULL, &err), ERR_PROTOCOL, &err);
	memcpy(big, "{}", 2);
	assert_int_equal(send(theirs, big, LOCAL_MSG_MAX, 0), LOCAL_MSG_MAX);
	assert_ok(local_recv(ours, &v, NULL, NULL, &err), &err);
	memset(big, 'x', LOCAL_MSG_MAX);
	big[LOCAL_MSG_MAX - 1] = '\0';
	assert_fails(local_send(ours, json_pack("{s:s}", "line", big), &err), ERR_INTERNAL, &err);
}

static void test_descriptors(void **state)
{
	int fds[FD_PASS_MAX], null = open("/dev/null", O_RDONLY);
	size_t n = 7;
	_cleanup_json_ json_t *v = NULL, *w = NULL, *end = NULL;
	struct stat a, b;
	struct err err = ERR_INIT;

	assert_ok(local_send_result(theirs, NULL, &err), &err);
	assert_ok(local_call(ours, "receive", json_object(), &null, 1, NULL, NULL, &err), &err);
	assert_ok(local_recv(theirs, &v, fds, &n, &err), &err);
	assert_int_equal(n, 1);
	fstat(null, &a);
	fstat(fds[0], &b);
	assert_int_equal(a.st_rdev, b.st_rdev);
	assert_true(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
	close(fds[0]);
	assert_ok(local_send(ours, json_object(), &err), &err);
	assert_ok(local_recv(theirs, &w, fds, &n, &err), &err);
	assert_int_equal(n, 0);
	shutdown(ours, SHUT_WR);
	n = 7;
	assert_ok(local_recv(theirs, &end, fds, &n, &err), &err);
	assert_null(end);
	assert_int_equal(n, 0);
	close(null);
}

static void test_cancel(void **state)
{
	struct err err = ERR_INIT;

	cancel_install();
	cancel_request();
	assert_fails(call(NULL, NULL, &err), ERR_CANCELLED, &err);
	cancel_reset();
}

static void test_connect(void **state)
{
	_cleanup_tmp_ char *tmp = unit_tmp();
	_cleanup_free_ char *path = NULL;
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	char longer[200] = {0};
	int sock = -1, listener;
	struct err err = ERR_INIT;

	setenv("WHERRY_RUN_DIR", tmp, 1);
	path = xasprintf("%s/control.sock", tmp);
	assert_string_equal(local_socket(), path);
	assert_true(str_ends(receive_socket(), "/receive.sock"));
	assert_int_equal(local_connect(path, &sock, &err), -ERR_UNREACHABLE);
	assert_has(err.text, "systemctl start wherryd");
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	listener = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_fails(local_connect(path, &sock, &err), ERR_UNREACHABLE, &err);
	assert_int_equal(listen(listener, 1), 0);
	assert_ok(local_connect(path, &sock, &err), &err);
	assert_true(fcntl(sock, F_GETFD) & FD_CLOEXEC);
	close(sock);
	close(listener);
	memset(longer, 'x', sizeof(longer) - 1);
	assert_fails(local_connect(longer, &sock, &err), ERR_INVALID, &err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_call, make, drop),
		cmocka_unit_test_setup_teardown(test_no_eta, make, drop),
		cmocka_unit_test_setup_teardown(test_error, make, drop),
		cmocka_unit_test_setup_teardown(test_no_result, make, drop),
		cmocka_unit_test_setup_teardown(test_daemon_gone, make, drop),
		cmocka_unit_test_setup_teardown(test_turned_away, make, drop),
		cmocka_unit_test_setup_teardown(test_hostile_error, make, drop),
		cmocka_unit_test_setup_teardown(test_limits, make, drop),
		cmocka_unit_test_setup_teardown(test_descriptors, make, drop),
		cmocka_unit_test_setup_teardown(test_cancel, make, drop),
		cmocka_unit_test(test_connect),
	};

	return cmocka_run_group_tests_name("local", tests, NULL, NULL);
}
