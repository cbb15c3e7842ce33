#!/bin/bash
# What happens at one moment in the middle of a pass, one case after the other: see live.c.
. "$(dirname "$0")/lib.sh"
cases="two-names two-links goes-1 goes-2 goes-3 below-a below-b below-c new-folder same-node"
plan $((2 * $(wc -w <<<"$cases")))

make_fs a ext4
make_fs b ext4

right() { # CASE [tracked]
	fresh a/tree a/elsewhere b/tree keep
	rmdir "$work/a/elsewhere"
	"$BUILD/tests/tree/live" "$1" "$work/a/tree" "$work/b/tree" "$work/keep" ${2:+"$2"} &&
		"$BUILD/tests/tree/treecp" verify "$work/b/tree" "$work/keep/index" &&
		same "$work/a/tree" "$work/b/tree"
}
for name in $cases; do
	ok "$name, walked" right "$name"
	rm -rf "$work/a/elsewhere"
	ok "$name, tracked" right "$name" tracked
	rm -rf "$work/a/elsewhere"
done
