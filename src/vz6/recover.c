/*
 * vz6 recover: what wherryd's recovery is on other nodes (move/recover.h), in one process.
 */
#include <string.h>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/dirs.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "move/recover.h"
#include "node/pledge.h"
#include "node/transfer.h"
#include "runtime/openvz.h"
#include "vz6/vz6.h"
#include "vz6/watchdog.h"

#define PAUSE_FIRST (2 * USEC_PER_SEC)
#define PAUSE_MOST  (30 * USEC_PER_SEC)

static void add(json_t *all, const json_t *part)
{
	json_array_extend(all, json_object_get(part, "recovered"));
}

/* Only what is safe without asking: a cancel that began, and what comes after the hand-over. A
 * migration that broke off before is its operator's to go on with; the container runs here. */
static void go_on(struct vz6 *v, const char *ct)
{
	_cleanup_transfer_ struct transfer *t = NULL;
	_cleanup_json_ json_t *result = NULL;
	struct err e = ERR_INIT;

	if (transfer_open_of(v->st, TRANSFER_SOURCE, ct, &t, &e) < 0)
		return;
	if (t->phase < TRANSFER_COMMITTED && !json_get_bool(t->facts, "cancelling", false))
		return;
	if (recover_send(&v->move, ct, &result, &e) < 0)
		log_warning("container %s: %s", ct, e.text);
}

static void go_on_all(struct vz6 *v, const json_t *part)
{
	const json_t *ct;
	size_t i;

	json_array_foreach(json_object_get(part, "resume"), i, ct) go_on(v, json_string_value(ct));
}

static int ask_peers(struct vz6 *v, const json_t *peers, json_t *all, uint64_t *pending)
{
	const json_t *p;
	size_t i;

	json_array_foreach(peers, i, p)
	{
		_cleanup_json_ json_t *part = NULL;
		struct err e = ERR_INIT;

		if (recover_peer(&v->move, json_get_str(p, "peer"), json_get_str(p, "user"),
			    (uint16_t)json_get_u64(p, "port", 0), json_object_get(p, "ssh"), &part,
			    &e) < 0) {
			log_warning("%s", e.text);
			++*pending;
			continue;
		}
		*pending += json_get_u64(part, "pending", 0);
		add(all, part);
		go_on_all(v, part);
	}
	return 0;
}

static int round_once(struct vz6 *v, json_t *all, uint64_t *pending, struct err *err)
{
	_cleanup_json_ json_t *part = NULL;
	int r = recover_all(&v->move, &part, err);

	if (r < 0)
		return r;
	*pending = json_get_u64(part, "pending", 0);
	add(all, part);
	go_on_all(v, part);
	return ask_peers(v, json_object_get(part, "peers"), all, pending);
}

void vz6_at_boot(struct vz6 *v)
{
	struct transfer_vec open = {0};
	_cleanup_(pledge_vec_free) struct pledge_vec owed = {0};
	struct err e = ERR_INIT;

	if (transfer_list(v->st, true, NULL, &open, &e) >= 0 && pledge_list(v->st, &owed, &e) >= 0)
		watchdog_at_boot(open.n > 0 || owed.n > 0);
	transfer_vec_free(&open);
}

/* Disks that are mounted for nobody any more, and whether a reboot would leave anything half done.
 */
static void tidy(struct vz6 *v)
{
	struct err e = ERR_INIT;
	char **names = NULL;

	vz6_at_boot(v);
	if (runtime_list(&names, &e) >= 0)
		for (size_t i = 0; names && names[i]; i++)
			vz6_release(v, names[i]);
	strv_free(names);
}

int vz6_recover(struct vz6 *v, bool wait, json_t **ret, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/recover.lock", dirs_run());
	_cleanup_json_ json_t *all = json_array();
	_cleanup_close_ int lock = -1;
	usec_t pause = PAUSE_FIRST;
	uint64_t pending = 0;
	int r = file_mkdirs(dirs_run(), 0700, err);

	if (wait)
		watchdog_wait();
	if (r >= 0)
		r = file_lock(path, wait, &lock, err);
	/* Cron asks every five minutes, and one that waits for a dead node may take days. */
	if (r == -ERR_BUSY && !wait) {
		err_clear(err);
		*ret = json_pack("{s:o, s:b}", "recovered", json_array(), "under_way", 1);
		return 0;
	}
	while (r >= 0) {
		r = round_once(v, all, &pending, err);
		tidy(v);
		if (r < 0 || !pending || !wait || cancel_requested())
			break;
		clock_sleep(pause);
		pause = MIN(2 * pause, PAUSE_MOST);
	}
	if (r < 0)
		return r;
	*ret = json_object();
	json_object_set(*ret, "recovered", all);
	json_put_u64(*ret, "pending", pending);
	return 0;
}
