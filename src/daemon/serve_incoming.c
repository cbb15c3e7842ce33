/*
 * receive.list and receive.cancel: what is arriving here, for the operator of this node.
 */
#include "daemon/serve.h"
#include "move/incoming.h"

static struct {
	char *id;
	bool force;
} args;

static const struct json_field cancel_fields[] = {
	JSON_STR(__typeof__(args), id, "ct", JSON_REQUIRED, 64),
	JSON_BOOL(__typeof__(args), force, "force", 0),
	JSON_END,
};

int serve_receive_list(struct serve *s, json_t **ret, struct err *err)
{
	return incoming_list(&s->move, ret, err);
}

int serve_receive_cancel(struct serve *s, json_t **ret, struct err *err)
{
	int r = serve_args(s, cancel_fields, &args, err);

	return r < 0 ? r : incoming_cancel(&s->move, args.id, args.force, ret, err);
}
