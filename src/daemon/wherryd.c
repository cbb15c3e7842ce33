/*
 * wherryd: the daemon. See server.h.
 */
#include <getopt.h>
#include <stdio.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

#include "base/log.h"
#include "daemon/listen.h"
#include "daemon/recovery.h"
#include "daemon/server.h"
#include "node/config.h"

static const char usage[] =
	"wherryd [--worker PATH] [--version] [--help]\n"
	"\n"
	"The daemon of Wherry; wherry(1) talks to it. Normally started by systemd: wherryd(8).\n"
	"\n"
	"  --worker PATH  the program that does the work (" WHERRY_LIBDIR "/wherry-worker)\n";

/* -1: go on, otherwise the exit status. */
static int parse(int argc, char **argv, const char **worker)
{
	static const struct option options[] = {{"worker", required_argument, NULL, 'w'},
		{"version", no_argument, NULL, 'V'}, {"help", no_argument, NULL, 'h'}, {NULL}};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (c) {
		case 'w': *worker = optarg; break;
		case 'V': puts("wherryd " WHERRY_VERSION); return 0;
		case 'h': fputs(usage, stdout); return 0;
		default: return err_exit_status(ERR_INVALID);
		}
	}
	if (optind < argc) {
		fprintf(stderr, "wherryd: %s: takes no arguments, see wherryd --help\n",
			argv[optind]);
		return err_exit_status(ERR_INVALID);
	}
	return -1;
}

/* Without the user, this node sends but does not receive: no reason to stay down. */
static void find_receive_user(struct server *s, const char *name, gid_t *gid)
{
	struct err err = ERR_INIT;

	s->has_receive = listen_user(name, &s->receive_uid, gid, &err) >= 0;
	if (!s->has_receive)
		log_warning("%s: containers cannot be received (systemd-sysusers makes the user, "
			    "receive_user in wherry.conf names another)",
			err.text);
}

static int run(const char *worker, struct err *err)
{
	_cleanup_config_ struct config *cfg = NULL;
	struct server s;
	struct listen_fds fds;
	gid_t gid = 0;
	int r = config_load(&cfg, err);

	if (r >= 0)
		r = server_init(&s, worker, &limits_default, err);
	if (r < 0)
		return r;
	s.root_uid = geteuid();
	find_receive_user(&s, cfg->receive_user, &gid);
	r = listen_open(s.has_receive, gid, &fds, err);
	if (r >= 0)
		r = server_listen(&s, fds.control, false, err);
	if (r >= 0 && fds.receive >= 0)
		r = server_listen(&s, fds.receive, true, err);
	if (r >= 0) {
		recovery_run(&s);
		sd_notify(0, "READY=1\nSTATUS=Waiting for calls");
		log_info("version " WHERRY_VERSION " is ready");
		r = server_run(&s, err);
		sd_notify(0, "STOPPING=1");
	}
	server_done(&s);
	return r;
}

int main(int argc, char **argv)
{
	const char *worker = WHERRY_LIBDIR "/wherry-worker";
	struct err err = ERR_INIT;
	int status = parse(argc, argv, &worker);

	if (status >= 0)
		return status;
	umask(022);
	log_open("wherryd", LOG_LEVEL_INFO);
	if (run(worker, &err) < 0) {
		log_error("%s", err.text);
		return err_exit_status(err.code);
	}
	return 0;
}
