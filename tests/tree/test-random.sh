#!/bin/bash
# Random operations on a tree while it is sent, pass after pass: after each pass the index must say what
# the destination has, and after a pass over the still tree both must be the same.
# SEED=n picks other operations, ROUNDS=n more of them.
. "$(dirname "$0")/lib.sh"
plan 10
SEED=${SEED:-1} ROUNDS=${ROUNDS:-9} OPS=1000

for kind in ext4 xfs btrfs; do
	make_fs "$kind" "$kind"
	make_fs "$kind-to" "$kind"
done

kinds_of_change=(--flags)

# One pass while operations go on; a failure says so.
live_pass() { # FROM TO SEED
	local pid status=0
	churn "$work/$1" "$3" $OPS "${kinds_of_change[@]}" &
	pid=$!
	send "$1" "$2" commit || status=$?
	wait $pid
	[ $status = 0 ] && index_true "$2"
}

still_pass() { # FROM TO OPTION...
	local from=$1 to=$2
	shift 2
	send "$from" "$to" commit final && index_true "$to" && same "$work/$from" "$work/$to" "$@"
}
proven_pass() { # the same, and the digests that are kept are those that walks find
	still_pass "$@" && send "$1" "$2" commit final && sums_agree "$1" "$2"
}

rounds() { # FROM TO SEED MODE OPTION...
	local from=$1 to=$2 seed=$3 mode=$4 i
	shift 4
	for ((i = 0; i < ROUNDS; i++)); do
		churn "$work/$from" $((seed * 1000 + i)) $OPS "${kinds_of_change[@]}"
		[ "$mode" = still ] || live_pass "$from" "$to" $((seed * 1000 + 500 + i)) || return 1
		[ $((i % 3)) != 2 ] || proven_pass "$from" "$to" "$@" || {
			echo "seed $seed, round $i"
			return 1
		}
	done
}

# xfs shows what it allocated ahead as data until it has written back, so the layout is no measure there.
for pair in ext4:ext4 ext4:xfs xfs:btrfs btrfs:ext4; do
	a=${pair%:*} b=${pair#*:}-to
	[ "$a" = xfs ] && options=(--no-project --no-layout) || options=(--no-project)
	for mode in still live; do
		fresh "$a/tree" "$b/tree"
		forget "$b/tree"
		ok "$a to ${pair#*:}, the tree is $mode, seed $SEED" rounds "$a/tree" "$b/tree" "$SEED" "$mode" "${options[@]}"
	done
done

fresh ext4/tree ext4-to/tree
forget ext4-to/tree
kinds_of_change=(--sparse)
ok "ext4 to ext4, large files with holes and several names, seed $SEED" \
	rounds ext4/tree ext4-to/tree "$SEED" live --no-project

fresh ext4/tree xfs-to/tree
forget xfs-to/tree
churn "$work/ext4/tree" "$SEED" 3000
send ext4/tree xfs-to/tree commit final
rm "$work"/keep/xfs-to.tree/index
churn "$work/ext4/tree" $((SEED + 7)) 1000
ok "without its index the source sends all, and what is too much goes" still_pass ext4/tree xfs-to/tree --no-project
