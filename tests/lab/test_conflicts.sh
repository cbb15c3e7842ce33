#!/bin/bash
# test_conflicts.sh - who may do what while a container is being sent: two sends at once, the user in between,
# cancel in the middle of a stream, a start by hand where it must not run, a link that swallows everything.
set -eu
cd "$(dirname "$0")"
. ../tap.sh
. ./lib.sh
plan 37
POOLS='' lab_up
trust a b >/dev/null
trust b a >/dev/null

make_ct a big --busybox
on a dd if=/dev/urandom of="$(ct_root a big)/data" bs=1M count=100 status=none
make_ct a web --busybox
on a wherry ct start big >/dev/null
on a wherry ct start web >/dev/null
wait_counter a big

state_of() { # NODE NAME: everything on the node that a send could have touched
	traces "$1" "$2"
	# shellcheck disable=SC2016 # the inner shell's
	on "$1" sh -c 'cat /var/lib/lxc/$0/config 2>/dev/null' "$2" || true
}

streams() { # of the send of big: the stream has begun to arrive
	[ "$(on b sh -c 'du -sm /var/lib/lxc/.wherry 2>/dev/null | cut -f1')" -ge 8 ]
}

# start_slow: sends big so slowly that there is time to do something meanwhile.
start_slow() {
	on a wherry ct send big b --bwlimit 5M -q >"$TMP/slow" 2>&1 </dev/null &
	slow=$!
	wait_for 60 streams
}

end_slow() {
	status=0
	wait "$slow" || status=$?
}

TMP=$(mktemp -d "${TMPDIR:-/tmp}/wherry-conflicts.XXXXXX")
cleanup rm -rf "$TMP"

# --- while a stream flows
before_a=$(state_of a big)
before_b=$(state_of b big)
start_slow
like "$(refusal a wherry ct send big b)" "container 'big' is in use by ct.send" "a second send of it is refused"
like "$(refusal a wherry ct stop big)" "container 'big' is in use by ct.send" "so is a stop"
like "$(refusal a wherry ct start big)" "container 'big' is in use by ct.send" "and a start"
like "$(refusal a wherry ct delete --force big)" "container 'big' is in use by ct.send" "and to delete it"
like "$(refusal b wherry ct create big --template busybox)" "big" "its name is taken on the destination"
like "$(refusal b wherry ct delete --force big)" "big" "and what arrives there can't be deleted"
ok "another container is sent meanwhile" on a wherry ct send web b -q
is "$(running_on web)" b "... it runs there"
ok "and sent in the other direction" on b wherry ct send web a -q
is "$(running_on web)" a "... it runs here again"
ok "cancel in the middle of the stream" on a wherry ct send cancel big
end_slow
is "$([ $status != 0 ] && echo failed)" failed "the send that was cancelled says so"
like "$(cat "$TMP/slow")" 'cancel' "... by that word"
is "$(state_of a big)" "$before_a" "the source is as before"
is "$(state_of b big)" "$before_b" "the destination is as before"
is "$(running_on big)" a "it runs on the source"
wait_counter a big
is "$(counter_holes a big)" "" "and never stood still"

# --- a link that swallows everything: ssh asks every 4 s and gives up after 12; TCP alone would take minutes.
# What came first is seen in the log, into which a clock that was started at the cut writes.
start_slow
on a truncate -s 0 /var/log/wherryd.log
cut_link on
on a sh -c '(sleep 15 && echo "15 seconds have passed" >>/var/log/wherryd.log) >/dev/null 2>&1 &'
passed() { on a grep -q '15 seconds have passed' /var/log/wherryd.log; }
wait_for 60 passed
ok "a link that swallows everything is noticed within 15 s" on a sh -c 'sed /15.seconds.have.passed/q /var/log/wherryd.log |
	grep "connection to b lost"'
alive() { # of what ssh or sshd was told, on standard input: after how many seconds it gives up
	awk -F'[= ]' 'tolower($0) ~ /aliveinterval/ { i = $NF } tolower($0) ~ /alivecountmax/ { n = $NF } END { print i * (n + 1) }'
}
ok "the destination notices it as early" test \
	"$(on b /usr/sbin/sshd -T -C user=wherry-receive,host=a,addr=10.99.0.1 | grep -i clientalive | alive)" -le 15
cut_link off
on a wherry ct send cancel big >/dev/null
end_slow
is "$(state_of a big)" "$before_a" "cancelled after that: the source is as before"
gone() { [ "$(state_of b big)" = "$before_b" ]; }
ok "... and the destination, as soon as it can be told" wait_for 60 gone
is "$(running_on big)" a "... it runs on the source"

# --- both directions, one name
make_ct b rival --busybox
make_ct a rival --busybox
like "$(refusal a wherry ct send rival b)" "rival" "a name that exists there is refused"
like "$(refusal b wherry ct send rival a)" "rival" "in the other direction as well"
is "$(traces a rival; traces b rival)" "$(printf '/var/lib/lxc/rival\n/var/lib/lxc/rival')" "... and nothing has changed"

# --- between two steps the container is the user's
on a wherry ct send config web b -q
on a wherry ct send rootfs web -q
like "$(refusal a wherry ct delete --force web)" "send" "between two steps it can't be deleted"
ok "but stopped" on a wherry ct stop web
ok "and started" on a wherry ct start web
on a wherry ct send sync web -q
on a wherry ct send state web -q
is "$(running_on web)" b "the hand-over"
like "$(refusal a wherry ct start web)" "web" "started on the source after it: refused"
ok "by hand too" on a sh -c '! lxc-start -n web'
reboot_node a
ok "and after a reboot" on a sh -c '! lxc-start -n web'
is "$(running_on web)" b "it runs where it belongs"

# --- the operator knows better
on b wherry ct stop web >/dev/null
like "$(refusal a wherry ct own --force web)" "belongs to that host" "ct own --force: refused, as that host says that it is its own"
ok "ct own --force --even-if-running-there" on a wherry ct own --force --even-if-running-there web
like "$(on a cat /var/log/wherryd.log)" "web.*(force|FORCE)" "is logged"
ok "then it may be started here" on a lxc-start -n web
