#!/bin/bash
# test_resume.sh - a stream that broke goes on where it stopped: after kill -9 of the worker, on either side, and
# after a lost link, after a power cut of the destination, from ext4 and from btrfs. Counted at the switch: what
# went over the wire beyond the data.
set -eu
cd "$(dirname "$0")"
. ../tap.sh
. ./lib.sh
plan 24
POOLS='ext4 btrfs' lab_up
for n in a b; do for p in ext4 btrfs; do on $n wherry pool add $p /srv/$p >/dev/null; done; done
trust a b >/dev/null
trust b a >/dev/null

SIZE=160 # MiB of data in a container
MOST=16  # MiB that may be sent twice
LINE=25M # a second

wire() { # what the switch has got from node a, in MiB
	on net cat /sys/class/net/port-a/statistics/rx_bytes | awk '{ print int($1 / 1048576) }'
}

wire_reached() {
	[ "$(wire)" -ge "$1" ]
}

workers() { # NODE CALL-PREFIX
	on "$1" pgrep -f "wherry-worker $2" || true
}

running_at_b() {
	[ "$(running_on "$1")" = b ] && [ -z "$(workers a '')" ] && [ -z "$(workers b receive)" ]
}

# broken NAME POOL HOW...: sends it, breaks the stream half way with HOW, waits until it has arrived by itself.
broken() {
	local name=$1 pool=$2 begin sent pid
	shift 2
	make_ct a "$name" --busybox --fs "/srv/$pool"
	on a dd if=/dev/urandom of="$(ct_root a "$name")/data" bs=1M count=$SIZE status=none
	on a wherry ct start "$name" >/dev/null
	wait_counter a "$name"
	sum=$(on a sha256sum "$(ct_root a "$name")/data" | cut -d' ' -f1)
	begin=$(wire)
	on a wherry ct send "$name" b --to-pool "$pool" --bwlimit "$LINE" -q >/dev/null 2>&1 </dev/null &
	pid=$!
	wait_for 120 wire_reached $((begin + SIZE / 2))
	"$@"
	wait $pid || true
	wait_for 120 running_at_b "$name" || true
	sent=$(($(wire) - begin))
	is "$(running_on "$name")" b "$name: after '$*' it went on by itself and runs on the destination"
	diag "$sent MiB on the wire for $SIZE MiB of data"
	ok "$name: at most $MOST MiB were sent twice" test "$sent" -le $((SIZE + MOST + SIZE / 40 + 6))
	is "$(on b sha256sum "$(ct_root b "$name")/data" | cut -d' ' -f1)" "$sum" "$name: nothing was lost"
}

kill_worker() { # NODE CALL
	# shellcheck disable=SC2046 # numbers
	on "$1" kill -9 $(workers "$1" "$2")
}

cut_for_a_while() {
	cut_link on
	sleep 20
	cut_link off
}

broken e1 ext4 kill_worker a ct.send
broken e2 ext4 kill_worker b receive
broken e3 ext4 cut_for_a_while
broken b1 btrfs kill_worker a ct.send
broken b2 btrfs kill_worker b receive
broken b3 btrfs cut_for_a_while
# The disk must keep up with the line for that: on a fast one a power cut costs more, but hardly more time.
LINE=12M
broken e4 ext4 reboot_node b
broken b4 btrfs reboot_node b
