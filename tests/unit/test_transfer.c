#include "node.h"

#include "base/json.h"
#include "node/journal.h"
#include "node/transfer.h"

static void test_new(void **state)
{
	_cleanup_transfer_ struct transfer *t = transfer_new(TRANSFER_SOURCE, "web");

	assert_int_equal(strlen(t->token), 40);
	assert_int_equal(t->phase, TRANSFER_NEW);
	assert_string_equal(t->ct, "web");
	assert_true(transfer_is_open(t));
	assert_string_equal(transfer_phase_name(TRANSFER_CONFIG), "stage");
	assert_string_equal(transfer_phase_name(TRANSFER_DONE), "transfer");
	assert_string_equal(transfer_phase_name(TRANSFER_CLOSED), "cleanup");
}

static struct transfer *insert(struct state *s, enum transfer_role role, const char *ct)
{
	struct transfer *t = transfer_new(role, ct);
	struct err err = ERR_INIT;

	assert_ok(transfer_insert(s, t, &err), &err);
	return t;
}

static void test_round_trip(void **state)
{
	_cleanup_state_ struct state *s = node_open();
	_cleanup_transfer_ struct transfer *t = transfer_new(TRANSFER_DESTINATION, "web"),
					   *u = NULL;
	struct err err = ERR_INIT;

	strcpy(t->peer_ct, "web-old");
	strcpy(t->peer, "192.0.2.1, key web1");
	strcpy(t->key, "web1");
	strcpy(t->user, "wherry-receive");
	t->port = 65535;
	t->epoch = 41;
	json_put_bool(t->opts, "clone", true);
	json_put_str(t->facts, "volume", "/srv/x");
	assert_ok(transfer_insert(s, t, &err), &err);
	assert_ok(transfer_open_of(s, TRANSFER_DESTINATION, "web", &u, &err), &err);
	assert_string_equal(u->token, t->token);
	assert_int_equal(u->role, TRANSFER_DESTINATION);
	assert_int_equal(u->phase, TRANSFER_NEW);
	assert_string_equal(u->ct, "web");
	assert_string_equal(u->peer_ct, "web-old");
	assert_string_equal(u->peer, "192.0.2.1, key web1");
	assert_string_equal(u->key, "web1");
	assert_string_equal(u->user, "wherry-receive");
	assert_int_equal(u->port, 65535);
	assert_int_equal(u->epoch, 41);
	assert_int_equal(u->opened, t->opened);
	assert_true(json_get_bool(u->opts, "clone", false));
	assert_string_equal(json_get_str(u->facts, "volume"), "/srv/x");
}

static void test_save(void **state)
{
	_cleanup_state_ struct state *s = node_open();
	_cleanup_transfer_ struct transfer *t = insert(s, TRANSFER_SOURCE, "web"), *u = NULL;
	struct err err = ERR_INIT;

	strcpy(t->peer, "b");
	t->port = 22;
	t->epoch = 3;
	t->phase = TRANSFER_BASE;
	assert_ok(transfer_save(s, t, &err), &err);
	assert_ok(transfer_fact(s, t, "snap", json_string("one"), &err), &err);
	assert_ok(transfer_fact(s, t, "bytes", json_integer(7), &err), &err);
	assert_ok(transfer_fact(s, t, "snap", json_null(), &err), &err);
	assert_ok(transfer_set_phase(s, t, TRANSFER_INCREMENTAL, &err), &err);
	assert_ok(transfer_by_token(s, t->token, &u, &err), &err);
	assert_string_equal(u->peer, "b");
	assert_int_equal(u->port, 22);
	assert_int_equal(u->epoch, 3);
	assert_int_equal(u->phase, TRANSFER_INCREMENTAL);
	assert_null(json_object_get(u->facts, "snap"));
	assert_int_equal(json_get_u64(u->facts, "bytes", 0), 7);
}

