#include "move/peer.h"

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/dirs.h"
#include "base/json.h"
#include "base/str.h"
#include "link/ssh_options.h"
#include "node/keys.h"

#define PAUSE_FIRST (250 * USEC_PER_MSEC)
#define PAUSE_MOST  (5 * USEC_PER_SEC)

struct peer *peer_new(
	struct move_ctx *m, const char *host, const char *user, uint16_t port, bool accept_new)
{
	struct peer *p = xnew(struct peer);

	p->m = m;
	p->host = xstrdup(host);
	p->user = xstrdup(user && user[0] ? user : m->cfg->receive_user);
	p->port = port;
	p->accept_new = accept_new;
	p->patience = 30 * USEC_PER_SEC;
	return p;
}

/* What was kept is looked at again: a list that this version does not take is as good as none. */
void peer_options(struct peer *p, const json_t *options)
{
	const json_t *v;
	size_t i;

	json_array_foreach(options, i, v)
	{
		const char *o = json_string_value(v);

		if (o && ssh_option_ok(o))
			strv_push(&p->options, o);
	}
}

struct peer *peer_of(struct move_ctx *m, const struct transfer *t, bool accept_new)
{
	struct peer *p = peer_new(m, t->peer, t->user, t->port, accept_new);

	peer_options(p, json_object_get(t->opts, "ssh"));
	return p;
}

void peer_free(struct peer *p)
{
	if (!p)
		return;
	strv_free(p->options);
	peer_drop(p);
	free(p->host);
	free(p->user);
	free(p);
}

void peer_freep(struct peer **p)
{
	peer_free(*p);
}

void peer_drop(struct peer *p)
{
	if (p->ssh)
		ssh_close(p->ssh);
	p->ssh = NULL;
}

/* The first to say something about an option counts: the send before the node. */
static char **all_options(const struct peer *p)
{
	char *const *of_node = p->m->cfg->ssh_options;
	char **all = NULL;

	for (size_t i = 0; p->options && p->options[i]; i++)
		strv_push(&all, p->options[i]);
	for (size_t i = 0; of_node && of_node[i]; i++)
		strv_push(&all, of_node[i]);
	return all;
}

int peer_connect(struct peer *p, struct err *err)
{
	_cleanup_free_ char *known = xasprintf("%s/send-receive/known_hosts", dirs_state());
	_cleanup_strv_ char **options = all_options(p);
	struct ssh_target t = {
		.host = p->host,
		.user = p->user,
		.port = p->port,
		.identity = send_key_path(false),
		.known_hosts = known,
		.accept_new = p->accept_new,
		.timeout = p->m->cfg->link_timeout,
		.options = options,
	};

	return p->ssh ? 0 : ssh_open(&t, &p->ssh, err);
}

bool peer_link_lost(int r)
{
	return r == -ERR_UNREACHABLE || r == -ERR_TIMEOUT || r == -ERR_UNKNOWN;
}

static int pause_between(usec_t t, struct err *err)
{
	usec_t until = clock_deadline(t);

	for (usec_t now; (now = clock_now()) < until;) {
		int r = cancel_check(err);

		if (r < 0)
			return r;
		clock_sleep(MIN(until - now, 100 * USEC_PER_MSEC));
	}
	return 0;
}

int peer_reconnect(struct peer *p, usec_t deadline, struct err *err)
{
	usec_t pause = PAUSE_FIRST;

	for (;;) {
		struct err wait_err = ERR_INIT;
		int r;

		peer_drop(p);
		err_clear(err);
		r = peer_connect(p, err);
		if (r >= 0 || !peer_link_lost(r))
			return r;
		if (clock_now() + pause > deadline)
			return r;
		if (pause_between(pause, &wait_err) < 0)
			return err_copy(err, &wait_err);
		pause = MIN(pause * 2, PAUSE_MOST);
	}
}

int peer_call(
	struct peer *p, const char *const *words, json_t *input, json_t **ret_ok, struct err *err)
{
	usec_t deadline = clock_deadline(p->patience);
	int r = peer_connect(p, err);

	for (;;) {
		if (r >= 0)
			r = verb_call(
				p->ssh, words, input ? json_incref(input) : NULL, ret_ok, err);
		if (r >= 0 || !peer_link_lost(r) || clock_now() >= deadline)
			return r;
		r = peer_reconnect(p, deadline, err);
		if (r < 0)
			return r;
		err_clear(err);
	}
}

static bool speaks_ours(const json_t *hello)
{
	const json_t *list = json_object_get(hello, "protocol"), *v;
	size_t i;

	json_array_foreach(list, i, v) if (json_integer_value(v) == VERB_PROTOCOL) return true;
	return false;
}

int peer_hello(struct peer *p, json_t **ret, struct err *err)
{
	const char *const words[] = {"receive", "hello", NULL};
	_cleanup_json_ json_t *hello = NULL;
	int r = peer_call(p, words, NULL, &hello, err);

	if (r < 0)
		return r;
	if (!speaks_ours(hello)) {
		_cleanup_free_ char *version = str_escape(
			json_get_str(hello, "version") ?: "?", 16);

		return err_set(err, ERR_PROTOCOL,
			"%s runs Wherry %s, which doesn't speak protocol %d of this node's Wherry "
			"%s: upgrade the older one",
			p->host, version, VERB_PROTOCOL, WHERRY_VERSION);
	}
	*ret = TAKE_PTR(hello);
	return 0;
}

int peer_status(struct peer *p, const char *token, enum handoff_peer *ret, json_t **ret_answer,
	struct err *err)
{
	const char *const words[] = {"receive", "status", token, NULL};
	_cleanup_json_ json_t *answer = NULL;
	enum handoff_peer state;
	int r = peer_call(p, words, NULL, &answer, err);

	if (r < 0)
		return r;
	state = handoff_peer_from(json_get_str(answer, "state"));
	if (state == PEER_UNKNOWN)
		return err_set(err, ERR_PROTOCOL,
			"%s answered a status that this node doesn't know", p->host);
	*ret = state;
	if (ret_answer)
		*ret_answer = TAKE_PTR(answer);
	return 0;
}

bool peer_has(const json_t *hello, const char *feature)
{
	const json_t *v;
	size_t i;

	json_array_foreach(json_object_get(hello, "features"), i, v)
	{
		if (json_is_string(v) && str_eq(json_string_value(v), feature))
			return true;
	}
	return false;
}
