#include "runtime/openvz_tool.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "base/num.h"
#include "base/proc.h"
#include "base/str.h"

#define ANSWER_MAX (1u << 20)
#define LIST_MAX   65536u
#define LOCK_PAUSE (200 * USEC_PER_MSEC)

bool vz_ctid_ok(const char *name)
{
	struct err ignored = ERR_INIT;
	uint32_t n;

	return name[0] != '0' && num_u32(name, INT32_MAX, &n, &ignored) >= 0 && n > 0;
}

static int not_understood(const char *what, const char *text, struct err *err)
{
	_cleanup_free_ char *shown = str_escape(text, strnlen(text, 120));

	return err_set(err, ERR_PROTOCOL,
		"%s answers \"%s\", which is none of its known answers: nothing is done on a guess",
		what, shown);
}

/* One of two words: 1 the first, 0 the second, -1 neither. */
static int either(const char *word, const char *yes, const char *no)
{
	return str_eq(word, yes) ? 1 : str_eq(word, no) ? 0 : -1;
}

int vz_status_parse(const char *text, const char *ctid, struct vz_status *ret, struct err *err)
{
	_cleanup_strv_ char **w = str_words(text);
	size_t n = strv_len(w);
	int exists = n > 2 ? either(w[2], "exist", "deleted") : -1;
	int mounted = n > 3 ? either(w[3], "mounted", "unmounted") : -1;
	int running = n > 4 ? either(w[4], "running", "down") : -1;
	bool named = n > 1 && either(w[0], "CTID", "VEID") >= 0 && str_eq(w[1], ctid);
	const char *nl = strchr(text, '\n');
	bool suspended = false;

	if (!named || exists < 0 || mounted < 0 || running < 0 || (nl && nl[1]))
		return not_understood("vzctl status", text, err);
	for (size_t i = 5; i < n; i++)
		if (str_eq(w[i], "suspended"))
			suspended = true;
		else if (!str_eq(w[i], "locked"))
			return not_understood("vzctl status", text, err);
	if (running && !mounted)
		return not_understood("vzctl status", text, err);
	*ret = (struct vz_status){exists, mounted, running, suspended};
	return 0;
}

int vz_status(const char *ctid, struct vz_status *ret, struct err *err)
{
	const char *argv[] = {"vzctl", "status", ctid, NULL};
	_cleanup_free_ char *text = NULL;
	int r = proc_capture(argv, ANSWER_MAX, &text, err);

	return r < 0 ? r : vz_status_parse(text, ctid, ret, err);
}

int vz_field(const char *ctid, const char *field, char **ret, struct err *err)
{
	const char *argv[] = {"vzlist", "-a", "-H", "-o", field, ctid, NULL};
	_cleanup_free_ char *text = NULL;
	const char *value;
	int r = proc_capture(argv, ANSWER_MAX, &text, err);

	if (r < 0)
		return r;
	value = str_trim(text);
	if (!*value || strpbrk(value, "\n\r"))
		return not_understood("vzlist", value, err);
	*ret = xstrdup(str_eq(value, "-") ? "" : value);
	return 0;
}

/* Virtuozzo 7 gives its containers UUIDs, unless told a number. */
static bool is_uuid(const char *word)
{
	return strlen(word) == 36 && strspn(word, "0123456789abcdefABCDEF-") == 36;
}

int vz_list(char ***ret, struct err *err)
{
	static const char *const argv[] = {"vzlist", "-a", "-H", "-o", "ctid", NULL};
	_cleanup_free_ char *text = NULL;
	_cleanup_strv_ char **words = NULL;
	char **numbers;
	size_t n = 0;
	int r = proc_capture(argv, ANSWER_MAX, &text, err);

	if (r < 0)
		return r;
	words = str_words(text);
	if (strv_len(words) > LIST_MAX)
		return err_set(err, ERR_PROTOCOL, "vzlist names too many containers");
	for (size_t i = 0; words[i]; i++)
		if (!vz_ctid_ok(words[i]) && !is_uuid(words[i]))
			return not_understood("vzlist", words[i], err);
	numbers = xcalloc(strv_len(words) + 1, sizeof(*numbers));
	for (size_t i = 0; words[i]; i++)
		if (vz_ctid_ok(words[i]))
			numbers[n++] = xstrdup(words[i]);
	*ret = numbers;
	return 0;
}

static int run_once(const char *const *argv, usec_t deadline, int *ret_code, struct err *err)
{
	_cleanup_(proc_done) struct proc p = PROC_INIT;
	int status = 0, r;

	p.argv = argv;
	p.detach = true;
	r = proc_spawn(&p, err);
	if (r >= 0)
		r = proc_wait(&p, deadline, &status, err);
	*ret_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	return r;
}

int vz_do(
	const char *const *words, const char *ctid, usec_t deadline, int *ret_code, struct err *err)
{
	const char *argv[16] = {"vzctl", words[0], ctid};
	int code = -1, r;

	for (size_t i = 1; words[i] && i < 12; i++)
		argv[i + 2] = words[i];
	for (;;) {
		err_clear(err);
		r = run_once(argv, deadline, &code, err);
		if (r >= 0 || code != VZ_LOCKED || clock_now() >= deadline)
			break;
		clock_sleep(LOCK_PAUSE);
	}
	if (ret_code)
		*ret_code = code;
	if (r < 0 && code == VZ_LOCKED)
		return err_set(err, ERR_BUSY, "container %s is locked by another vzctl", ctid);
	return r;
}
