#include "move/plan.h"

#include <string.h>

#include "base/cancel.h"
#include "base/fault.h"
#include "base/json.h"
#include "base/log.h"
#include "node/journal.h"

static const struct step *find(const struct plan *p, const char *name)
{
	for (const struct step *s = p->steps; s->name; s++)
		if (!strcmp(s->name, name))
			return s;
	return NULL;
}

static int fault_at(const char *step, const char *where, struct err *err)
{
	char name[80];

	snprintf(name, sizeof(name), "step.%s.%s", step, where);
	return fault_point(name, err);
}

static int run_step(struct plan *p, const struct step *s, struct err *err)
{
	int r;

	r = fault_at(s->name, "before", err);
	if (r < 0)
		return r;
	r = s->run(p->ctx, err);
	if (r < 0)
		return r;
	return fault_at(s->name, "after", err);
}

int plan_step(struct plan *p, const char *name, struct err *err)
{
	const struct step *s = find(p, name);
	struct err log_err = ERR_INIT;
	enum journal_event end;
	int r;

	if (!s)
		return err_set(err, ERR_INTERNAL, "there is no step '%s' in this plan", name);
	r = journal_append(p->m->st, p->token, s->name, JOURNAL_BEGIN, NULL, err);
	if (r < 0)
		return r;
	log_debug("step %s", s->name);
	r = run_step(p, s, err);
	end = r >= 0 ? JOURNAL_DONE : r == -ERR_UNKNOWN ? JOURNAL_UNKNOWN : JOURNAL_FAILED;
	/* The step's own outcome counts more than whether it could be noted. */
	if (journal_append(p->m->st, p->token, s->name, end, r < 0 ? err->text : NULL, &log_err) <
			0 &&
		r >= 0)
		return err_copy(err, &log_err);
	return r;
}

static int undo_step(struct plan *p, const struct step *s, struct err *err)
{
	int r;

	r = journal_append(p->m->st, p->token, s->name, JOURNAL_UNDO, NULL, err);
	if (r < 0)
		return r;
	r = fault_at(s->name, "undo", err);
	if (r < 0)
		return r;
	r = s->undo(p->ctx, err);
	if (r < 0)
		return r;
	return journal_append(p->m->st, p->token, s->name, JOURNAL_UNDONE, NULL, err);
}

int plan_undo(struct plan *p, struct err *err)
{
	size_t n = 0;
	int ret = 0;

	while (p->steps[n].name && !(p->steps[n].flags & STEP_FORWARD_ONLY))
		n++;
	cancel_shield();
	while (n-- > 0) {
		struct err e = ERR_INIT;

		if (!p->steps[n].undo || undo_step(p, &p->steps[n], &e) >= 0)
			continue;
		log_warning("undo of %s: %s", p->steps[n].name, e.text);
		if (ret == 0)
			ret = err_copy(err, &e);
	}
	cancel_unshield();
	return ret;
}

json_t *plan_json(const struct step *steps)
{
	json_t *a = json_array();

	for (const struct step *s = steps; s->name; s++) {
		json_t *o = json_object();

		json_put_str(o, "step", s->name);
		json_put_str(o, "does", s->does);
		json_put_str(o, "undo", s->undoes);
		json_array_append_new(a, o);
	}
	return a;
}
