#include "cli/bar.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/json.h"
#include "base/num.h"
#include "base/str.h"
#include "cli/output.h"
#include "link/local.h"

#define CELLS 24 /* of the bar itself */

static unsigned terminal_width(void)
{
	struct winsize ws = {0};

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) < 0 || ws.ws_col < 20)
		return 80;
	return ws.ws_col;
}

static void add_cells(struct str *s, const struct progress_event *ev)
{
	double part = (double)ev->done / (double)ev->total;
	unsigned full = (unsigned)(part * CELLS);

	str_add(s, "  [");
	for (unsigned i = 0; i < CELLS; i++)
		str_addc(s, i < full ? '#' : '-');
	str_addf(s, "] %3.0f%%", part * 100);
}

static void add_bytes(struct str *s, const struct progress_event *ev)
{
	char done[NUM_HUMAN_MAX], total[NUM_HUMAN_MAX];

	if (ev->total)
		str_addf(s, "  %s of %s", num_human_size(ev->done, done),
			num_human_size(ev->total, total));
	else if (ev->done)
		str_addf(s, "  %s", num_human_size(ev->done, done));
}

char *bar_text(const struct progress_event *ev, unsigned width)
{
	struct str s = STR_INIT;
	char buf[NUM_HUMAN_MAX];
	_cleanup_free_ char *phase = str_escape(ev->phase, strlen(ev->phase));

	str_addf(&s, "%-10s", phase);
	if (ev->total)
		add_cells(&s, ev);
	add_bytes(&s, ev);
	if (ev->rate)
		str_addf(&s, "  %s/s", num_human_size(ev->rate, buf));
	if (ev->eta != CLOCK_NEVER)
		str_addf(&s, "  ETA %s", num_human_usec(ev->eta, buf));
	else if (!ev->rate)
		str_addf(&s, "  %s", num_human_usec(ev->elapsed, buf));
	if (s.len > width)
		str_trunc(&s, width);
	return str_take(&s);
}

char *bar_summary(const struct progress_event *ev)
{
	struct str s = STR_INIT;
	char buf[NUM_HUMAN_MAX];
	_cleanup_free_ char *phase = str_escape(ev->phase, strlen(ev->phase));

	str_addf(&s, "%-10s  ", phase);
	if (ev->done)
		str_addf(&s, "%s, ", num_human_size(ev->done, buf));
	if (ev->items)
		str_addf(&s, "%llu files, ", (unsigned long long)ev->items);
	str_add(&s, num_human_usec(ev->elapsed, buf));
	if (ev->done && ev->elapsed >= USEC_PER_SEC / 10) {
		double rate = (double)ev->done / ((double)ev->elapsed / (double)USEC_PER_SEC);

		str_addf(&s, " (%s/s)", num_human_size((uint64_t)rate, buf));
	}
	return str_take(&s);
}

static void erase(struct bar *b)
{
	if (b->drawn)
		fputs("\r\033[K", stdout);
	b->drawn = false;
}

static void print_plain(struct bar *b, const struct progress_event *ev)
{
	_cleanup_free_ char *summary = ev->final ? bar_summary(ev) : NULL;

	if (ev->final)
		printf("%s\n", summary);
	else if (!str_eq(b->phase, ev->phase))
		printf("%s ...\n", ev->phase);
	snprintf(b->phase, sizeof(b->phase), "%s", ev->final ? "" : ev->phase);
	fflush(stdout);
}

static void draw(struct bar *b, const struct progress_event *ev)
{
	_cleanup_free_ char *text = ev->final ? bar_summary(ev)
					      : bar_text(ev, terminal_width() - 1);

	erase(b);
	fputs(text, stdout);
	if (ev->final)
		putchar('\n');
	b->drawn = !ev->final;
	fflush(stdout);
}

void bar_progress(struct bar *b, const struct progress_event *ev)
{
	if (b->cli->json)
		output_json_line(b->cli, "progress", local_progress_json(ev));
	else if (b->cli->quiet)
		return;
	else if (b->cli->terminal)
		draw(b, ev);
	else
		print_plain(b, ev);
}

void bar_line(struct bar *b, const char *text)
{
	_cleanup_free_ char *shown = str_escape(text, strlen(text));

	if (b->cli->json) {
		output_json_line(b->cli, "line", json_string(text));
	} else if (!b->cli->quiet) {
		erase(b);
		printf("%s\n", shown);
		fflush(stdout);
	}
}

void bar_end(struct bar *b)
{
	erase(b);
	fflush(stdout);
}
