#include "node.h"

#include "base/json.h"
#include "node/job.h"
#include "node/ownership.h"

#define T1 "1111111111111111111111111111111111111111"
#define T2 "2222222222222222222222222222222222222222"

static struct own own(enum own_kind kind, uint64_t epoch, const char *token)
{
	struct own o = {.ct = "web", .kind = kind, .epoch = epoch, .peer = "b.example"};

	snprintf(o.token, sizeof(o.token), "%s", token);
	return o;
}

static struct own get(struct state *s, const char *ct)
{
	struct err err = ERR_INIT;
	struct own o;

	assert_ok(own_get(s, ct, &o, &err), &err);
	return o;
}

static int set(
	struct state *s, enum own_kind kind, uint64_t epoch, const char *token, struct err *err)
{
	struct own o = own(kind, epoch, token);

	return own_set(s, &o, err);
}

static void test_none_is_owner(void **state)
{
	_cleanup_state_ struct state *s = node_open();
	struct err err = ERR_INIT;
	struct own o = get(s, "web");

	assert_int_equal(o.kind, OWN_OWNER);
	assert_false(o.recorded);
	assert_int_equal(o.epoch, 0);
	assert_string_equal(o.ct, "web");
	assert_ok(own_may_start(s, "web", NULL, &err), &err);
}

/* A send that can't write that it takes its container back lets the hook through with its token. */
static void test_the_send_itself(void **state)
{
	_cleanup_state_ struct state *s = node_open();
	struct err err = ERR_INIT;

	assert_ok(set(s, OWN_RELEASING, 0, T1, &err), &err);
	assert_int_equal(own_may_start(s, "web", NULL, &err), -ERR_DENIED);
	assert_int_equal(own_may_start(s, "web", "", &err), -ERR_DENIED);
	assert_int_equal(own_may_start(s, "web", T2, &err), -ERR_DENIED);
	assert_ok(own_may_start(s, "web", T1, &err), &err);
	assert_ok(set(s, OWN_RELEASED, 0, T1, &err), &err);
	assert_int_equal(own_may_start(s, "web", T1, &err), -ERR_DENIED);
}

static void test_send_and_return(void **state)
{
	_cleanup_state_ struct state *s = node_open();
	struct err err = ERR_INIT;
	struct own o;

	assert_ok(set(s, OWN_RELEASING, 0, T1, &err), &err);
	assert_ok(set(s, OWN_RELEASING, 0, T1, &err), &err); /* said again */
	assert_ok(set(s, OWN_RELEASED, 0, T1, &err), &err);
	assert_ok(set(s, OWN_STAGED, 1, T2, &err), &err); /* it comes back */
	assert_ok(set(s, OWN_OWNER, 2, T2, &err), &err);
	o = get(s, "web");
	assert_true(o.recorded);
	assert_int_equal(o.epoch, 2);
	assert_string_equal(o.token, T2);
	assert_string_equal(o.peer, "b.example");
	assert_true(o.changed > 0);
}

/* Brings the record to a kind with epoch 5 and token T1, by legal moves. */
static void bring_to(struct state *s, int kind)
{
	struct err err = ERR_INIT;

	if (kind < 0)
		return;
	assert_ok(set(s, OWN_STAGED, kind == OWN_STAGED ? 5 : 4, T1, &err), &err);
	if (kind != OWN_STAGED)
		assert_ok(set(s, OWN_OWNER, 5, T1, &err), &err);
	if (kind == OWN_RELEASING || kind == OWN_RELEASED)
		assert_ok(set(s, OWN_RELEASING, 5, T1, &err), &err);
	if (kind == OWN_RELEASED)
		assert_ok(set(s, OWN_RELEASED, 5, T1, &err), &err);
}

/* The table of the header, written down a second time and in another form. */
static bool legal(int from, uint64_t epoch, int to, uint64_t to_epoch, bool same_token)
{
	uint64_t plus = to_epoch - epoch;

	if (to_epoch < epoch)
		return false;
	if (from == to && plus == 0 && same_token)
		return true;
	switch (from) {
	case -1: return to == OWN_STAGED || (to == OWN_RELEASING && plus == 0);
	case OWN_OWNER:
		return (to == OWN_RELEASING && plus == 0) ||
		       (to == OWN_RELEASED && plus == 0 && same_token);
	case OWN_STAGED: return to == OWN_OWNER && plus == 1 && same_token;
	case OWN_RELEASING:
		return (to == OWN_OWNER || to == OWN_RELEASED) && plus == 0 && same_token;
	default:
		return (to == OWN_OWNER && plus == 2 && same_token) ||
		       (to == OWN_STAGED && plus >= 1 && !same_token);
	}
}

