#!/bin/bash
# Jobs on real nodes: they outlive terminals and daemons, can be watched, cancelled, and lost.
set -eu
cd "$(dirname "$0")"
# shellcheck source=../tap.sh
. ../tap.sh
# shellcheck source=lib.sh
. ./lib.sh

out=$(mktemp -d "${TMPDIR:-/tmp}/wherry-jobs.XXXXXX")
cleanup rm -rf "$out"

# says NODE CMD...: what it prints on both outputs, and its exit status on the last line.
says() {
	local status=0
	on "$@" 2>&1 || status=$?
	echo "status $status"
}

# Ends like a terminal's: whatever the program does with \r, the escape sequences are gone.
terminal() { # NODE COMMANDLINE
	on "$1" script -qec "$2" /dev/null </dev/null 2>&1 | tr -d '\r'
}

# begin NAME [ARGS...]: a send that takes its time, in the background; its output is in $out/NAME.
begin() {
	local name=$1
	shift
	(says a wherry ct send --bwlimit 4M "$@" web b >"$out/$name" 2>&1) &
	wait_for 20 sending
}

sending() {
	on a wherry status | grep -q '^ *[0-9][0-9]* ct.send web'
}

job_number() {
	on a wherry job list -n 1 | awk 'NR == 2 { print $1 }'
}

# Bytes are on their way.
flowing() {
	[ "$(on b du -s --apparent-size -k /var/lib/lxc/.wherry 2>/dev/null | cut -f1)" -gt 1000 ]
}

nothing_open() { # NODE
	! on "$1" wherry status | grep -q '^Open'
}

leftovers() {
	on b sh -c 'ls -A /var/lib/lxc/.wherry/staged /var/lib/wherry/transfer 2>/dev/null | grep -v : || true; ls -A /var/lib/lxc/web 2>/dev/null'  || true
}

plan 32
lab_up
make_ct a web --busybox
on a dd if=/dev/urandom of="$(ct_root a web)/srv/big" bs=1M count=48 status=none
on a wherry send key gen >/dev/null
on a cat /var/lib/wherry/send-receive/key.pub | on b wherry receive authorized-keys add >/dev/null
on a wherry ct start web >/dev/null
on a ssh-keyscan -t ed25519 b 2>/dev/null | on a tee /etc/ssh/ssh_known_hosts >/dev/null

# --- commands in a container
is "$(says a wherry ct exec web sh -c 'echo out; echo err >&2; exit 3' | sort)" "err
out
status 3" "both outputs and the exit status of a command"
is "$(echo in | says a wherry ct exec web cat)" "in
status 0" "its standard input is ours"
is "$(says a wherry ct exec web sh -c 'kill -9 $$' | tail -n 1)" "status 137" "killed: as a shell says it"
like "$(says a wherry ct exec web no-such-program)" 'status [1-9]' "what is not there does not run"
like "$(says a wherry ct exec nobody true)" "nobody.*status 3" "nor where no container is"
# shellcheck disable=SC2016 # the shell in the container expands it
like "$(terminal a 'TERM=vt220 wherry ct exec web sh -c "test -t 0 && test -t 1 && echo \$TERM"')" '^vt220' \
	"on a terminal, it has one"
like "$(terminal a 'wherry ct exec web sh -c "ls -l /proc/self/fd/0"')" '/dev/pts/' "... which is a pty"
like "$( (sleep 1; printf 'sleep 100\n'; sleep 1; printf '\003'; sleep 0.5; printf 'echo status-$?\nexit\n'; sleep 1) |
	on a script -qec 'wherry ct exec web sh' /dev/null | tr -d '\r')" 'status-130' "^C goes to the command"
is "$(on a wherry job list --running)" "" "none of this is a job"

# --- cancelled by another terminal
begin cancelled
n=$(job_number)
wait_for 20 flowing
like "$(says a wherry ct delete web)" 'status [56]$' "it can't be deleted meanwhile"
(says a wherry job attach "$n" >"$out/attached") &
like "$(says a wherry job cancel "$n")" 'State: cancelled.*status 0$' "a job is cancelled, and that is waited for"
wait
like "$(cat "$out/cancelled")" 'status 16$' "the one who began it hears of it"
like "$(cat "$out/attached")" 'status 16$' "and the one who watched"
is "$(running_on web)" a "the container runs where it was"
is "$(leftovers)" "" "nothing is left on the other node"

# --- ^C
begin interrupted
wait_for 20 flowing
on a pkill -INT -x wherry
wait
like "$(cat "$out/interrupted")" 'Cancelling and undoing.*status 16$' "^C cancels and undoes"
is "$(running_on web) $(leftovers)" "a " "all is as before"

# --- the terminal is lost
begin hung-up
n=$(job_number)
wait_for 20 flowing
on a pkill -HUP -x wherry
wait
like "$(says a wherry job list --running)" "^ *JOB.* $n running ct.send" "without its terminal the job goes on"

# --- the daemon is lost
daemon a kill
wait_for 20 on a wherry status
like "$(on a wherry job list --running)" "$n running ct.send" "without its daemon too"
(says a wherry --json job attach "$n" >"$out/adopted") &
sleep 3
daemon a kill
wait_for 20 on a wherry status
wait
like "$(tail -n 1 "$out/adopted")" 'status 0' "who watches survives a restart of the daemon"
like "$(tail -n 2 "$out/adopted" | head -n 1)" '^\{"result":\{.*"phase":"cleanup"' "... and sees the job through"
is "$(grep -vc '^{' "$out/adopted")" 1 "... in lines of JSON only"
like "$(grep progress "$out/adopted" | tail -n 1)" '"phase":' "... with its progress"
is "$(running_on web)" b "the container has moved"
like "$(says a wherry job attach "$n")" 'status 0$' "an ended job still says how it ended"
like "$(says a wherry job cancel "$n")" 'does not run any more: done.*status 6$' "it can't be cancelled any more"
like "$(on a wherry ct history web)" 'moved.* b ' "the history has it"

# --- the worker is lost
on b wherry send key gen >/dev/null
on b cat /var/lib/wherry/send-receive/key.pub | on a wherry receive authorized-keys add >/dev/null
on b ssh-keyscan -t ed25519 a 2>/dev/null | on b tee /etc/ssh/ssh_known_hosts >/dev/null
(says b wherry ct send --bwlimit 8M web a >"$out/lost") &
wait_for 20 on b sh -c 'wherry status | grep -q "ct.send web"'
n=$(on b wherry job list -n 1 | awk 'NR == 2 { print $1 }')
sleep 2
on b pkill -KILL -f 'wherry-worker ct.send'
wait
like "$(cat "$out/lost")" "the worker of job $n .ct.send. died, its outcome is unknown.*status 17\$" "its death is told"
wait_for 60 nothing_open b
wait_for 60 nothing_open a
like "$(on b wherry job show "$n")" 'State: lost' "the record says so"
like "$(on b wherry job list)" 'done +ct.send.resume +web +wherryd' "recovery has gone on with the send, in a job"
is "$(running_on web)" a "so it has moved"
is "$(on b ls -A /var/lib/lxc | grep -c web || true)" 0 "to its end: it is not here any more"
