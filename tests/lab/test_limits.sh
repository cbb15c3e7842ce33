#!/bin/bash
# What a send may take of the link: no more than the limit of the node, however many sends there are; compressed only
# where that helps. Bytes are those that leave the node's interface. How exact it is: tests/bench/limits.sh.
set -eu
cd "$(dirname "$0")"
# shellcheck source=../tap.sh
. ../tap.sh
# shellcheck source=lib.sh
. ./lib.sh

sent() { # bytes that a has sent so far
	# shellcheck disable=SC2016 # the node's shell
	on a sh -c 'cat /sys/class/net/[!l]*/statistics/tx_bytes | sort -n | tail -n 1'
}
now_ms() { echo $(($(date +%s%N) / 1000000)); }
# MiB that a copy of web sends.
mib_of() { # NAME OPTION...
	local name=$1 before
	shift
	before=$(sent)
	on a wherry --quiet ct send "$@" --clone --as-id "$name" web b || return
	echo $((($(sent) - before) >> 20))
}
between() { # LOW N HIGH
	echo "$2 is to be from $1 to $3"
	[ "$1" -le "$2" ] && [ "$2" -le "$3" ]
}

plan 6
POOLS="" lab_up
trust a b
for ct in web other; do
	make_ct a $ct --busybox
	root=$(ct_root a $ct)
	on a sh -c "yes 'a line that can be compressed' | head -c 24M >$root/text; head -c 8M /dev/urandom >$root/noise"
done

plain=$(mib_of plain)
ok "all of it goes as it is" between 30 "$plain" 45
ok "a level compresses" between 6 "$(mib_of level --compress 3)" $((plain - 15))
ok "auto compresses on a slow line" between 6 "$(mib_of slow --compress auto --bwlimit 4M)" $((plain - 5))
ok "auto sends no more than there is" between 6 "$(mib_of fast --compress auto)" "$((plain + 1))"

# Two sends at once share the limit of the node: they cannot be faster than it allows.
printf '[link]\nbwlimit = 16M\n' | on a tee -a /etc/wherry/wherry.conf >/dev/null
before=$(sent) from=$(now_ms)
on a wherry --quiet ct send --clone --as-id one web b &
first=$!
on a wherry --quiet ct send --clone --as-id two other b &
status=0
wait "$first" || status=1
wait $! || status=1
took=$(($(now_ms) - from))
is "$status" 0 "two copies under a limit arrive"
ok "together they keep it" between 0 $((($(sent) - before) * 1000 / took >> 20)) 18
