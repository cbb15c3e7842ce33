#!/bin/bash
# How exactly a node keeps its limit of the link over two sends at once, and what `--compress auto` brings on a fast and
# on a slow link. In a lab of its own; what is counted is what leaves the node's interface, headers and all.
#
#   LIMIT=16 SECONDS_LONG=6 tests/bench/limits.sh        # root; MiB a second
set -eu
cd "$(dirname "$0")/../lab"
# shellcheck source-path=SCRIPTDIR source=../tap.sh
. ../tap.sh
# shellcheck source-path=SCRIPTDIR source=../lab/lib.sh
. ../lab/lib.sh
LIMIT=${LIMIT:-16} SECONDS_LONG=${SECONDS_LONG:-6}

sent() { # bytes that a has sent so far
	# shellcheck disable=SC2016 # the node's shell
	on a sh -c 'cat /sys/class/net/[!l]*/statistics/tx_bytes | sort -n | tail -n 1'
}
now_ms() { echo $(($(date +%s%N) / 1000000)); }
send() { # CT NAME OPTION...
	local ct=$1 name=$2
	shift 2
	on a wherry --quiet ct send "$@" --clone --as-id "$name" "$ct" b
}

POOLS="" lab_up >/dev/null
trust a b
for ct in one two; do
	make_ct a $ct --busybox
	on a sh -c "head -c $(((SECONDS_LONG + 4) * LIMIT / 2))M /dev/urandom >$(ct_root a $ct)/noise"
done
make_ct a text --busybox
on a sh -c "(cd / && tar -cf - usr/include usr/share/perl usr/lib/python3 2>/dev/null) | head -c 64M >$(ct_root a text)/text"

echo '| case | s | MiB sent | MiB a second |'
echo '|---|---|---|---|'
for how in off auto; do
	for line in 0 8M; do
		before=$(sent) from=$(now_ms)
		send text "t-$how-$line" --compress "$how" ${line:+$([ "$line" = 0 ] || echo --bwlimit "$line")}
		awk -v what="64 MiB of files, --compress $how, $([ "$line" = 0 ] && echo no limit || echo "$line a second")" -v ms=$(($(now_ms) - from)) \
			-v n=$(($(sent) - before)) 'BEGIN { printf "| %s | %.2f | %.1f | |\n", what, ms / 1000, n / 1048576 }'
	done
done
printf '[link]\nbwlimit = %sM\n' "$LIMIT" | on a tee -a /etc/wherry/wherry.conf >/dev/null
send one n-one &
first=$!
send two n-two &
second=$!
for ((i = 0; i < 2; i++)); do # both stream once there is this much
	at=$(sent)
	until [ $(($(sent) - at)) -gt $((LIMIT << 20)) ]; do sleep 0.05; done
done
before=$(sent) from=$(now_ms)
sleep "$SECONDS_LONG"
after=$(sent) to=$(now_ms)
wait $first $second || :
awk -v limit="$LIMIT" -v n=$((after - before)) -v ms=$((to - from)) 'BEGIN {
	printf "| two sends, limit of the node %d MiB a second | %.2f | %.1f | %.2f |\n", limit, ms / 1000, n / 1048576, n / 1048576 * 1000 / ms }'
