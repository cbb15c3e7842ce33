#!/bin/bash
# vzmigrate: the command line that OpenVZ's administrators know, its exit statuses, and what becomes of containers.
set -eu
cd "$(dirname "$0")"
# shellcheck source=../tap.sh
. ../tap.sh
# shellcheck source=lib.sh
. ./lib.sh

# vzm OPTIONS...: as the tool itself is called; what it says and its exit status.
vzm() {
	local status=0
	on a /usr/lib/wherry/compat/vzmigrate "$@" 2>&1 </dev/null || status=$?
	echo "status $status"
}

# status_of OPTIONS...: the status alone.
status_of() {
	vzm "$@" | tail -n 1
}

plan 38
lab_up
trust a b
trust b a
own_ids a b

# --- what it says without doing anything
make_ct a 101 --unprivileged
furnish_ct a 101
on a sed -i 's/^lxc.uts.name.*/lxc.uts.name = shop/' /var/lib/lxc/101/config
traces a 101 >"/run/wherry-lab/$LAB/traces"
like "$(vzm --help)" "^wherry vzmigrate .OPTION...] HOST CT" "--help"
like "$(vzm)" "HOST is missing.*status 1$" "no words: 1"
like "$(vzm --frobnicate b 101)" "no option --frobnicate.*status 1$" "an unknown option: 1"
like "$(vzm -r perhaps b 101)" "yes or no.*status 1$" "-r perhaps: 1"
like "$(vzm --ssh=-oProxyCommand=id b 101)" "takes no ProxyCommand.*status 1$" "--ssh that runs a command: 1"
like "$(vzm --dump-device /dev/null b 101)" "with --online.*status 1$" "--dump-device without --online: 1"
like "$(vzm b 999)" "no container '999'.*status 10$" "no such container: 10"
like "$(vzm nowhere 101)" "nowhere.*status 4$" "no such host: 4"
like "$(vzm --ssh='-p 9' b 101)" "status 4$" "no ssh at that port: 4"
like "$(vzm --online b 101)" "is stopped.*status 2$" "--online of a stopped container: 2"
like "$(vzm --check-only b 101)" "101 can be moved to b. Nothing was changed.*status 0$" "--check-only: 0"
like "$(vzm --dry-run b 101)" "first copy.*Nothing was changed.*status 0$" "--dry-run prints the steps"
like "$(vzm --dry-run b 101)" "start it here again" "and what would undo them"
like "$(vzm --check-only b shop)" "101 can be moved" "it is found by the name that it has inside"
make_ct b 101
like "$(vzm --check-only b 101)" "already.*status 9$" "--check-only sees that it exists there: 9"
like "$(vzm b 101)" "already.*status 9$" "and so does the move: 9"
on b wherry --quiet ct delete 101
is "$(traces b 101)" "" "none of it left anything there"
is "$(traces a 101)" "$(cat "/run/wherry-lab/$LAB/traces")" "nor here"
is "$(on a wherry --json ct show 101 | grep -c '"send"')" 0 "nor a send"

# --- stopped
ct_manifest a 101 | tail -n +2 >"/run/wherry-lab/$LAB/before"
like "$(vzm -t b shop)" "first copy +[0-9.]+ s.*status 0$" "a stopped container moves; -t prints the times"
is "$(ct_state b 101)" STOPPED "and is stopped there"
is "$(ct_manifest b 101 | tail -n +2 | diff "/run/wherry-lab/$LAB/before" - | head -n 5)" "" "its files are the same"
is "$(traces a 101)" "" "nothing is left where it was"
is "$(on b grep -c '^lxc.uts.name = shop' /var/lib/lxc/101/config)" 1 "it is still called what it was inside"

# --- running
make_ct a 102 --unprivileged
on a wherry --quiet ct start 102
like "$(vzm --online b 102)" "live yet.*status 14$" "--online of a running container: 14, and why"
is "$(running_on 102)" a "which has not noticed"
wait_counter a 102
like "$(vzm -v b 102)" "stopped in all +[0-9.]+ s.*status 0$" "a running container moves; -v includes the times"
is "$(running_on 102)" b "and runs there"
wait_counter b 102
is "$(counter_holes b 102)" "" "its counter has no hole"
like "$(on b /usr/lib/wherry/compat/vzmigrate --ssh='-o Compression=yes' a 102 2>&1)" "handed over|done" "back, with an option of ssh"
is "$(running_on 102)" a "it runs here again"

# --- -r no
wait_counter a 102
is "$(status_of -r no b 102)" "status 0" "-r no"
is "$(running_on 102)" b "it runs there"
is "$(on a test -d "$(ct_root a 102)/bin" && echo there)" there "and its files stay here"
is "$(on a lxc-start 102 >/dev/null 2>&1 && echo started; running_on 102)" b "which nobody can start here"
daemon a kill
wait_for 20 on a wherry status
is "$(on a test -d "$(ct_root a 102)/bin" && echo there)" there "nor does a restart of the daemon clean up"
on a wherry --quiet ct send cleanup 102
is "$(traces a 102)" "" "until it is told to"

# --- locked
make_ct a 103
on a wherry --quiet ct send config 103 b
is "$(status_of b 103)" "status 20" "one that is being sent already: 20"
on a wherry --quiet ct send cancel 103
