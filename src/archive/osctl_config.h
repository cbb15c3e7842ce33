/*
 * A container's configuration as osctl of vpsAdminOS writes it (container.yml, user.yml), and as
 * our model. What has no place in the other is told, one sentence a thing.
 */
#pragma once

#include "model/container.h"

/* user may be NULL: a map is made up. */
int osctl_config_read(const char *name, const json_t *config, const json_t *user,
	void (*note)(void *ctx, const char *what), void *ctx, struct container **ret,
	struct err *err) _must_use_;
json_t *osctl_config_json(
	const struct container *c, void (*note)(void *ctx, const char *what), void *ctx);
json_t *osctl_user_json(const struct container *c);
