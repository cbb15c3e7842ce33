#include "unit.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/json.h"
#include "base/str.h"
#include "cli/command.h"

static int parse(const char *line, struct parsed *ret, struct err *err)
{
	_cleanup_strv_ char **words = line ? str_words(line) : NULL;

	memset(ret, 0, sizeof(*ret));
	return parse_command((int)strv_len(words), words, ret, err);
}

static const struct row {
	const char *line, *words, *args;
} good[] = {
	/* as the documents print them */
	{"send key gen -t ecdsa", "send key gen", "{\"type\":\"ecdsa\"}"},
	{"send key gen -t rsa -b 4096 -f", "send key gen",
		"{\"bits\":4096,\"force\":true,\"type\":\"rsa\"}"},
	{"send key path public", "send key path", "{\"half\":\"public\"}"},
	{"send key path", "send key path", "{}"},
	{"receive authorized-keys add", "receive authorized-keys add", "{}"},
	{"ct send config myct01 destination-node", "ct send config",
		"{\"ct\":\"myct01\",\"host\":\"destination-node\"}"},
	{"ct send rootfs myct01", "ct send rootfs", "{\"ct\":\"myct01\"}"},
	{"ct send sync myct01", "ct send sync", "{\"ct\":\"myct01\"}"},
	{"ct send state myct01", "ct send state", "{\"ct\":\"myct01\"}"},
	{"ct send state --clone myct01", "ct send state", "{\"clone\":true,\"ct\":\"myct01\"}"},
	{"ct send cleanup myct01", "ct send cleanup", "{\"ct\":\"myct01\"}"},
	{"ct send cancel --force myct01", "ct send cancel", "{\"ct\":\"myct01\",\"force\":true}"},
	{"ct send cancel --local myct01", "ct send cancel", "{\"ct\":\"myct01\",\"local\":true}"},
	{"ct send --clone myct01 destination-node", "ct send",
		"{\"clone\":true,\"ct\":\"myct01\",\"host\":\"destination-node\"}"},
	{"ct send web b --no-start --no-restart --no-network-interfaces --no-consistent", "ct send",
		"{\"consistent\":false,\"ct\":\"web\",\"host\":\"b\",\"network\":false,"
		"\"restart\":false,\"start\":false}"},
	{"migration key gen -t ecdsa", "migration key gen", "{\"type\":\"ecdsa\"}"},
	{"migration key path private", "migration key path", "{\"half\":\"private\"}"},
	{"migration authorized-keys add", "migration authorized-keys add", "{}"},
	{"ct migrate stage myct01 destination-node", "ct migrate stage",
		"{\"ct\":\"myct01\",\"host\":\"destination-node\"}"},
	{"ct migrate sync myct01", "ct migrate sync", "{\"ct\":\"myct01\"}"},
	{"ct migrate transfer myct01", "ct migrate transfer", "{\"ct\":\"myct01\"}"},
	{"ct migrate cleanup myct01", "ct migrate cleanup", "{\"ct\":\"myct01\"}"},
	{"ct migrate now myct01 b", "ct migrate now", "{\"ct\":\"myct01\",\"host\":\"b\"}"},
	{"vzmigrate HN_target 123", "vzmigrate", "{\"ct\":\"123\",\"host\":\"HN_target\"}"},
	{"vzmigrate --dump-device /dev/VG/dump --online HN_target 123", "vzmigrate",
		"{\"ct\":\"123\",\"dump_device\":\"/dev/VG/"
		"dump\",\"host\":\"HN_target\",\"online\":true}"},
	{"vzmigrate -r no --keep-dst -tv --ssh=-p2222 HN_target 123", "vzmigrate",
		"{\"ct\":\"123\",\"host\":\"HN_target\",\"keep_dst\":true,\"remove_area\":\"no\","
		"\"ssh\":\"-p2222\",\"times\":true,\"verbose\":true}"},

	/* containers that are called like steps */
	{"ct send config b", "ct send", "{\"ct\":\"config\",\"host\":\"b\"}"},
	{"ct send config config b", "ct send config", "{\"ct\":\"config\",\"host\":\"b\"}"},
	{"ct send state state", "ct send state", "{\"ct\":\"state\"}"},
	{"ct send -- rootfs b", "ct send", "{\"ct\":\"rootfs\",\"host\":\"b\"}"},
	{"ct send -p 22 config web b", "ct send config",
		"{\"ct\":\"web\",\"host\":\"b\",\"port\":22}"},
	{"ct send --as-id sync config web b", "ct send config",
		"{\"as_id\":\"sync\",\"ct\":\"web\",\"host\":\"b\"}"},
	{"ct send --clone config b", "ct send",
		"{\"clone\":true,\"ct\":\"config\",\"host\":\"b\"}"},

	/* options */
	{"ct send -p2222 web b", "ct send", "{\"ct\":\"web\",\"host\":\"b\",\"port\":2222}"},
	{"ct send --port=2222 web b", "ct send", "{\"ct\":\"web\",\"host\":\"b\",\"port\":2222}"},
	{"ct send --bwlimit 20M web b", "ct send",
		"{\"bwlimit\":20971520,\"ct\":\"web\",\"host\":\"b\"}"},
	{"ct send cancel -fl web", "ct send cancel",
		"{\"ct\":\"web\",\"force\":true,\"local\":true}"},
	{"ct stop --timeout 30s web", "ct stop", "{\"ct\":\"web\",\"timeout_ms\":30000}"},
	{"ct start -- -web", "ct start", "{\"ct\":\"-web\"}"},
	{"-j ct list", "ct list", "{}"},
	{"ct --json list", "ct list", "{}"},
	{"ct list -jq", "ct list", "{}"},

	/* aliases, the rest of the line */
	{"receive authorized-keys ls", "receive authorized-keys list", "{}"},
	{"receive authorized-keys delete k", "receive authorized-keys del", "{\"name\":\"k\"}"},
	{"ct exec web ls -l --json", "ct exec",
		"{\"argv\":[\"ls\",\"-l\",\"--json\"],\"ct\":\"web\"}"},
	{"ct exec web -- -x", "ct exec", "{\"argv\":[\"-x\"],\"ct\":\"web\"}"},
	{"ct create web --tarball /x -u", "ct create",
		"{\"ct\":\"web\",\"tarball\":\"/x\",\"unprivileged\":true}"},
	{"ct create web -t busybox", "ct create", "{\"ct\":\"web\",\"template\":\"busybox\"}"},
	{"job attach 17", "job attach", "{\"job\":17}"},
};