static void test_unknown(void **state)
{
	_cleanup_state_ struct state *s = node_open();
	_cleanup_transfer_ struct transfer *t = transfer_new(TRANSFER_SOURCE, "web"), *u = NULL;
	struct err err = ERR_INIT;

	assert_fails(transfer_by_token(s, t->token, &u, &err), ERR_NOT_FOUND, &err);
	assert_fails(transfer_open_of(s, TRANSFER_SOURCE, "web", &u, &err), ERR_NOT_FOUND, &err);
	assert_fails(transfer_save(s, t, &err), ERR_NOT_FOUND, &err);
	assert_null(u);
}

static void test_one_open_a_container(void **state)
{
	_cleanup_state_ struct state *s = node_open();
	_cleanup_transfer_ struct transfer *t = insert(s, TRANSFER_SOURCE, "web"), *u = NULL,
					   *other = NULL;
	struct err err = ERR_INIT;

	u = transfer_new(TRANSFER_SOURCE, "web");
	assert_fails(transfer_insert(s, u, &err), ERR_BUSY, &err);
	u->role = TRANSFER_DESTINATION;
	assert_fails(transfer_insert(s, u, &err), ERR_BUSY, &err);
	other = insert(s, TRANSFER_SOURCE, "db");
	assert_ok(transfer_set_phase(s, t, TRANSFER_CANCELLED, &err), &err);
	assert_ok(transfer_insert(s, u, &err), &err);
}

static void test_token_only_once(void **state)
{
	_cleanup_state_ struct state *s = node_open();
	_cleanup_transfer_ struct transfer *t = insert(s, TRANSFER_DESTINATION, "web");
	struct err err = ERR_INIT;

	assert_ok(transfer_set_phase(s, t, TRANSFER_CANCELLED, &err), &err);
	t->phase = TRANSFER_NEW;
	assert_fails(transfer_insert(s, t, &err), ERR_EXISTS, &err);
	strcpy(t->ct, "db");
	assert_fails(transfer_insert(s, t, &err), ERR_EXISTS, &err);
}

static bool may_follow(enum transfer_phase from, enum transfer_phase to)
{
	if (from == to)
		return true;
	switch (from) {
	case TRANSFER_CLOSED:
	case TRANSFER_CANCELLED:
	case TRANSFER_REFUSED: return false;
	case TRANSFER_COMMITTED: return to >= TRANSFER_DONE;
	case TRANSFER_DONE: return to >= TRANSFER_CLOSED;
	default: return true;
	}
}

static void test_every_phase(void **state)
{
	_cleanup_state_ struct state *s = node_open();
	struct err err = ERR_INIT;

	for (int from = TRANSFER_NEW; from <= TRANSFER_REFUSED; from++)
		for (int to = TRANSFER_NEW; to <= TRANSFER_REFUSED; to++) {
			_cleanup_transfer_ struct transfer *t = transfer_new(
				TRANSFER_SOURCE, "web");
			int r;

			t->phase = (enum transfer_phase)from;
			assert_ok(state_begin(s, &err), &err);
			assert_ok(transfer_insert(s, t, &err), &err);
			r = transfer_set_phase(s, t, (enum transfer_phase)to, &err);
			if ((r >= 0) != may_follow(t->phase = (enum transfer_phase)from,
						(enum transfer_phase)to))
				fail_msg("%s -> %s: %d",
					transfer_phase_name((enum transfer_phase)from),
					transfer_phase_name((enum transfer_phase)to), r);
			state_rollback(s);
		}
}

/* A worker that was overtaken by a cancel. */
static void test_stale_copy(void **state)
{
	_cleanup_state_ struct state *s = node_open();
	_cleanup_transfer_ struct transfer *t = insert(s, TRANSFER_SOURCE, "web"), *stale = NULL,
					   *now = NULL;
	struct err err = ERR_INIT;

	assert_ok(transfer_by_token(s, t->token, &stale, &err), &err);
	assert_ok(transfer_set_phase(s, t, TRANSFER_CANCELLED, &err), &err);
	assert_fails(transfer_fact(s, stale, "snap", json_string("x"), &err), ERR_STATE, &err);
	assert_null(json_object_get(stale->facts, "snap"));
	assert_fails(transfer_set_phase(s, stale, TRANSFER_BASE, &err), ERR_STATE, &err);
	assert_int_equal(stale->phase, TRANSFER_NEW);
	assert_ok(transfer_by_token(s, t->token, &now, &err), &err);
	assert_int_equal(now->phase, TRANSFER_CANCELLED);
	/* What is done after the end is still noted. */
	assert_ok(transfer_fact(s, t, "removed", json_true(), &err), &err);
}