static void try_move(struct state *s, int from, int to, uint64_t epoch, const char *token)
{
	uint64_t from_epoch = from < 0 ? 0 : 5;
	bool want = legal(from, from_epoch, to, epoch, from < 0 || !strcmp(token, T1));
	struct err err = ERR_INIT;
	struct own after;
	int r;

	assert_ok(state_begin(s, &err), &err);
	bring_to(s, from);
	r = set(s, (enum own_kind)to, epoch, token, &err);
	if (want != (r >= 0))
		fail_msg("%s %d -> %s %d, %s token: %s",
			from < 0 ? "none" : own_kind_name((enum own_kind)from), (int)from_epoch,
			own_kind_name((enum own_kind)to), (int)epoch,
			strcmp(token, T1) ? "new" : "same", r < 0 ? err.text : "accepted");
	after = get(s, "web");
	if (r >= 0) {
		assert_int_equal(after.kind, to);
		assert_int_equal(after.epoch, epoch);
		assert_string_equal(after.token, token);
	} else {
		assert_int_equal(r, -ERR_STATE);
		assert_int_equal(after.kind, from < 0 ? OWN_OWNER : from);
		assert_int_equal(after.epoch, from_epoch);
		assert_int_equal(after.recorded, from >= 0);
	}
	state_rollback(s);
}

static void test_every_move(void **state)
{
	_cleanup_state_ struct state *s = node_open();

	for (int from = -1; from <= OWN_RELEASED; from++)
		for (int to = OWN_OWNER; to <= OWN_RELEASED; to++)
			for (uint64_t epoch = from < 0 ? 0 : 3; epoch <= 9; epoch++) {
				try_move(s, from, to, epoch, T1);
				try_move(s, from, to, epoch, T2);
			}
}

static void test_no_move_without_token(void **state)
{
	_cleanup_state_ struct state *s = node_open();
	struct err err = ERR_INIT;

	assert_fails(set(s, OWN_RELEASING, 0, "", &err), ERR_STATE, &err);
	assert_fails(set(s, OWN_STAGED, 0, "", &err), ERR_STATE, &err);
}

static void test_may_start(void **state)
{
	static const struct {
		int kind;
		const char *says;
	} table[] = {
		{OWN_STAGED, "arriving from b.example"},
		{OWN_RELEASING, "handed over to b.example"},
		{OWN_RELEASED, "belongs to b.example"},
		{OWN_RELEASED, "wherry ct own --force web"},
	};
	_cleanup_state_ struct state *s = node_open();
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		assert_ok(state_begin(s, &err), &err);
		bring_to(s, table[i].kind);
		assert_int_equal(own_may_start(s, "web", NULL, &err), -ERR_DENIED);
		assert_has(err.text, table[i].says);
		assert_has(err.text, "wherry ct send resolve web");
		assert_has(err.text, "Z"); /* since when */
		assert_ok(own_may_start(s, "other", NULL, &err), &err);
		state_rollback(s);
		err_clear(&err);
	}
	bring_to(s, OWN_OWNER);
	assert_ok(own_may_start(s, "web", NULL, &err), &err);
}

static void test_force(void **state)
{
	_cleanup_state_ struct state *s = node_open();
	_cleanup_json_ json_t *history = NULL;
	struct err err = ERR_INIT;
	struct own o;
	json_t *event;

	bring_to(s, OWN_RELEASED);
	assert_ok(own_force(s, "web", "uid 0", &err), &err);
	o = get(s, "web");
	assert_int_equal(o.kind, OWN_OWNER);
	assert_int_equal(o.epoch, 1005);
	assert_string_equal(o.token, "");
	assert_ok(own_may_start(s, "web", NULL, &err), &err);
	assert_ok(history_read(s, "web", 0, &history, &err), &err);
	event = json_array_get(history, 0);
	assert_string_equal(json_get_str(event, "event"), "own.force");
	assert_string_equal(json_get_str(event, "overruled"), "released");
	assert_string_equal(json_get_str(event, "who"), "uid 0");
	assert_int_equal(json_get_u64(event, "epoch", 0), 1005);
}

static void test_forget(void **state)
{
	_cleanup_state_ struct state *s = node_open();
	struct err err = ERR_INIT;

	assert_ok(own_forget(s, "web", &err), &err);
	assert_ok(state_begin(s, &err), &err);
	bring_to(s, OWN_RELEASING);
	assert_fails(own_forget(s, "web", &err), ERR_STATE, &err);
	state_rollback(s);
	bring_to(s, OWN_STAGED);
	assert_ok(own_forget(s, "web", &err), &err);
	assert_false(get(s, "web").recorded);
}

static void test_list(void **state)
{
	_cleanup_state_ struct state *s = node_open();
	struct own o = own(OWN_STAGED, 1, T2);
	struct own_vec list = {0};
	struct err err = ERR_INIT;

	bring_to(s, OWN_RELEASED);
	strcpy(o.ct, "db");
	assert_ok(own_set(s, &o, &err), &err);
	assert_ok(own_list(s, &list, &err), &err);
	assert_int_equal(list.n, 2);
	assert_string_equal(list.v[0].ct, "db");
	assert_int_equal(list.v[0].kind, OWN_STAGED);
	assert_string_equal(list.v[1].ct, "web");
	assert_int_equal(list.v[1].kind, OWN_RELEASED);
	own_vec_done(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		node_test(test_none_is_owner),
		node_test(test_the_send_itself),
		node_test(test_send_and_return),
		node_test(test_every_move),
		node_test(test_no_move_without_token),
		node_test(test_may_start),
		node_test(test_force),
		node_test(test_forget),
		node_test(test_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