static void test_good(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		_cleanup_free_ char *text = NULL;
		struct err err = ERR_INIT;
		struct parsed p;

		if (parse(good[i].line, &p, &err) < 0)
			fail_msg("\"%s\": %s", good[i].line, err.text);
		if (!p.command)
			fail_msg("\"%s\": no command", good[i].line);
		if (!str_eq(p.command->words, good[i].words))
			fail_msg("\"%s\": %s", good[i].line, p.command->words);
		text = json_dumps(p.args, JSON_COMPACT | JSON_SORT_KEYS);
		if (!str_eq(text, good[i].args))
			fail_msg("\"%s\": %s", good[i].line, text);
		parsed_done(&p);
	}
}

static const struct {
	const char *line, *text;
} bad[] = {
	{"foo", "there is no command foo"},
	{"pol list", "did you mean pool?"},
	{"ct lits", "did you mean ct list?"},
	{"receive authorized-key add", "did you mean receive authorized-keys?"},
	{"ct send", "ct send: CT is missing: wherry ct send [OPTION...] CT HOST"},
	{"ct send web", "HOST is missing"},
	{"ct send config", "ct send config: CT is missing"},
	{"ct send cleanup a b c", "\"b\" is one word too many"},
	{"ct send web b c", "\"c\" is one word too many"},
	{"ct send --clnoe web b", "did you mean --clone?"},
	{"ct send --no-strat web b", "did you mean --no-start?"},
	{"ct send --no-clone=1 web b", "takes no value"},
	{"ct send --port", "--port needs a value"},
	{"ct send -p", "--port needs a value"},
	{"ct send -p 0 web b", "--port"},
	{"ct send -p 22x web b", "--port"},
	{"ct send -x web b", "no option -x"},
	{"ct send cleanup --clone web", "has no option --clone"},
	{"job show seventeen", "JOB"},
	{"job show -1", "no option -1"},
	{"ct exec web", "COMMAND is missing"},
	{"--frobnicate", "has no option --frobnicate"},
};

static void test_bad(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct err err = ERR_INIT;
		struct parsed p;

		if (parse(bad[i].line, &p, &err) != -ERR_INVALID)
			fail_msg("\"%s\" is taken", bad[i].line);
		if (!strstr(err.text, bad[i].text))
			fail_msg("\"%s\": %s", bad[i].line, err.text);
		parsed_done(&p);
	}
}

static void test_globals(void **state)
{
	struct err err = ERR_INIT;
	struct parsed p;

	assert_ok(parse("ct list -jq", &p, &err), &err);
	assert_true(p.json && p.quiet && !p.help);
	parsed_done(&p);
	assert_ok(parse("--version", &p, &err), &err);
	assert_true(p.version);
	parsed_done(&p);
	assert_ok(parse("ct send config --help", &p, &err), &err);
	assert_true(p.help);
	assert_string_equal(p.command->words, "ct send config");
	parsed_done(&p);
	assert_ok(parse("help ct send", &p, &err), &err);
	assert_true(p.help);
	assert_string_equal(p.command->words, "ct send");
	parsed_done(&p);
	assert_ok(parse("ct", &p, &err), &err);
	assert_null(p.command);
	assert_string_equal(p.group, "ct");
	parsed_done(&p);
	assert_ok(parse(NULL, &p, &err), &err);
	assert_null(p.command);
	assert_string_equal(p.group, "");
	parsed_done(&p);
	/* an error knows that it is wanted as JSON */
	assert_fails(parse("--json nonsense", &p, &err), ERR_INVALID, &err);
	assert_true(p.json);
}