static void test_list(void **state)
{
	_cleanup_state_ struct state *s = node_open();
	_cleanup_transfer_ struct transfer *a = insert(s, TRANSFER_SOURCE, "web"), *b = NULL,
					   *c = NULL;
	struct transfer_vec list = {0};
	struct err err = ERR_INIT;

	assert_ok(transfer_set_phase(s, a, TRANSFER_CLOSED, &err), &err);
	b = insert(s, TRANSFER_DESTINATION, "web");
	c = insert(s, TRANSFER_SOURCE, "db");
	assert_ok(transfer_list(s, false, "web", &list, &err), &err);
	assert_int_equal(list.n, 2);
	assert_string_equal(list.v[0]->token, a->token);
	assert_string_equal(list.v[1]->token, b->token);
	transfer_vec_free(&list);
	assert_ok(transfer_list(s, true, NULL, &list, &err), &err);
	assert_int_equal(list.n, 2);
	assert_string_equal(list.v[0]->token, b->token);
	assert_string_equal(list.v[1]->token, c->token);
	transfer_vec_free(&list);
	assert_ok(transfer_list(s, true, "nobody", &list, &err), &err);
	assert_int_equal(list.n, 0);
}

static void test_too_large(void **state)
{
	_cleanup_state_ struct state *s = node_open();
	_cleanup_transfer_ struct transfer *t = insert(s, TRANSFER_SOURCE, "web"), *u = NULL;
	_cleanup_free_ char *large = xmalloc((1 << 20) + 1);
	struct err err = ERR_INIT;

	memset(large, 'x', 1 << 20);
	large[1 << 20] = '\0';
	assert_fails(transfer_fact(s, t, "large", json_string(large), &err), ERR_INVALID, &err);
	assert_ok(transfer_by_token(s, t->token, &u, &err), &err);
}

static void test_journal(void **state)
{
	_cleanup_state_ struct state *s = node_open();
	_cleanup_transfer_ struct transfer *t = transfer_new(TRANSFER_SOURCE, "web");
	_cleanup_(journal_vec_done) struct journal_vec v = {0};
	struct err err = ERR_INIT;
	char text[400];

	memset(text, 'y', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_ok(journal_read(s, t->token, &v, &err), &err);
	assert_int_equal(v.n, 0);
	assert_ok(journal_append(s, t->token, "base", JOURNAL_BEGIN, NULL, &err), &err);
	assert_ok(journal_append(s, "another", "base", JOURNAL_BEGIN, NULL, &err), &err);
	assert_ok(journal_append(s, t->token, "base", JOURNAL_FAILED, text, &err), &err);
	assert_ok(journal_append(s, t->token, "base", JOURNAL_UNDONE, "", &err), &err);
	assert_ok(journal_read(s, t->token, &v, &err), &err);
	assert_int_equal(v.n, 3);
	assert_int_equal(v.v[0].event, JOURNAL_BEGIN);
	assert_string_equal(v.v[0].step, "base");
	assert_string_equal(v.v[0].text, "");
	assert_int_equal(v.v[1].event, JOURNAL_FAILED);
	assert_int_equal(strlen(v.v[1].text), sizeof(v.v[1].text) - 1);
	assert_int_equal(v.v[2].event, JOURNAL_UNDONE);
	assert_true(v.v[0].seq < v.v[1].seq && v.v[1].seq < v.v[2].seq);
	assert_true(v.v[0].wall_nsec > UINT64_C(1500000000000000000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		node_test(test_new),
		node_test(test_round_trip),
		node_test(test_save),
		node_test(test_unknown),
		node_test(test_one_open_a_container),
		node_test(test_token_only_once),
		node_test(test_every_phase),
		node_test(test_stale_copy),
		node_test(test_list),
		node_test(test_too_large),
		node_test(test_journal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
