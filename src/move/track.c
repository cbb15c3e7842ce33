#include "move/track.h"

#include "base/alloc.h"
#include "base/log.h"

struct watch *track_volume(struct sending *s, const struct volume *v, int rootfd)
{
	_cleanup_free_ char *folder = places_transfer_dir(s->t->token);
	struct watch *w = NULL;
	struct err e = ERR_INIT;

	if (!watch_can(rootfd))
		return NULL;
	if (watch_attach(WHERRY_LIBDIR "/wherry-watch", folder, v->name, rootfd, 0, &w, &e) >= 0)
		return w;
	log_warning("volume '%s' of container '%s': %s: each pass looks at everything", v->name,
		s->t->ct, e.text);
	return NULL;
}

void track_end(const char *token, const char *volume)
{
	_cleanup_free_ char *folder = places_transfer_dir(token);

	watch_end(folder, volume);
}