/* What stands in argv can be seen by everybody. */
static void test_secret_is_scrubbed(void **state)
{
	char words[][16] = {"ct", "send", "--passphrase", "hunter2", "web", "b"};
	char *argv[ARRAY_SIZE(words) + 1] = {NULL};
	struct err err = ERR_INIT;
	struct parsed p = {.command = NULL};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		argv[i] = words[i];
	assert_ok(parse_command((int)ARRAY_SIZE(words), argv, &p, &err), &err);
	assert_string_equal(json_get_str(p.args, "passphrase"), "hunter2");
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		assert_null(memmem(words[i], sizeof(words[i]), "hunter2", 7));
	parsed_done(&p);
}

static void put(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void test_secret_file(void **state)
{
	_cleanup_tmp_ char *dir = unit_tmp();
	_cleanup_free_ char *path = xasprintf("%s/secret", dir);
	_cleanup_free_ char *line = xasprintf("ct send --passphrase-file %s web b", path);
	_cleanup_free_ char *step = xasprintf("ct send config --passphrase-file %s web b", path);
	struct err err = ERR_INIT;
	struct parsed p;

	assert_fails(parse(line, &p, &err), ERR_NOT_FOUND, &err);
	put(path, "from a file\nand more\n");
	assert_ok(parse(line, &p, &err), &err);
	assert_string_equal(json_get_str(p.args, "passphrase"), "from a file");
	parsed_done(&p);
	assert_ok(parse(step, &p, &err), &err);
	assert_string_equal(p.command->words, "ct send config");
	assert_string_equal(json_get_str(p.args, "passphrase"), "from a file");
	parsed_done(&p);
	put(path, "");
	assert_fails(parse(line, &p, &err), ERR_INVALID, &err);
}

/* "-" reads standard input, once: looking for the step that is meant must not eat it. */
static void test_secret_from_stdin(void **state)
{
	int saved = dup(STDIN_FILENO), ends[2];
	struct err err = ERR_INIT;
	struct parsed p;

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], "typed\nrest", 10), 10);
	close(ends[1]);
	dup2(ends[0], STDIN_FILENO);
	assert_ok(parse("ct send config --passphrase - web b", &p, &err), &err);
	assert_string_equal(json_get_str(p.args, "passphrase"), "typed");
	parsed_done(&p);
	dup2(saved, STDIN_FILENO);
	close(saved);
	close(ends[0]);
}

static void test_relative_path(void **state)
{
	_cleanup_free_ char *cwd = getcwd(NULL, 0);
	_cleanup_free_ char *want = xasprintf("%s/x.tar", cwd);
	struct err err = ERR_INIT;
	struct parsed p;

	assert_ok(parse("ct create web --tarball x.tar", &p, &err), &err);
	assert_string_equal(json_get_str(p.args, "tarball"), want);
	parsed_done(&p);
}

/* Rules that the rows of the tables keep, so that nobody has to remember them. */
static void test_tables(void **state)
{
	for (const struct command *c = command_next(NULL); c; c = command_next(c)) {
		bool optional = false;

		assert_row(c->call || c->run, c->words);
		assert_row(c->summary && *c->summary, c->words);
		assert_row(c->summary[strlen(c->summary) - 1] != '.', c->words);
		for (const struct operand *o = c->operands; o && o->name; o++) {
			assert_row(!optional || o->flags & OPERAND_OPTIONAL, c->words);
			optional = o->flags & OPERAND_OPTIONAL;
			assert_row(!(o->flags & OPERAND_REST) || !o[1].name, c->words);
		}
		for (const struct option_spec *o = c->options; o && o->name; o++) {
			for (const struct option_spec *g = command_globals; g->name; g++) {
				assert_row(!str_eq(g->name, o->name), c->words);
				assert_row(g->letter != o->letter, c->words);
			}
			for (const struct option_spec *other = o + 1; other->name; other++) {
				assert_row(!str_eq(o->name, other->name), c->words);
				assert_row(!o->letter || o->letter != other->letter, c->words);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_globals),
		cmocka_unit_test(test_secret_is_scrubbed),
		cmocka_unit_test(test_secret_file),
		cmocka_unit_test(test_secret_from_stdin),
		cmocka_unit_test(test_relative_path),
		cmocka_unit_test(test_tables),
	};

	return cmocka_run_group_tests_name("parse", tests, NULL, NULL);
}
