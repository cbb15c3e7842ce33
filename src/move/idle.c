#include "move/idle.h"

#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "move/places.h"

#define TEXT_MAX 1024

void idle_advance(struct idle *i, const char *boot, usec_t now, uint64_t changed, usec_t expire)
{
	if (i->changed != changed || !i->boot[0]) {
		i->sum = 0;
	} else if (strcmp(i->boot, boot) == 0) {
		i->sum += now > i->at ? now - i->at : 0;
	} else {
		usec_t most = expire > IDLE_AFTER_BOOT ? expire - IDLE_AFTER_BOOT : 0;

		i->sum = MIN(i->sum, most);
	}
	snprintf(i->boot, sizeof(i->boot), "%s", boot);
	i->at = now;
	i->changed = changed;
}

static char *path_of(const struct transfer *t)
{
	_cleanup_free_ char *dir = places_transfer_dir(t->token);

	return xasprintf("%s/idle", dir);
}

/* Nothing of it, or nothing that can be read, is a first look. */
static void load(const struct transfer *t, struct idle *ret)
{
	_cleanup_free_ char *path = path_of(t), *text = NULL;
	_cleanup_json_ json_t *o = NULL;
	struct err ignored = ERR_INIT;
	const char *boot;
	size_t n;

	*ret = (struct idle){0};
	if (file_read(path, TEXT_MAX, &text, &n, &ignored) < 0 ||
		json_parse(text, n, TEXT_MAX, &o, &ignored) < 0)
		return;
	boot = json_get_str(o, "boot");
	snprintf(ret->boot, sizeof(ret->boot), "%s", boot ? boot : "");
	ret->at = json_get_u64(o, "at", 0);
	ret->sum = json_get_u64(o, "sum", 0);
	ret->changed = json_get_u64(o, "changed", 0);
}

static int store(const struct transfer *t, const struct idle *i, struct err *err)
{
	_cleanup_free_ char *path = path_of(t), *text = NULL;
	_cleanup_json_ json_t *o = json_object();
	int r = places_transfer_dir_make(t->token, err);

	json_put_str(o, "boot", i->boot);
	json_put_u64(o, "at", i->at);
	json_put_u64(o, "sum", i->sum);
	json_put_u64(o, "changed", i->changed);
	text = json_text(o);
	return r < 0 ? r : file_replace(path, text, strlen(text), 0600, err);
}

static void look(const struct transfer *t, usec_t expire, struct idle *ret)
{
	char boot[BOOT_ID_MAX];

	boot_id(boot);
	load(t, ret);
	idle_advance(ret, boot, clock_now(), t->changed, expire);
}

int idle_look(const struct transfer *t, usec_t expire, usec_t *ret, struct err *err)
{
	struct idle i;
	int r;

	look(t, expire, &i);
	r = store(t, &i, err);
	if (r < 0)
		return r;
	*ret = i.sum;
	return 0;
}

usec_t idle_read(const struct transfer *t, usec_t expire)
{
	struct idle i;

	look(t, expire, &i);
	return i.sum;
}
